"""Convolution within groups of channels.

    x_out[o, d] = sum_j sum over c in the group of d  of  x_in[o * stride + j * dilation - low, c] W[j, c, d]

Many small groups are a sum of shifted products, as in a depthwise convolution, once channels lie as [c, group]: the
group is then the axis that is vectorised. Few or wide groups are a dense convolution each. No formulation multiplies
a channel by a zero of another group, so an infinity in one group stays there.

The weight gradient is a matrix product for every tap over blocks of neighbouring groups, of which only the blocks on
the diagonal are kept. XLA's own is 30 to 400 times slower on CPUs, as it visits every (channel, output) by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jax import Array, lax

from diffprog.rules import choice
from diffprog.rules.convolution.plain import (
    Formulation,
    mirrored,
    plain,
    plain_input_gradient,
    plain_weight_gradient,
)
from diffprog.rules.convolution.shape import Shape
from diffprog.rules.core.boundary import boundary
from diffprog.rules.core.floating import wider
from diffprog.rules.core.windows import Axis, pad_inputs, read_tap

MANY = 16  # groups from which they fill a vector
MOST_TERMS = 128  # in one such sum; beyond, compiling takes seconds
FEW = 4  # groups up to which it wins with fewer channels too
MOST_CONVOLUTIONS = 64  # in one program
BLOCK = 32  # channels to multiply at once in the weight gradient


def applies(shape: Shape) -> bool:
    """More than one group."""
    return shape.groups > 1


def _forward(x: Array, W: Array, shape: Shape) -> Array:
    if _many_small(W, shape):
        return _shifted_sum(x, W, shape)
    if _wide(W, shape) and shape.groups <= MOST_CONVOLUTIONS and set(shape.spread) == {1}:
        return _for_every_group(plain, x, W, shape)
    return plain(x, W, shape)


def _input_gradient(g: Array, W: Array, shape: Shape) -> Array:
    if _many_small(W, shape):
        back = [Axis(a.outputs, a.size, 1, a.size - 1 - a.low, a.size - 1 - a.high) for a in shape.axes]
        return _shifted_sum(g, mirrored(W, shape.groups), shape._replace(axes=tuple(back)))
    if (
        (_wide(W, shape) or set(shape.strides) != {1})
        and shape.groups <= MOST_CONVOLUTIONS
        and set(shape.spread) == {1}
    ):
        return _for_every_group(plain_input_gradient, g, W, shape)
    return plain_input_gradient(g, W, shape)


def _weight_gradient(x: Array, g: Array, shape: Shape) -> Array:
    if set(shape.spread) == {1} and x.shape[-1] // shape.groups < BLOCK:
        return _diagonal_blocks(x, g, shape)
    if shape.groups <= MOST_CONVOLUTIONS:
        return _for_every_group(plain_weight_gradient, x, g, shape)
    return plain_weight_gradient(x, g, shape)


def _wide(W: Array, shape: Shape) -> bool:
    return W.shape[-2] >= choice.size("grouped: a convolution each from channels") or shape.groups <= FEW


def _for_every_group(one: Callable[..., Array], a: Array, b: Array, shape: Shape) -> Array:
    alone = shape._replace(groups=1)
    pairs = zip(jnp.split(a, shape.groups, -1), jnp.split(b, shape.groups, -1), strict=True)
    return jnp.concatenate([one(part, other, alone) for part, other in pairs], -1)


# ---- many small groups: a sum of shifted products, vectorised over groups --------------------------------------


def _many_small(W: Array, shape: Shape) -> bool:
    """Stride 1 only: with stride 2 there was nothing to gain forward."""
    channels = max(W.shape[-2], W.shape[-1] // shape.groups)
    small = channels <= choice.size("grouped: shifted sums up to channels")
    terms = W.shape[-2] * math.prod(shape.sizes)
    return (
        small
        and shape.groups >= MANY
        and terms <= MOST_TERMS
        and set(shape.strides) == set(shape.spread) == {1}
    )


def _shifted_sum(x: Array, W: Array, shape: Shape) -> Array:
    pictures = _groups_last(pad_inputs(x, shape.axes, 0), shape.groups)
    kernels = jnp.swapaxes(W.reshape(*W.shape[:-1], shape.groups, -1), -1, -2)  # (*taps, C, D, groups)
    wide = wider(x)
    x_out = _summed(pictures.astype(wide), kernels.astype(wide), shape).astype(x.dtype)
    return jnp.swapaxes(x_out, -1, -2).reshape(*x_out.shape[:-2], W.shape[-1])


@partial(boundary, static=(1,))
def _groups_last(x: Array, groups: int) -> Array:
    """[..., groups C] -> [..., C, groups], written to memory once and not anew for every tap."""
    return jnp.swapaxes(x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups), -1, -2)


@partial(boundary, static=(2,))
def _summed(x: Array, W: Array, shape: Shape) -> Array:
    """[N, *padded, C, groups], [*taps, C, D, groups] -> [N, *outputs, D, groups]."""
    total = jnp.zeros((x.shape[0], *shape.outputs, *W.shape[-2:]), x.dtype)
    for tap, at in shape.taps:
        limits = [start + n for start, n in zip(at, shape.outputs, strict=True)]
        seen = lax.slice(x, (0, *at, 0, 0), (x.shape[0], *limits, *x.shape[-2:]))
        for c in range(x.shape[-2]):
            total += seen[..., c : c + 1, :] * W[(*tap, c)]
    return total


# ---- weight gradient --------------------------------------------------------------------------------------------


def _diagonal_blocks(x: Array, g: Array, shape: Shape) -> Array:
    padded = pad_inputs(x, shape.axes, 0)
    sums = [_diagonal(read_tap(padded, shape.axes, at), g, shape.groups) for _, at in shape.taps]
    g_W = jnp.swapaxes(jnp.stack(sums), -1, -2)  # (taps, C, groups, D)
    return g_W.reshape(*shape.sizes, x.shape[-1] // shape.groups, g.shape[-1])


def _diagonal(x: Array, g: Array, groups: int) -> Array:
    """x^T g within every group: [..., groups C], [..., groups D] -> [C, D, groups]."""
    channels = x.shape[-1] // groups
    together = max(
        n for n in range(1, groups + 1) if groups % n == 0 and n * channels <= max(BLOCK, channels)
    )
    blocks = zip(*(jnp.split(a, groups // together, -1) for a in (x, g)), strict=True)
    pixels = tuple(range(x.ndim - 1))
    parts = []
    for left, right in blocks:
        product = lax.dot_general(left, right, ((pixels, pixels), ((), ())))
        square = product.reshape(together, channels, together, -1)
        parts.append(jnp.diagonal(square, axis1=0, axis2=2))  # (C, D, together)
    return jnp.concatenate(parts, -1)


GROUPED = Formulation(_forward, _input_gradient, _weight_gradient)
