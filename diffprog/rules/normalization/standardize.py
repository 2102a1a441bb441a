"""The one operation behind batch, layer, group, instance and RMS normalization.

    x_hat = (x_in - m) r,      m = mean(x_in),  r = 1 / sqrt(mean((x_in - m)^2) + epsilon)   over some axes
    x_out = scale x_hat + bias                                       scale, bias broadcast over other axes

    g_bias  = sum g_out                    over the axes along which bias is one number
    g_scale = sum g_out x_hat
    g_in    = r (h - mean(h) - x_hat mean(h x_hat)),      h = scale g_out

Autodiff goes through the mean and the variance one operation at a time, and reads the array again for each. Here the
two means are had from the two sums that g_bias and g_scale are made of: where scale is one number along an averaged
axis it is taken out of the sum, mean(h) = scale sum(g_out) / n. XLA then computes each sum once, and g_in in a single
pass. Without centring (RMS) m = 0 and mean(h) is left out.

Saved: x_in and the statistics m and r, which are small. x_hat is made again: one subtraction and one product.
Statistics and sums of narrower dtypes than float32 are in float32.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.floating import wider

Axes = tuple[int, ...]


def standardize(
    x: Array, scale: Array, bias: Array, axes: Axes, epsilon: float, centred: bool = True
) -> Array:
    """(x - m) r scale + bias, with mean and variance over `axes`.

    Args:
      x: any shape.
      scale: as many axes as x, each of length one or of x's length; its dtype may be wider than that of x.
      bias: the shape and dtype of scale.
      axes: which axes mean and variance are taken over.
      epsilon: added to the variance.
      centred: whether the mean is subtracted.

    Returns:
      the shape of x, in the dtype of scale and bias.
    """
    return _standardize(x, scale, bias, axes=axes, epsilon=epsilon, centred=centred)


def statistics(x: Array, axes: Axes, centred: bool = True) -> tuple[Array, Array]:
    """Mean (0 where not centred) and mean squared distance from it, in at least float32, axes of length one kept."""
    wide = x.astype(wider(x))
    mean = jnp.mean(wide, axes, keepdims=True)
    mean = mean if centred else jnp.zeros_like(mean)
    return mean, jnp.mean(jnp.square(wide - mean), axes, keepdims=True)


def _with_statistics(
    x: Array, scale: Array, bias: Array, axes: Axes, epsilon: float, centred: bool
) -> tuple[Array, tuple[Array, Array]]:
    mean, variance = statistics(x, axes, centred)
    rate = jax.lax.rsqrt(variance + epsilon)
    x_out = _x_hat(x, mean, rate) * scale.astype(mean.dtype) + bias.astype(mean.dtype)
    return x_out.astype(scale.dtype), (mean, rate)


def _value(x: Array, scale: Array, bias: Array, axes: Axes, epsilon: float, centred: bool) -> Array:
    return _with_statistics(x, scale, bias, axes, epsilon, centred)[0]


def _x_hat(x: Array, mean: Array, rate: Array) -> Array:
    return (x.astype(mean.dtype) - mean) * rate


def _shared(scale_shape: tuple[int, ...], shape: tuple[int, ...]) -> Axes:
    """The axes along which one parameter serves all."""
    return tuple(i for i, (a, b) in enumerate(zip(scale_shape, shape, strict=True)) if a == 1 and b != 1)


def _mean_of_scaled(scale: Array, values: Array, axes: Axes) -> Array:
    """mean(scale values) over `axes`, with scale taken out of the sum where it is one number.

    Where scale varies along all of `axes`, as in a layer norm, the sum is a product with a vector: XLA on CPUs hands
    both to a library, and would write scale values to memory before it sums them.
    """
    inner = tuple(i for i in _shared(scale.shape, values.shape) if i in axes)
    rest = tuple(i for i in axes if i not in inner)
    count = math.prod(values.shape[i] for i in axes)
    if not inner and scale.size == count:
        vector = scale.reshape([values.shape[i] for i in axes])
        numbers = ((axes, tuple(range(vector.ndim))), ((), ()))
        total = jax.lax.dot_general(values, vector, numbers, precision=jax.lax.Precision.HIGHEST)
        return jnp.expand_dims(total, axes) / count
    total = scale * jnp.sum(values, inner, keepdims=True)
    return jnp.sum(total, rest, keepdims=True) / count


# ---- to x_in: J^T and J. J is symmetric but for the place of scale: J = diag(scale) M, J^T = M diag(scale) -


def _to_x(saved: Any, g: Array, axes: Axes, epsilon: float, centred: bool) -> Array:
    x, mean, rate, scale, _like = saved
    wide, x_hat = g.astype(wider(g)), _x_hat(x, mean, rate)
    flat = wide * scale - x_hat * _mean_of_scaled(scale, wide * x_hat, axes)
    flat = flat - _mean_of_scaled(scale, wide, axes) if centred else flat
    return (rate * flat).astype(x.dtype)


def _from_x(saved: Any, x_dot: Array, axes: Axes, epsilon: float, centred: bool) -> Array:
    x, mean, rate, scale, like = saved
    wide, x_hat = x_dot.astype(wider(x_dot)), _x_hat(x, mean, rate)
    flat = wide - x_hat * jnp.mean(wide * x_hat, axes, keepdims=True)
    flat = flat - jnp.mean(wide, axes, keepdims=True) if centred else flat
    return (scale * rate * flat).astype(like.dtype)


# ---- to scale and bias -------------------------------------------------------------------------------------


def _to_scale(saved: Any, g: Array, **_: Any) -> Array:
    x, mean, rate, like, _ = saved
    gradient = g.astype(wider(g)) * _x_hat(x, mean, rate)
    return jnp.sum(gradient, _shared(like.shape, g.shape), keepdims=True).astype(g.dtype)


def _from_scale(saved: Any, scale_dot: Array, **_: Any) -> Array:
    x, mean, rate, _, like = saved
    return (_x_hat(x, mean, rate) * scale_dot.astype(mean.dtype)).astype(like.dtype)


def _to_bias(like: Array, g: Array, **_: Any) -> Array:
    return jnp.sum(g.astype(wider(g)), _shared(like.shape, g.shape), keepdims=True).astype(g.dtype)


def _keep(inputs: Any, _: Array, extra: Any, **__: Any) -> Any:
    x, scale, _bias = inputs
    # Of the output only the dtype is needed: an array of nothing carries it.
    return x, *extra, scale.astype(wider(scale)), jnp.zeros((0,), scale.dtype)


_standardize = operation(
    "standardize",
    _value,
    Backward(_keep, _to_x, _from_x),
    Backward(_keep, _to_scale, _from_scale),
    Backward(lambda inputs, *_, **__: inputs[2], _to_bias),
    extra=_with_statistics,
)
