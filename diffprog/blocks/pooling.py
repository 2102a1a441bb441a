"""Pictures made smaller: the largest, or the mean, of every window, or of all positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jax import Array

from diffprog import rules
from diffprog.blocks.block import Block
from diffprog.blocks.functions import function
from diffprog.blocks.layers import per_axis

Sizes = int | Sequence[int]


def max_pool(size: Sizes = 2, stride: Sizes | None = None, padding: Any = "VALID") -> Block:
    """The largest of every window.

    Args:
      size: of the window, one number for all axes of space or one for each.
      stride: of the window; its size when left out, so that windows lie side by side.
      padding: 'SAME', 'VALID', or (low, high) for every axis of space.

    Returns:
      A block: [N, *space, C] -> [N, *positions, C].

    Example:
      >>> max_pool().output((1, 32, 32, 3)).shape
      (1, 16, 16, 3)
    """
    return _pool("max_pool", rules.max_pool, size, stride, padding)


def avg_pool(size: Sizes = 2, stride: Sizes | None = None, padding: Any = "VALID") -> Block:
    """The mean of every window; arguments as in `max_pool`. Zeros that pad are counted."""
    return _pool("avg_pool", rules.avg_pool, size, stride, padding)


def _pool(kind: str, pool: Callable[..., Array], size: Sizes, stride: Sizes | None, padding: Any) -> Block:
    def apply(x: Array) -> Array:
        window = per_axis(kind, "size", size, x.ndim - 2)
        steps = window if stride is None else per_axis(kind, "stride", stride, x.ndim - 2)
        return pool(x, window, steps, padding)

    return function(apply, kind)


global_avg_pool = function(rules.global_avg_pool)
