"""Convolution and its gradients as XLA has them: what remains where no formulation is faster.

    g_in: g_out spread by the stride, convolved with the mirrored kernel
    g_W:  pictures convolved with g_out as the kernel, the batch being what is summed over

Both are written as forward convolutions with kernels laid out as XLA likes them best, also inside a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from diffprog.rules.convolution.shape import Shape
from diffprog.rules.core.windows import Axis


def channels_last(space: int) -> lax.ConvDimensionNumbers:
    """[N, *space, C], [*taps, C, D] -> [N, *space, D]."""
    pictures = (0, space + 1, *range(1, space + 1))
    return lax.ConvDimensionNumbers(pictures, (space + 1, space, *range(space)), pictures)


def plain(x: Array, W: Array, shape: Shape) -> Array:
    """The convolution by XLA."""
    return lax.conv_general_dilated(
        x,
        W,
        shape.strides,
        [(axis.low, axis.high) for axis in shape.axes],
        shape.spread,
        shape.dilation,
        channels_last(len(shape.axes)),
        shape.groups,
    )


def mirrored(W: Array, groups: int = 1) -> Array:
    """The kernel of the input gradient: taps flipped, input and output channels swapped within each group."""
    space = W.ndim - 2
    if groups == 1:
        return jnp.flip(W, tuple(range(space))).swapaxes(-1, -2)
    split = jnp.flip(W, tuple(range(space))).reshape(*W.shape[:-1], groups, W.shape[-1] // groups)
    swapped = jnp.moveaxis(split, space, -1)  # (*taps, C, groups, D) -> (*taps, groups, D, C)
    return jnp.moveaxis(swapped, space, space + 1).reshape(*W.shape[:-2], W.shape[-1] // groups, -1)


def plain_input_gradient(g: Array, W: Array, shape: Shape) -> Array:
    """g_in: g_out spread by the stride, convolved with the mirrored kernel (XLA's forward convolution)."""
    back = [
        Axis((a.outputs - 1) * a.stride + 1, a.size, s, a.size - 1 - a.low, 0)
        for a, s in zip(shape.axes, shape.spread, strict=True)
    ]
    # As many positions as the spread picture has: stepping over them by `spread` meets the pixels.
    highs = [a.length + a.size - 1 - b.length - b.low for a, b in zip(shape.axes, back, strict=True)]
    axes = tuple(b._replace(high=high) for b, high in zip(back, highs, strict=True))
    return plain(g, mirrored(W, shape.groups), Shape(axes, shape.strides, shape.dilation, shape.groups))


def plain_weight_gradient(x: Array, g: Array, shape: Shape) -> Array:
    """g_W: pictures convolved with g_out as the kernel, the batch being what is summed over."""
    space = len(shape.axes)
    pads = []
    for axis in shape.axes:
        reach = (axis.outputs - 1) * axis.stride + 1
        pads.append((axis.low, reach + axis.size - 1 - axis.length - axis.low))
    numbers = lax.ConvDimensionNumbers(
        (space + 1, 0, *range(1, space + 1)),
        (space + 1, 0, *range(1, space + 1)),
        (space, space + 1, *range(space)),
    )
    return lax.conv_general_dilated(
        x, g, shape.dilation, pads, shape.spread, shape.strides, numbers, batch_group_count=shape.groups
    )


class Formulation(NamedTuple):
    """One way to compute a convolution and its two gradients.

    Attributes:
      forward: `(x_in, W, shape) -> x_out`.
      input_gradient: `(g_out, W, shape) -> g_in`.
      weight_gradient: `(x_in, g_out, shape) -> g_W`.
    """

    forward: Callable[[Array, Array, Shape], Array] = plain
    input_gradient: Callable[[Array, Array, Shape], Array] = plain_input_gradient
    weight_gradient: Callable[[Array, Array, Shape], Array] = plain_weight_gradient
