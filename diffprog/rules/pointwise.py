"""Rectifiers with their backward rules.

    relu:   x_out = max(x_in, 0)           g_in = g_out where x_in > 0, else 0
    relu6:  x_out = min(max(x_in, 0), 6)   g_in = g_out where 0 < x_in < 6, else 0

Convention at the kinks: the derivative is 0 at x_in = 0 and at x_in = 6, as in jax.nn.
Saved for the backward pass: x_in itself, which the layer before has in memory anyway; XLA recomputes the mask
from it inside the backward loop.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array


@jax.custom_vjp
def relu(x: Array) -> Array:
    """Rectifier max(x, 0), any shape; its derivative at 0 is 0.

    Example:
      >>> import jax
      >>> [float(jax.grad(relu)(x)) for x in (-1.0, 0.0, 2.0)]
      [0.0, 0.0, 1.0]
    """
    return jnp.maximum(x, 0)


def _relu_forward(x: Array) -> tuple[Array, Array]:
    return jnp.maximum(x, 0), x


def _relu_backward(x: Array, g_out: Array) -> tuple[Array]:
    return (jnp.where(x > 0, g_out, jnp.zeros_like(g_out)),)


relu.defvjp(_relu_forward, _relu_backward)


@jax.custom_vjp
def relu6(x: Array) -> Array:
    """Rectifier capped at six, min(max(x, 0), 6), any shape; its derivative at 0 and at 6 is 0.

    Example:
      >>> import jax
      >>> [float(jax.grad(relu6)(x)) for x in (-1.0, 3.0, 6.0, 7.0)]
      [0.0, 1.0, 0.0, 0.0]
    """
    return jnp.minimum(jnp.maximum(x, 0), 6)


def _relu6_forward(x: Array) -> tuple[Array, Array]:
    return jnp.minimum(jnp.maximum(x, 0), 6), x


def _relu6_backward(x: Array, g_out: Array) -> tuple[Array]:
    return (jnp.where((x > 0) & (x < 6), g_out, jnp.zeros_like(g_out)),)


relu6.defvjp(_relu6_forward, _relu6_backward)
