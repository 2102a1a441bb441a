"""Blocks in which values that parted meet again: their x is a tuple of arrays.

    add:          y = sum_k x_k          g_k = g
    concatenate:  y = [x_1, x_2, ..]     g_k = its part of g
    multiply:     y = prod_k x_k         g_k = g prod_{i != k} x_i

The first two are the wiring of `rules`. A product of two keeps both factors, each for the gradient of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from jax import Array

from diffprog import rules
from diffprog.blocks.block import Block, without_parameters
from diffprog.errors import InvalidInput


def _times(factor: Array, g: Array) -> Array:
    return g * factor


product: Callable[..., Array] = rules.operation(
    "multiply",
    lambda x, y: x * y,
    rules.Backward(lambda inputs, *_: inputs[1], _times, _times),
    rules.Backward(lambda inputs, *_: inputs[0], _times, _times),
)


def _products(xs: Sequence[Array]) -> Array:
    kinds = sorted({f"{x.shape} {x.dtype}" for x in xs})
    if len(kinds) != 1:
        raise InvalidInput(
            f"multiply got branches of {' and '.join(kinds) or 'nothing'}",
            "at least one branch, all of one shape and dtype",
            "rules.broadcast(x, shape) before they meet",
        )
    return reduce(product, xs)


add = without_parameters(lambda xs: rules.merge(*xs), "add")
multiply = without_parameters(_products, "multiply")


def concatenate(axis: int = -1) -> Block:
    """Branches one after the other along an axis, the channels when left out.

    Example:
      >>> concatenate().output(((1, 3), (1, 2))).shape
      (1, 5)
    """
    return without_parameters(lambda xs: rules.concatenate(xs, axis), "concatenate")
