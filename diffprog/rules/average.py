"""Sums and averages over sliding windows, and over whole pictures, with their backward rules.

    x_out[o] = sum_j x_in[o * stride + j - low]           g_in[i] = sum over the windows o that read i of g_out[o]

An average is a sum divided by a constant: the number of taps or, without padding, of those that see the picture. These
maps are linear, so nothing is saved. The backward pass is a gather by phases (see `windows`), 10 times faster on CPUs
than XLA's, which spreads g_out with holes and pools again.
"""

from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from diffprog.errors import InvalidInput
from diffprog.rules.anatomy import Backward, operation
from diffprog.rules.pool_windows import (
    MOST_TAPS,
    Sizes,
    checked,
    in_steps,
    pooled,
    side_by_side,
    tiled,
    untiled,
    weave,
)
from diffprog.rules.record import Case, Rule
from diffprog.rules.windows import Axis, Padding, pad_inputs, pad_outputs, phases, read_offset, read_tap, taps

# ---- sum pooling: x_out[o] = sum_j x_in[o s + j - l],  g_in[i] = sum_{o, j: o s + j - l = i} g_out[o] -------
# Saved: nothing.


def _window_sums(x: Array, axes: tuple[Axis, ...]) -> Array:
    """The taps in row-major order, which is the order XLA's reduce_window adds them in, in x's own dtype."""
    if side_by_side(axes):
        return _tile_sums(x, axes)
    padded = pad_inputs(x, axes, 0)
    return reduce(add, (read_tap(padded, axes, tap) for tap in taps(axes)))


def _tile_sums(x: Array, axes: tuple[Axis, ...]) -> Array:
    """Cut x into its windows by a reshape, and sum each."""
    covered = [(a.low, a.outputs * a.size - a.low - a.length, 0) for a in axes]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *covered, (0, 0, 0)])
    x = x.reshape(x.shape[0], *(n for a in axes for n in (a.outputs, a.size)), x.shape[-1])
    return x.sum(tuple(2 * number + 2 for number in range(len(axes))))


def _to_readers(_: Any, g_out: Array, axes: tuple[Axis, ...]) -> Array:
    """J^T: every pixel sums the gradients of the windows that read it."""
    if side_by_side(axes):
        spread = (g_out.shape[0], *(n for a in axes for n in (a.outputs, a.size)), g_out.shape[-1])
        return untiled(jnp.broadcast_to(tiled(g_out, axes), spread), axes)
    padded = pad_outputs(g_out, axes, 0)
    nothing = jnp.zeros((g_out.shape[0], *(axis.rows for axis in axes), g_out.shape[-1]), g_out.dtype)
    parts = [
        reduce(add, (read_offset(padded, axes, offset) for _, offset in pairs), nothing)
        for pairs in phases(axes)
    ]
    return weave(parts, axes)


_sum_pool = operation(
    "sum_pool",
    _window_sums,
    Backward(
        save=lambda *_, axes: (), pull=_to_readers, push=lambda _, x_dot, axes: _window_sums(x_dot, axes)
    ),
)


def sum_pool(
    x: Array, window_shape: Sizes, strides: Sizes | None = None, padding: Padding = "VALID"
) -> Array:
    """Sum over sliding windows, padded with zeros.

    Args:
      x: [*batch, *spatial, C], any floating dtype, in which the sum is taken as well.
      window_shape: taps along every spatial axis. Beyond 100 along an axis, the plain operation is used.
      strides: step along every spatial axis; all 1 when left out.
      padding: 'SAME', 'VALID', one number, or (low, high) for every spatial axis.

    Returns:
      [*batch, *positions, C], of x's dtype.

    Raises:
      InvalidInput: integers or complex numbers, or a window that does not fit into the picture.

    Example:
      >>> import jax.numpy as jnp
      >>> sum_pool(jnp.array([1.0, 2.0, 4.0]).reshape(1, 3, 1), (2,)).ravel()
      Array([3., 6.], dtype=float32)
    """
    window, strides = checked(x, window_shape, strides)
    return pooled(_plain_sums if max(window) > MOST_TAPS else _in_steps, x, window, strides, padding)


def _in_steps(x: Array, axes: tuple[Axis, ...]) -> Array:
    for step in in_steps(axes):
        x = _sum_pool(x, axes=step)
    return x


def _plain_sums(x: Array, axes: tuple[Axis, ...]) -> Array:
    sizes, strides = (tuple(getattr(axis, name) for axis in axes) for name in ("size", "stride"))
    pads = ((0, 0), *((axis.low, axis.high) for axis in axes), (0, 0))
    return lax.reduce_window(x, 0.0, lax.add, (1, *sizes, 1), (1, *strides, 1), pads)


# ---- average pooling: x_out = sum / n,  g_in = the sum's rule of g_out / n ----------------------------------


def avg_pool(
    x: Array,
    window_shape: Sizes,
    strides: Sizes | None = None,
    padding: Padding = "VALID",
    count_include_pad: bool = True,
) -> Array:
    """Average over sliding windows; a drop-in for `flax.linen.avg_pool` with a fast gradient.

    Args:
      x: [*batch, *spatial, C], any floating dtype, in which sum and average are taken as well.
      window_shape: taps along every spatial axis.
      strides: step along every spatial axis; all 1 when left out.
      padding: 'SAME', 'VALID', one number, or (low, high) for every spatial axis.
      count_include_pad: divide by the number of all taps; else of those that see the picture.

    Returns:
      [*batch, *positions, C], of x's dtype.

    Raises:
      InvalidInput: integers or complex numbers, or a window that does not fit into the picture.

    Example:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([2.0, 4.0, 8.0]).reshape(1, 3, 1)
      >>> avg_pool(x, (2,), (2,), "SAME").ravel(), avg_pool(x, (2,), (2,), "SAME", False).ravel()
      (Array([3., 4.], dtype=float32), Array([3., 8.], dtype=float32))
    """
    total = sum_pool(x, window_shape, strides, padding)
    if count_include_pad:
        return total / math.prod(window_shape)
    space = jnp.shape(x)[-1 - len(window_shape) : -1]
    with jax.ensure_compile_time_eval():
        seen = sum_pool(jnp.ones((*space, 1), total.dtype), window_shape, strides, padding)
    return total / seen


# ---- global average: x_out[c] = mean_i x_in[i, c],  g_in[i, c] = g_out[c] / n -------------------------------
# Saved: nothing. bfloat16 and float16 are summed in float32, as jnp.mean does.

_global_avg_pool = operation(
    "global_avg_pool",
    lambda x, space: jnp.mean(x, range(1, 1 + len(space)), keepdims=True),
    Backward(
        save=lambda *_, space: (),
        pull=lambda _, g_out, space: jnp.broadcast_to(
            g_out / math.prod(space), (g_out.shape[0], *space, g_out.shape[-1])
        ),
        push=lambda _, x_dot, space: jnp.mean(x_dot, range(1, 1 + len(space)), keepdims=True),
    ),
)


def global_avg_pool(x: Array, keepdims: bool = False) -> Array:
    """Average of every channel over the whole picture.

    Args:
      x: [N, *spatial, C], any floating dtype.
      keepdims: keep the spatial axes, of size 1.

    Returns:
      [N, C] of x's dtype, or [N, 1, .., 1, C].

    Raises:
      InvalidInput: integers or complex numbers, or no pixel to average.

    Example:
      >>> import jax.numpy as jnp
      >>> global_avg_pool(jnp.arange(8.0).reshape(1, 2, 2, 2))
      Array([[3., 4.]], dtype=float32)
    """
    space = jnp.shape(x)[1:-1]
    checked(x, space, None)
    if 0 in space:
        raise InvalidInput(
            f"pictures of shape {jnp.shape(x)}",
            "at least one pixel to average over",
            "leave empty pictures out",
        )
    out = _global_avg_pool(x, space=space)
    return out if keepdims else out.reshape(x.shape[0], x.shape[-1])


# ---- record -------------------------------------------------------------------------------------------------


def sum_reference(
    x: Array, window_shape: Sizes, strides: Sizes | None = None, padding: Any = "VALID"
) -> Array:
    """The plain JAX program of the same sums, for x [N, *spatial, C]."""
    pads = padding if isinstance(padding, str) else ((0, 0), *padding, (0, 0))
    return lax.reduce_window(
        x, 0.0, lax.add, (1, *window_shape, 1), (1, *(strides or (1,) * len(window_shape)), 1), pads
    )


def avg_reference(
    x: Array,
    window_shape: Sizes,
    strides: Sizes | None = None,
    padding: Any = "VALID",
    count_include_pad: bool = True,
) -> Array:
    """The plain JAX program of the same averages, for x [N, *spatial, C]."""
    total = sum_reference(x, window_shape, strides, padding)
    if count_include_pad:
        return total / np.prod(window_shape)
    return total / sum_reference(jnp.ones_like(x), window_shape, strides, padding)


def _normal(*shape: int) -> Any:
    return lambda key, dtype: (jax.random.normal(key, shape, dtype),)


_OVERLAPPING = (
    Case("3x3, stride 2", _normal(1, 7, 9, 2), {"window_shape": (3, 3), "strides": (2, 2)}),
    Case(
        "3x3, stride 2, SAME",
        _normal(1, 6, 5, 2),
        {"window_shape": (3, 3), "strides": (2, 2), "padding": "SAME"},
    ),
    Case("3x2, stride 1, padded", _normal(2, 5, 4, 2), {"window_shape": (3, 2), "padding": ((1, 2), (0, 1))}),
    Case("window 2, stride 3: gaps", _normal(2, 8, 2), {"window_shape": (2,), "strides": (3,)}),
    Case("three axes", _normal(1, 3, 4, 3, 1), {"window_shape": (2, 2, 2), "strides": (1, 2, 1)}),
)
_TILES = (
    Case("2x2, stride 2", _normal(2, 4, 6, 3), {"window_shape": (2, 2), "strides": (2, 2)}),
    Case("2x2, stride 2, a row left over", _normal(1, 5, 4, 2), {"window_shape": (2, 2), "strides": (2, 2)}),
    Case("5x4, stride 1: axis by axis", _normal(1, 7, 6, 2), {"window_shape": (5, 4), "padding": "SAME"}),
    Case("the whole picture", _normal(2, 3, 3, 2), {"window_shape": (3, 3)}),
)
_UNPADDED = tuple(
    Case(f"{case.name}, only what is seen", case.make, {**case.settings, "count_include_pad": False})
    for case in _OVERLAPPING[1:3]
)

RULES = (
    Rule(
        name="sum pooling",
        function=sum_pool,
        reference=sum_reference,
        forward=r"x_{out}[o] = \sum_j x_{in}[o s + j - l]",
        backward=r"g_{in}[i] = \sum_{o, j:\; o s + j - l = i} g_{out}[o]",
        saved="nothing: the map is linear. Sums are taken in the input's dtype, as reduce_window does",
        source="jax.lax.reduce_window",
        cases=_OVERLAPPING + _TILES,
        exact=False,  # side by side and axis by axis, the terms are added in another order
    ),
    Rule(
        name="average pooling",
        function=avg_pool,
        reference=avg_reference,
        forward=r"x_{out}[o] = \frac{1}{n_o} \sum_j x_{in}[o s + j - l]",
        backward=r"g_{in}[i] = \sum_{o, j:\; o s + j - l = i} \frac{g_{out}[o]}{n_o}",
        saved="nothing: the map is linear. Sums are taken in the input's dtype, as reduce_window does",
        source="flax.linen.avg_pool",
        cases=_OVERLAPPING + _TILES + _UNPADDED,
        exact=False,  # as above
    ),
    Rule(
        name="global average pooling",
        function=global_avg_pool,
        reference=lambda x, keepdims=False: jnp.mean(x, range(1, x.ndim - 1), keepdims=keepdims),
        forward=r"x_{out}[c] = \frac{1}{n} \sum_i x_{in}[i, c]",
        backward=r"g_{in}[i, c] = \frac{1}{n}\, g_{out}[c]",
        saved="nothing: the map is linear. bfloat16 and float16 are summed in float32",
        source="Lin et al. 2013, Network in Network; jnp.mean",
        cases=(
            Case("two spatial axes", _normal(2, 3, 5, 4)),
            Case("one spatial axis, kept", _normal(2, 5, 4), {"keepdims": True}),
        ),
    ),
)
