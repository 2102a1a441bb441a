"""Convolution with backward rules written by hand, as a drop-in for `jax.lax.conv_general_dilated`.

    x_out[o, d]  = sum_{j, c} x_in[o * stride + j - low, c] W[j, c, d]
    g_in[i, c]   = sum over (o, j) that read i of  g_out[o, d] W[j, c, d]
    g_W[j, c, d] = sum_o x_in[o * stride + j - low, c] g_out[o, d]

Three shapes of convolution have a rule of their own, chosen by what was measured on CPUs:

- pointwise (1 x 1): a matrix product over pixels, forward and backward;
- depthwise (every channel by itself): a sum of shifted products, whose backward is the same sum read the
  other way, split into phases when it strides (see `windows`);
- dense, stride 1: XLA's forward convolution, and the input gradient as another forward convolution with the
  kernel flipped and its channels swapped (XLA's own form of it is four times slower inside a loop); or, for small
  maps and kernels that widen, as one matrix product and a sum of shifted slices.

Everything else (other layouts, dilation, groups, dense strides) is the plain operation.
Saved for the backward pass: x_in (for g_W only) and W (for g_in only).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from diffprog.rules.boundary import boundary
from diffprog.rules.windows import (
    Axis,
    interleave,
    pad_inputs,
    pad_outputs,
    phases,
    read_offset,
    read_tap,
    taps,
    window_axes,
)

FLIPPED_IS_FASTER_FROM = 50  # pixels: measured on two CPU cores at 13, 27 and 55


def conv_general_dilated(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
    **rest: Any,
) -> Array:
    """Convolve pictures with kernels; same arguments and values as `jax.lax.conv_general_dilated`.

    Give it to Flax: `nn.Conv(..., conv_general_dilated=rules.conv_general_dilated)`.

    Args:
      lhs: [N, *spatial, C] for the fast rules; any layout otherwise.
      rhs: [*taps, C / groups, D].
      window_strides: step along every spatial axis.
      padding: 'SAME', 'VALID' or (low, high) for every spatial axis.
      lhs_dilation, rhs_dilation, dimension_numbers, feature_group_count, batch_group_count, precision,
        preferred_element_type, rest: as in `jax.lax`; what has no rule of its own goes there.

    Returns:
      [N, *positions, D].
    """
    dilated = any(d != 1 for d in (*(lhs_dilation or ()), *(rhs_dilation or ())))
    special = dilated or batch_group_count != 1 or precision is not None or preferred_element_type or rest
    if special or lhs.dtype != rhs.dtype or not _channels_last(lhs, rhs, dimension_numbers):
        return lax.conv_general_dilated(
            lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers,
            feature_group_count, batch_group_count, precision, preferred_element_type, **rest,
        )  # fmt: skip
    axes = window_axes(lhs.shape[1:-1], rhs.shape[:-2], window_strides, padding)
    if feature_group_count == 1 and all(a.size == a.stride == 1 and a.low == a.high == 0 for a in axes):
        return pointwise(lhs, rhs.reshape(rhs.shape[-2:]))
    if rhs.shape[-2] == 1 and feature_group_count == lhs.shape[-1] == rhs.shape[-1]:
        return _depthwise(lhs, rhs.reshape(*rhs.shape[:-2], rhs.shape[-1]), axes)
    if feature_group_count == 1 and all(a.stride == 1 for a in axes):
        return _dense(lhs, rhs, axes)
    return _plain(lhs, rhs, axes, feature_group_count)


def _channels_last(lhs: Array, rhs: Array, dimension_numbers: Any) -> bool:
    if dimension_numbers is None:
        return False
    spec = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    space = range(1, lhs.ndim - 1)
    pictures = (0, lhs.ndim - 1, *space)
    kernels = (rhs.ndim - 1, rhs.ndim - 2, *range(rhs.ndim - 2))
    return tuple(spec.lhs_spec) == tuple(spec.out_spec) == pictures and tuple(spec.rhs_spec) == kernels


def _plain(x: Array, W: Array, axes: Sequence[Axis], groups: int = 1) -> Array:
    space = "DHW"[-len(axes) :] if len(axes) <= 3 else "".join(chr(ord("a") + i) for i in range(len(axes)))
    return lax.conv_general_dilated(
        x,
        W,
        [axis.stride for axis in axes],
        [(axis.low, axis.high) for axis in axes],
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        feature_group_count=groups,
    )


# ---- pointwise: x_out = x_in W,  g_in = g_out W^T,  g_W = x_in^T g_out ------------------------------------


@jax.custom_vjp
def pointwise(x: Array, W: Array) -> Array:
    """Multiply every pixel by one matrix: [..., C], [C, D] -> [..., D]."""
    return lax.dot_general(x, W, (((x.ndim - 1,), (0,)), ((), ())))


def _pointwise_forward(x: Array, W: Array) -> tuple[Array, tuple[Array, Array]]:
    return lax.dot_general(x, W, (((x.ndim - 1,), (0,)), ((), ()))), (x, W)


def _pointwise_backward(saved: tuple[Array, Array], g_out: Array) -> tuple[Array, Array]:
    x, W = saved
    pixels = tuple(range(x.ndim - 1))
    g_in = lax.dot_general(g_out, W, (((x.ndim - 1,), (1,)), ((), ())))  # (..., D) (C, D) -> (..., C)
    g_W = lax.dot_general(x, g_out, ((pixels, pixels), ((), ())))  # (..., C) (..., D) -> (C, D)
    return g_in, g_W


pointwise.defvjp(_pointwise_forward, _pointwise_backward)


# ---- depthwise: x_out[o, c] = sum_j x_in[o * stride + j - low, c] W[j, c] ---------------------------------


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _depthwise(x: Array, W: Array, axes: tuple[Axis, ...]) -> Array:
    return _shifted_sum(x, W, axes)


@partial(boundary, static=(2,))
def _shifted_sum(x: Array, W: Array, axes: tuple[Axis, ...]) -> Array:
    padded = pad_inputs(x, axes, 0)
    return sum(read_tap(padded, axes, tap) * W[tap] for tap in taps(axes))  # type: ignore[return-value]


def _depthwise_forward(x: Array, W: Array, axes: tuple[Axis, ...]) -> tuple[Array, tuple[Array, Array]]:
    return _shifted_sum(x, W, axes), (x, W)


def _depthwise_backward(
    axes: tuple[Axis, ...], saved: tuple[Array, Array], g_out: Array
) -> tuple[Array, Array]:
    x, W = saved
    padded = pad_outputs(g_out, axes, 0)
    rows = (g_out.shape[0], *(axis.rows for axis in axes), g_out.shape[-1])
    parts = []
    for pairs in phases(axes):
        terms = (read_offset(padded, axes, offset) * W[tap] for tap, offset in pairs)
        parts.append(sum(terms, start=jnp.zeros(rows, g_out.dtype)))
    return interleave(parts, axes), _depthwise_weights(x, g_out, axes)


def _depthwise_weights(x: Array, g_out: Array, axes: tuple[Axis, ...]) -> Array:
    padded = pad_inputs(x, axes, 0)
    space = tuple(range(x.ndim - 1))
    sums = [jnp.sum(read_tap(padded, axes, tap) * g_out, axis=space) for tap in taps(axes)]
    return jnp.stack(sums).reshape(*(axis.size for axis in axes), x.shape[-1])


_depthwise.defvjp(_depthwise_forward, _depthwise_backward)


# ---- dense, stride 1: g_in[i] = sum_j g_out[i + low - j] W[j]^T, in one of two forms ----------------------


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _dense(x: Array, W: Array, axes: tuple[Axis, ...]) -> Array:
    return _plain(x, W, axes)


def _dense_forward(x: Array, W: Array, axes: tuple[Axis, ...]) -> tuple[Array, tuple[Array, Array]]:
    return _plain(x, W, axes), (x, W)


def _dense_backward(axes: tuple[Axis, ...], saved: tuple[Array, Array], g_out: Array) -> tuple[Array, Array]:
    x, W = saved
    (g_W,) = jax.vjp(lambda W: _plain(x, W, axes), W)[1](g_out)
    narrow = W.shape[-1] >= 2 * W.shape[-2] and max(a.length for a in axes) < FLIPPED_IS_FASTER_FROM
    return (_shifted_products if narrow else _flipped_convolution)(g_out, W, axes), g_W


def _flipped_convolution(g_out: Array, W: Array, axes: tuple[Axis, ...]) -> Array:
    mirrored = [Axis(a.outputs, a.size, 1, a.size - 1 - a.low, a.size - 1 - a.high) for a in axes]
    flipped = jnp.flip(W, tuple(range(len(axes)))).swapaxes(-1, -2)
    return _plain(g_out, flipped, mirrored)


def _shifted_products(g_out: Array, W: Array, axes: tuple[Axis, ...]) -> Array:
    """One product with the kernel as it lies in memory, then a sum of shifted slices, one for every tap."""
    channels = W.shape[-2]
    products = lax.dot_general(  # (N, *outputs, D) (taps C, D) -> (N, *outputs, taps C)
        g_out, W.reshape(-1, W.shape[-1]), (((g_out.ndim - 1,), (1,)), ((), ()))
    )
    padded = pad_outputs(products, axes, 0)
    (pairs,) = phases(axes)
    total = jnp.zeros((g_out.shape[0], *(axis.rows for axis in axes), channels), g_out.dtype)
    for number, (_, offset) in enumerate(pairs):
        total += read_offset(padded, axes, offset)[..., number * channels : (number + 1) * channels]
    return total


_dense.defvjp(_dense_forward, _dense_backward)
