"""What several generators are made of: pictures brought into range, twice the size, attention between places.

Shape letters: B batch, T places that ask, S places that are asked, C and D channels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from diffprog import rules
from diffprog.rules.core.cotangent import with_cotangent


@lru_cache
def compiled(module: nn.Module) -> Callable[..., Any]:
    """`(params, *inputs) -> outputs` of a module in one dispatch; networks of the same sizes share it."""
    return jax.jit(lambda params, *inputs: module.apply({"params": params}, *inputs))


def in_range(x: Array) -> Array:
    """Pictures of about [-1, 1] as pictures in [0, 1], cut where they leave it.

    A gradient passes where the picture is in range, and where a step down it would lead back; a cut alone would hold
    pixels at their limits for ever.

    Source:
      VQGAN-CLIP's `clamp_with_grad`.

    Example:
      >>> slope = jax.grad(lambda x, towards: jnp.sum(towards * in_range(x)))
      >>> slope(jnp.array([0.0, 2.0]), 1.0), slope(jnp.array([0.0, 2.0]), -1.0)
      (Array([0.5, 0.5], dtype=float32), Array([-0.5,  0. ], dtype=float32))
    """
    x = (x + 1) / 2
    cut = jax.lax.stop_gradient(jnp.clip(x, 0, 1))
    x = with_cotangent(_leading_back, x, x - cut)
    return cut + (x - jax.lax.stop_gradient(x))  # the value of `cut` to the bit, the derivative of x


def _leading_back(g_out: Array, beyond: Array) -> Array:
    return jnp.where(g_out * beyond >= 0, g_out, jnp.zeros_like(g_out))


def grown(x: Array) -> Array:
    """Twice the height and width, every pixel four times; [B, H, W, C] -> [B, 2H, 2W, C]."""
    batch, height, width, channels = x.shape
    return rules.resize(x, (batch, 2 * height, 2 * width, channels), "nearest")


def attended(q: Array, k: Array, v: Array) -> Array:
    """softmax(q k^T) v: every place takes a mean of what others have.

    Args:
      q: [B, T, C], scaled as the network wants it.
      k: [B, S, C].
      v: [B, S, D].

    Returns:
      [B, T, D].
    """
    with jax.named_scope("weights"):
        weights = jax.nn.softmax(jnp.einsum("btc,bsc->bts", q, k))
    return jnp.einsum("bts,bsd->btd", weights, v)
