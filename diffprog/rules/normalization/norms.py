"""Batch, layer, group and RMS normalization; the frozen batch norm of a trained network is in `frozen`.

    x_out = scale (x_in - m) r + bias

They differ in what mean and variance are taken over (N batch, H W space, C channels, last):

    batch   N H W, one pair per channel           group   H W and the channels of a group, one pair per image and group
    layer   C, one pair per position              RMS     as layer, without the mean

All are one operation, whose rule is in `standardize`; here are their names, axes and errors.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules.core.floating import floating
from diffprog.rules.normalization.standardize import standardize, statistics


def batch_norm(
    x: Array, scale: Array | None = None, bias: Array | None = None, epsilon: float = 1e-5
) -> Array:
    """Normalize every channel over the batch and all positions, as in training.

    x_hat = (x - m) r, and backward with two sums of the size of the channels:
    g_in = scale r (g - sum(g)/n - x_hat sum(g x_hat)/n).

    Args:
      x: [N, *spatial, C].
      scale: [C]; None: 1.
      bias: [C]; None: 0.
      epsilon: added to the variance.

    Returns:
      [N, *spatial, C]. The statistics for the running averages are `batch_statistics(x)`, computed once under jit.

    Raises:
      InvalidInput: shapes that do not fit, arrays that are not floating, no elements.

    Example:
      >>> import jax.numpy as jnp
      >>> batch_norm(jnp.array([[1.0], [3.0]]), epsilon=0.0).ravel()
      Array([-1.,  1.], dtype=float32)
    """
    return _normalize("batch_norm", x, scale, bias, range(x.ndim - 1), epsilon)


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Mean and variance of every channel, [C] each, in at least float32; not differentiated: for running averages."""
    floating("batch_statistics", x=x)
    mean, variance = statistics(jax.lax.stop_gradient(x), tuple(range(x.ndim - 1)))
    return mean.reshape(-1), variance.reshape(-1)


def layer_norm(
    x: Array, scale: Array | None = None, bias: Array | None = None, epsilon: float = 1e-5
) -> Array:
    """Normalize every position over its channels.

    Args:
      x: [..., C].
      scale: [C]; None: 1.
      bias: [C]; None: 0.
      epsilon: added to the variance.

    Returns:
      [..., C].

    Raises:
      InvalidInput: shapes that do not fit, arrays that are not floating, no elements.

    Example:
      >>> import jax.numpy as jnp
      >>> layer_norm(jnp.array([1.0, 3.0]), epsilon=0.0)
      Array([-1.,  1.], dtype=float32)
    """
    return _normalize("layer_norm", x, scale, bias, [x.ndim - 1], epsilon)


def rms_norm(x: Array, scale: Array | None = None, epsilon: float = 1e-6) -> Array:
    """Divide every position by the root of the mean square of its channels.

    Args:
      x: [..., C].
      scale: [C]; None: 1.
      epsilon: added to the mean square.

    Returns:
      [..., C].

    Raises:
      InvalidInput: shapes that do not fit, arrays that are not floating, no elements.

    Example:
      >>> import jax.numpy as jnp
      >>> rms_norm(jnp.array([3.0, 3.0]), epsilon=0.0)
      Array([1., 1.], dtype=float32)
    """
    return _normalize("rms_norm", x, scale, None, [x.ndim - 1], epsilon, centred=False)


def group_norm(
    x: Array, groups: int, scale: Array | None = None, bias: Array | None = None, epsilon: float = 1e-5
) -> Array:
    """Normalize groups of channels of every image over all positions; with `groups` = C, instance normalization.

    Args:
      x: [N, *spatial, C].
      groups: how many; divides C.
      scale: [C]; None: 1.
      bias: [C]; None: 0.
      epsilon: added to the variance.

    Returns:
      [N, *spatial, C].

    Raises:
      InvalidInput: groups that do not divide the channels, and whatever `batch_norm` refuses.

    Example:
      >>> import jax.numpy as jnp
      >>> group_norm(jnp.array([[1.0, 3.0, 0.0, 8.0]]), groups=2, epsilon=0.0)
      Array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    scale, bias = _parameters("group_norm", x, scale, bias)
    channels = x.shape[-1]
    if groups < 1 or channels % groups:
        divisors = ", ".join(str(n) for n in range(1, channels + 1) if channels % n == 0)
        raise InvalidInput(
            f"group_norm got {groups} groups for {channels} channels",
            "groups of equal size",
            f"one of {divisors} groups",
        )
    split = (groups, channels // groups)
    one = (1,) * (x.ndim - 1) + split
    axes = (*range(1, x.ndim - 1), x.ndim)
    grouped = standardize(
        x.reshape(*x.shape[:-1], *split), scale.reshape(one), bias.reshape(one), axes, float(epsilon)
    )
    return grouped.reshape(x.shape)


def _normalize(
    where: str,
    x: Array,
    scale: Array | None,
    bias: Array | None,
    axes: Sequence[int],
    epsilon: float,
    centred: bool = True,
) -> Array:
    scale, bias = _parameters(where, x, scale, bias)
    one = (1,) * (x.ndim - 1) + x.shape[-1:]
    return standardize(x, scale.reshape(one), bias.reshape(one), tuple(axes), float(epsilon), centred)


def _parameters(where: str, x: Array, scale: Array | None, bias: Array | None) -> tuple[Array, Array]:
    """Scale and bias, checked, or what leaves x as it is: XLA removes a product with ones."""
    if not x.ndim or not x.size:
        raise InvalidInput(
            f"{where} got x of shape {x.shape}",
            "at least one element and an axis of channels: there is no mean of nothing",
            "a batch that is not empty",
        )
    scale = jnp.ones(x.shape[-1:], x.dtype) if scale is None else scale
    bias = jnp.zeros(x.shape[-1:], x.dtype) if bias is None else bias
    check_channels(where, x, scale=scale, bias=bias)
    # x stays as narrow as it is; the result has the dtype of the arithmetic, as in Flax and in plain JAX.
    dtype = jnp.result_type(x, scale, bias)
    return scale.astype(dtype), bias.astype(dtype)


def check_channels(where: str, x: Array, **vectors: Array) -> None:
    """Refuse vectors that do not have one entry for every channel of x, [..., C]."""
    for name, vector in {"x": x, **vectors}.items():
        floating(where, **{name: vector})
    for name, vector in vectors.items():
        if vector.shape != x.shape[-1:]:
            raise InvalidInput(
                f"{where} got {name} of shape {vector.shape} for x of shape {x.shape}",
                f"{name} of shape {x.shape[-1:]}: one number for every channel, the last axis of x",
                "channels last, or the parameters of this layer",
            )
