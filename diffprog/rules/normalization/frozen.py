"""The frozen batch norm of a trained network: statistics are given, and the map is linear in x.

    x_out  = (x_in - mean) a + bias,    a = scale r,  r = 1 / sqrt(variance + epsilon)
    g_in   = g a                        g_bias     = sum g
    g_mean = -a sum g                   g_scale    = r sum g (x_in - mean)
                                        g_variance = -a r^2/2 sum g (x_in - mean)

Saved: for g_in and g_mean one vector, never x_in; x_in only for g_scale and g_variance, when somebody asks for them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.floating import promoted, wider
from diffprog.rules.normalization.norms import check_channels


def _rate(variance: Array, epsilon: float) -> Array:
    return jax.lax.rsqrt(variance + epsilon)


def _frozen_value(x: Array, scale: Array, bias: Array, mean: Array, variance: Array, epsilon: float) -> Array:
    return (x - mean) * (_rate(variance, epsilon) * scale) + bias


def _channel_sum(x: Array) -> Array:
    return jnp.sum(x.astype(wider(x)), range(x.ndim - 1)).astype(x.dtype)


def _save_slope(inputs: tuple[Array, ...], *_: Array, epsilon: float) -> Array:
    return inputs[1] * _rate(inputs[4], epsilon)


def _save_scale(inputs: tuple[Array, ...], *_: Array, epsilon: float) -> tuple[Array, Array]:
    x, _scale, _bias, mean, variance = inputs
    return x - mean, _rate(variance, epsilon)


def _save_variance(inputs: tuple[Array, ...], *_: Array, epsilon: float) -> tuple[Array, Array]:
    x, scale, _bias, mean, variance = inputs
    return x - mean, -0.5 * scale * _rate(variance, epsilon) ** 3


def _scaled_sum(saved: tuple[Array, Array], g: Array, epsilon: float) -> Array:
    centred, factor = saved
    return factor * _channel_sum(g.astype(wider(g)) * centred).astype(g.dtype)


_frozen = operation(
    "batch_norm_frozen",
    _frozen_value,
    Backward(_save_slope, lambda a, g, epsilon: g * a, lambda a, x_dot, epsilon: x_dot * a),
    Backward(_save_scale, _scaled_sum),
    Backward(lambda inputs, *_, epsilon: None, lambda _, g, epsilon: _channel_sum(g)),
    Backward(_save_slope, lambda a, g, epsilon: -a * _channel_sum(g)),
    Backward(_save_variance, _scaled_sum),
)


def batch_norm_frozen(
    x: Array, scale: Array, bias: Array, mean: Array, variance: Array, epsilon: float = 1e-5
) -> Array:
    """Normalize with given statistics, as a trained network does.

    Args:
      x: [..., C].
      scale, bias: [C].
      mean, variance: [C], running averages.
      epsilon: added to the variance.

    Returns:
      [..., C].

    Raises:
      InvalidInput: shapes that do not fit, arrays that are not floating or not of one dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> one = jnp.ones(1)
      >>> batch_norm_frozen(jnp.array([5.0]), one, one, mean=3 * one, variance=4 * one, epsilon=0.0)
      Array([2.], dtype=float32)
    """
    check_channels("batch_norm_frozen", x, scale=scale, bias=bias, mean=mean, variance=variance)
    return _frozen(*promoted(x, scale, bias, mean, variance), epsilon=float(epsilon))
