"""Convolution with one tap: a matrix product over pixels.

    x_out = x_in W        g_in = g_out W^T        g_W = x_in^T g_out

for pixels as row vectors; with a stride, for every stride-th pixel. XLA's own weight gradient of it is two to eight
times slower than the product on CPUs. The pixels are one axis before they are summed over: a product over three axes
has its arrays transposed first, which took 1.8 times as long at 56 x 56.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax

from diffprog.rules.convolution.plain import Formulation
from diffprog.rules.convolution.shape import Shape
from diffprog.rules.core.windows import interleave, phases, read_tap


def applies(shape: Shape) -> bool:
    """One tap, no padding, one group."""
    alone = all(axis.size == 1 and axis.low == axis.high == 0 for axis in shape.axes)
    return alone and shape.groups == 1 and set(shape.spread) <= {1}


def _forward(x: Array, W: Array, shape: Shape) -> Array:
    return lax.dot_general(_read(x, shape), W.reshape(W.shape[-2:]), (((x.ndim - 1,), (0,)), ((), ())))


def _input_gradient(g: Array, W: Array, shape: Shape) -> Array:
    g_in = lax.dot_general(g, W.reshape(W.shape[-2:]), (((g.ndim - 1,), (1,)), ((), ())))
    if set(shape.strides) <= {1}:
        return g_in
    # Pixels that no window reads have gradient 0: all phases but the first are empty.
    rows = (g_in.shape[0], *(axis.rows for axis in shape.axes), g_in.shape[-1])
    zeros = jnp.zeros(rows, g_in.dtype)
    return interleave([g_in if pairs else zeros for pairs in phases(shape.axes)], shape.axes)


def _weight_gradient(x: Array, g: Array, shape: Shape) -> Array:
    x, g = (array.reshape(-1, array.shape[-1]) for array in (_read(x, shape), g))
    g_W = lax.dot_general(x, g, (((0,), (0,)), ((), ())))  # (pixels, C) (pixels, D) -> (C, D)
    return g_W.reshape((1,) * len(shape.axes) + g_W.shape)


def _read(x: Array, shape: Shape) -> Array:
    return x if set(shape.strides) <= {1} else read_tap(x, shape.axes, (0,) * len(shape.axes))


POINTWISE = Formulation(_forward, _input_gradient, _weight_gradient)
