"""Attention with several heads: four linear maps around `rules.dot_product_attention`.

    q = x W_q + b_q,  k = m W_k + b_k,  v = m W_v + b_v,        y = attention(q, k, v) W_o + b_o

Parameters have the names and shapes of `flax.linen.MultiHeadDotProductAttention`.
Shape letters: B batch, T queries, S keys, E features, N heads, H features of a head.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog import rules
from diffprog.blocks.block import Block, Params, Shape, specification
from diffprog.blocks.layers import LECUN, positive
from diffprog.errors import InvalidInput

MAPS = ("query", "key", "value")


def attention(heads: int, causal: bool = False) -> Block:
    """Every position takes a mean of what others have, weighted by how well its query meets their keys.

    Args:
      heads: N, a divisor of E.
      causal: whether position t sees positions up to t only.

    Returns:
      A block: x [B, T, E] -> [B, T, E]; or (x [B, T, E], memory [B, S, M]) -> [B, T, E], which asks the memory.

    Raises:
      InvalidInput: no heads; at `init`, features that heads do not divide, or another number of arrays.

    Example:
      >>> attention(2).output((1, 5, 8)).shape
      (1, 5, 8)
    """
    positive("attention", heads=heads)

    def init(key: Array, shape: Shape) -> Params:
        asked = specification(shape)
        x, memory = _pair(asked)
        features = x.shape[-1]
        if len(x.shape) < 2 or len(memory.shape) != len(x.shape) or features % heads:
            raise InvalidInput(
                f"attention got x of shape {x.shape} for {heads} heads",
                "[batch, positions, features], and heads that divide the features",
                f"a divisor of {features}",
            )
        each = features // heads
        *keys, last = jax.random.split(key, 4)
        sources = (x, memory, memory)
        made = {
            name: _projection(own, source.shape[-1:], (heads, each), x.dtype)
            for name, own, source in zip(MAPS, keys, sources, strict=True)
        }
        return {**made, "out": _projection(last, (heads, each), (features,), x.dtype)}

    def apply(params: Params, inputs: Any) -> Array:
        x, memory = _pair(inputs)
        q, k, v = (_mapped(params[n], a, 1) for n, a in zip(MAPS, (x, memory, memory), strict=True))
        return _mapped(params["out"], rules.dot_product_attention(q, k, v, causal=causal), 2)

    return Block(init, apply, "attention")


def _pair(inputs: Any) -> tuple[Any, Any]:
    if not isinstance(inputs, tuple | list):
        return inputs, inputs
    if len(inputs) != 2:
        raise InvalidInput(f"attention got {len(inputs)} arrays", "x, or (x, memory)", "add after a branch")
    return inputs[0], inputs[1]


def _projection(key: Array, before: tuple[int, ...], after: tuple[int, ...], dtype: Any) -> Params:
    flat = LECUN(key, (math.prod(before), math.prod(after)), dtype)
    return {"kernel": flat.reshape(*before, *after), "bias": jnp.zeros(after, dtype)}


def _mapped(params: Params, x: Array, axes: int) -> Array:
    """The linear map over the last `axes` axes of x, to as many as the bias has."""
    kernel, bias = params["kernel"], params["bias"]
    rows = rules.reshape(x, (*x.shape[: x.ndim - axes], math.prod(kernel.shape[:axes])))
    flat = rules.linear(rows, rules.reshape(kernel, (rows.shape[-1], bias.size)), rules.reshape(bias, (-1,)))
    return rules.reshape(flat, (*flat.shape[:-1], *bias.shape))
