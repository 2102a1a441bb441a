"""Convolution of all channels with all: XLA's forward convolution, and gradients in the forms that are fast.

    g_in[i, c]   = sum_j g_out[i + low - j, d] W[j, c, d]              at stride 1
    g_W[j, c, d] = sum_o x_in[o * stride + j - low, c] g_out[o, d]

The input gradient is another forward convolution with the kernel flipped and its channels swapped (XLA's own form of
it is four times slower inside a loop), or, for small maps and kernels that widen, one matrix product and a sum of
shifted slices.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array, lax

from diffprog.rules import choice
from diffprog.rules.convolution.plain import Formulation, plain, plain_input_gradient, plain_weight_gradient
from diffprog.rules.convolution.shape import Shape
from diffprog.rules.core.floating import wider
from diffprog.rules.core.windows import pad_inputs, pad_outputs, phases, read_offset, read_tap


def applies(shape: Shape) -> bool:
    """One group, nothing dilated."""
    return shape.groups == 1 and shape.dense_taps


def _input_gradient(g: Array, W: Array, shape: Shape) -> Array:
    small = max(axis.length for axis in shape.axes) < choice.size("dense: shifted products below")
    few = math.prod(W.shape[:-2]) <= choice.size("dense: shifted products up to taps")
    if small and few and W.shape[-1] >= 2 * W.shape[-2] and set(shape.strides) == {1}:
        return _shifted_products(g, W, shape)
    return plain_input_gradient(g, W, shape)


def _shifted_products(g: Array, W: Array, shape: Shape) -> Array:
    """One product with the kernel as it lies in memory, then a sum of shifted slices, one for every tap."""
    channels = W.shape[-2]
    wide = wider(g)
    products = lax.dot_general(  # (N, *outputs, D) (taps C, D) -> (N, *outputs, taps C)
        g, W.reshape(-1, W.shape[-1]), (((g.ndim - 1,), (1,)), ((), ())), preferred_element_type=wide
    )
    padded = pad_outputs(products, shape.axes, 0)
    (pairs,) = phases(shape.axes)
    total = jnp.zeros((g.shape[0], *(axis.rows for axis in shape.axes), channels), wide)
    for number, (_, offset) in enumerate(pairs):
        total += read_offset(padded, shape.axes, offset)[..., number * channels : (number + 1) * channels]
    return total.astype(g.dtype)


def _weight_gradient(x: Array, g: Array, shape: Shape) -> Array:
    """One product of all windows with g_out where windows are small; else XLA's convolution, which then wins."""
    window = x.shape[-1] * math.prod(shape.sizes)
    if window > choice.size("dense: product of windows up to") or set(shape.strides) != {1}:
        return plain_weight_gradient(x, g, shape)
    padded = pad_inputs(x, shape.axes, 0)
    windows = jnp.concatenate([read_tap(padded, shape.axes, at) for _, at in shape.taps], -1)
    pixels = tuple(range(g.ndim - 1))
    g_W = lax.dot_general(
        windows, g, ((pixels, pixels), ((), ()))
    )  # (pixels, taps C) (pixels, D) -> (taps C, D)
    return g_W.reshape(*shape.sizes, x.shape[-1], g.shape[-1])


DENSE = Formulation(plain, _input_gradient, _weight_gradient)
