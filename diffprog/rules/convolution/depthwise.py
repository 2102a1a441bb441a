"""Convolution of every channel by itself: a sum of shifted products.

    x_out[o, c m + r]    = sum_j x_in[o * stride + j * dilation - low, c] W[j, c m + r]       r < m, the multiplier
    g_in[i, c]           = sum over (o, j) that read i, and r, of  g_out[o, c m + r] W[j, c m + r]
    g_W[j, c m + r]      = sum_o x_in[o * stride + j * dilation - low, c] g_out[o, c m + r]

XLA fuses the sum over taps to one loop that is vectorised over channels. Backward the same sum is read the other
way, split into phases where it strides (see `windows`); nothing is scattered. XLA's own convolution with groups is
5 to 30 times slower forward on CPUs, and up to 200 times backward. Forward the taps are added in XLA's order and each
product is rounded as there (see `rounding`): for most shapes the values are XLA's to the last bit (`exactness` asks).
Half-width numbers are summed in float32.
"""

from __future__ import annotations

import math
from functools import partial

import jax.numpy as jnp
from jax import Array, lax

from diffprog.rules import choice
from diffprog.rules.convolution.plain import Formulation
from diffprog.rules.convolution.shape import Shape
from diffprog.rules.core.boundary import boundary
from diffprog.rules.core.floating import wider
from diffprog.rules.core.rounding import rounded, unknown_zero
from diffprog.rules.core.windows import interleave, pad_inputs, pad_outputs, phases, read_offset, read_tap


def applies(shape: Shape, kernel_inputs: int) -> bool:
    """Every group is one input channel, and the picture is not dilated."""
    return shape.groups > 1 and kernel_inputs == 1 and set(shape.spread) == {1}


def _forward(x: Array, W: Array, shape: Shape) -> Array:
    return _summed_taps(x, W, unknown_zero(wider(x)), shape)


@partial(boundary, static=(3,))
def _summed_taps(x: Array, W: Array, zero: Array, shape: Shape) -> Array:
    wide = wider(x)
    padded = pad_inputs(_repeated(x, W.shape[-1]).astype(wide), shape.axes, 0)
    kernel = W.astype(wide)
    total = jnp.zeros((), wide)
    for j, at in shape.taps:
        total = total + rounded(read_tap(padded, shape.axes, at) * kernel[(*j, 0)], zero)
    return total.astype(x.dtype)


def _repeated(x: Array, channels: int) -> Array:
    multiplier = channels // x.shape[-1]
    return x if multiplier == 1 else jnp.repeat(x, multiplier, axis=-1)


def _input_gradient(g: Array, W: Array, shape: Shape) -> Array:
    wide = wider(g)
    padded = pad_outputs(g.astype(wide), shape.axes, 0)
    zeros = jnp.zeros((g.shape[0], *(axis.rows for axis in shape.axes), g.shape[-1]), wide)
    kernel = {at: W[(*j, 0)].astype(wide) for j, at in shape.taps}
    parts = []
    for pairs in phases(shape.axes):
        # A dilated kernel reaches over positions at which it has no tap.
        terms = (read_offset(padded, shape.axes, offset) * kernel[at] for at, offset in pairs if at in kernel)
        parts.append(sum(terms, start=zeros))
    return _summed_multiples(interleave(parts, shape.axes), shape.groups).astype(g.dtype)


def _summed_multiples(g: Array, channels: int) -> Array:
    multiplier = g.shape[-1] // channels
    return g if multiplier == 1 else g.reshape(*g.shape[:-1], channels, multiplier).sum(-1)


def _weight_gradient(x: Array, g: Array, shape: Shape) -> Array:
    x = _repeated(x, g.shape[-1])
    # Picture by picture, what is summed stays in the cache.
    large = math.prod(g.shape[1:]) >= choice.size("depthwise: picture by picture from")
    if large and x.shape[0] > 1:
        sums = lax.map(lambda pair: _tap_sums(pair[0][None], pair[1][None], shape), (x, g)).sum(0)
    else:
        sums = _tap_sums(x, g, shape)
    return sums.astype(g.dtype).reshape(*shape.sizes, 1, g.shape[-1])


def _tap_sums(x: Array, g: Array, shape: Shape) -> Array:
    """For every tap the sum over pixels, [taps, C]: all taps in one pass over rows, then along the last axis.

    What the first pass leaves, [width, C], is one long vector even where channels are few.
    """
    wide = wider(g)
    padded, g = pad_inputs(x.astype(wide), shape.axes, 0), g.astype(wide)
    products = tuple(read_tap(padded, shape.axes, at) * g for _, at in shape.taps)
    zeros = (jnp.zeros((), wide),) * len(products)
    rows = lax.reduce(
        products,
        zeros,
        lambda a, b: tuple(p + q for p, q in zip(a, b, strict=True)),
        tuple(range(g.ndim - 2)),
    )
    return jnp.stack(rows).sum(1)


DEPTHWISE = Formulation(_forward, _input_gradient, _weight_gradient)
