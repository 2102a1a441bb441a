"""Convolution of a spread picture: the transposed convolution that generators grow pictures with.

    x_out[o, d] = sum over (i, j) with i * spread + low - j = o  of  x_in[i, c] W[j, c, d]

Seen from the output it is the input gradient of a convolution that strides by `spread`, with kernel taps in the
other order, j' = size - 1 - j; that mirror image, whose windows read the *output*, is the geometry here:

- forward: one matrix product to all taps, then each output collects its taps, by phase: a gather, no zeros multiplied;
- input gradient: the strided convolution of g_out with the mirrored kernel;
- weight gradient: x_in^T times the windows of g_out. XLA's own is 20 to 60 times slower on CPUs.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array, lax

from diffprog.rules import choice
from diffprog.rules.convolution.plain import Formulation, mirrored, plain
from diffprog.rules.convolution.shape import Shape
from diffprog.rules.core.floating import wider
from diffprog.rules.core.windows import (
    Axis,
    interleave,
    pad_inputs,
    pad_outputs,
    phases,
    read_offset,
    read_tap,
    taps,
)


def applies(shape: Shape) -> bool:
    """A spread picture, stride 1, an undilated kernel, one group."""
    spread = set(shape.spread) - {1}
    return bool(spread) and shape.groups == 1 and set(shape.strides) == set(shape.dilation) == {1}


def mirror(shape: Shape) -> tuple[Axis, ...]:
    """The windows that read the output and have one position for every input pixel."""
    axes = []
    for axis, spread, length in zip(shape.axes, shape.spread, shape.lengths, strict=True):
        low = axis.size - 1 - axis.low
        high = (length - 1) * spread + axis.size - axis.outputs - low
        axes.append(Axis(axis.outputs, axis.size, spread, low, high))
    return tuple(axes)


def _forward(x: Array, W: Array, shape: Shape) -> Array:
    if math.prod(x.shape[:-1]) < choice.size("transposed: one product from"):
        return plain(x, W, shape)
    return _one_product(x, W, shape)


def _one_product(x: Array, W: Array, shape: Shape) -> Array:
    """Every pixel times every tap at once; then each output collects its taps."""
    axes = mirror(shape)
    wide = wider(x)
    products = lax.dot_general(  # (N, *space, C) (*taps, C, D) -> (N, *space, *taps, D)
        x, W, (((x.ndim - 1,), (W.ndim - 2,)), ((), ())), preferred_element_type=wide
    )
    channels = W.shape[-1]
    padded = pad_outputs(products.reshape(*x.shape[:-1], W.size // x.shape[-1]), axes, 0)
    zeros = jnp.zeros((x.shape[0], *(axis.rows for axis in axes), channels), wide)
    parts = []
    for pairs in phases(axes):
        terms = [_of_tap(read_offset(padded, axes, offset), tap, axes, channels) for tap, offset in pairs]
        parts.append(sum(terms, start=zeros))
    return interleave(parts, axes).astype(x.dtype)


def _of_tap(products: Array, tap: tuple[int, ...], axes: tuple[Axis, ...], channels: int) -> Array:
    """The channels that belong to the mirror image of `tap`."""
    number = 0
    for j, axis in zip(tap, axes, strict=True):
        number = number * axis.size + axis.size - 1 - j
    return products[..., number * channels : (number + 1) * channels]


def _input_gradient(g: Array, W: Array, shape: Shape) -> Array:
    ones = (1,) * len(shape.axes)
    return plain(g, mirrored(W), Shape(mirror(shape), ones, ones, 1))


def _weight_gradient(x: Array, g: Array, shape: Shape) -> Array:
    axes = mirror(shape)
    padded = pad_inputs(g, axes, 0)
    # The kernel's first tap meets the mirror image's last.
    windows = [read_tap(padded, axes, at) for at in reversed(list(taps(axes)))]
    pixels = tuple(range(x.ndim - 1))
    g_W = lax.dot_general(x, jnp.stack(windows, axis=-2), ((pixels, pixels), ((), ())))  # (C, taps, D)
    return jnp.moveaxis(g_W.reshape(x.shape[-1], *shape.sizes, g.shape[-1]), 0, -2)


TRANSPOSED = Formulation(_forward, _input_gradient, _weight_gradient)
