"""Sums over sliding windows, with their backward rule.

    x_out[o] = sum_j x_in[o * stride + j - low]           g_in[i] = sum over the windows o that read i of g_out[o]

The map is linear, so nothing is saved. The backward pass is a gather by phases (see `windows`), 10 times faster on
CPUs than XLA's, which spreads g_out with holes and pools again.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from diffprog.rules import choice
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.core.windows import (
    Axis,
    Padding,
    interleave,
    pad_inputs,
    pad_outputs,
    phases,
    read_offset,
    read_tap,
    taps,
)
from diffprog.rules.pooling.windows import (
    MOST_TAPS,
    Sizes,
    checked,
    in_steps,
    pooled,
    side_by_side,
    tiled,
    untiled,
)

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
    return interleave(parts, axes)


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
      InvalidInput: a window that does not fit into the picture.

    Example:
      >>> import jax.numpy as jnp
      >>> sum_pool(jnp.array([1.0, 2.0, 4.0]).reshape(1, 3, 1), (2,)).ravel()
      Array([3., 6.], dtype=float32)
    """
    window, strides = checked(x, window_shape, strides)
    fast = max(window, default=0) <= MOST_TAPS and choice.applies(x)
    return pooled(_in_steps if fast else _plain_sums, x, window, strides, padding)


def _in_steps(x: Array, axes: tuple[Axis, ...]) -> Array:
    for step in in_steps(axes):
        x = _sum_pool(x, axes=step)
    return x


def _plain_sums(x: Array, axes: tuple[Axis, ...]) -> Array:
    sizes, strides = (tuple(getattr(axis, name) for axis in axes) for name in ("size", "stride"))
    pads = ((0, 0), *((axis.low, axis.high) for axis in axes), (0, 0))
    zero = np.zeros((), x.dtype)[()]
    return lax.reduce_window(x, zero, lax.add, (1, *sizes, 1), (1, *strides, 1), pads)


# ---- record -------------------------------------------------------------------------------------------------


def sum_reference(
    x: Array, window_shape: Sizes, strides: Sizes | None = None, padding: Any = "VALID"
) -> Array:
    """The plain JAX program of the same sums, for x [N, *spatial, C]."""
    pads = padding if isinstance(padding, str) else ((0, 0), *padding, (0, 0))
    return lax.reduce_window(
        x, 0.0, lax.add, (1, *window_shape, 1), (1, *(strides or (1,) * len(window_shape)), 1), pads
    )


def normal(*shape: int) -> Any:
    return lambda key, dtype: (jax.random.normal(key, shape, dtype),)


OVERLAPPING = (
    Case("3x3, stride 2", normal(1, 7, 9, 2), {"window_shape": (3, 3), "strides": (2, 2)}),
    Case(
        "3x3, stride 2, SAME",
        normal(1, 6, 5, 2),
        {"window_shape": (3, 3), "strides": (2, 2), "padding": "SAME"},
    ),
    Case("3x2, stride 1, padded", normal(2, 5, 4, 2), {"window_shape": (3, 2), "padding": ((1, 2), (0, 1))}),
    Case("window 2, stride 3: gaps", normal(2, 8, 2), {"window_shape": (2,), "strides": (3,)}),
    Case("three axes", normal(1, 3, 4, 3, 1), {"window_shape": (2, 2, 2), "strides": (1, 2, 1)}),
)
TILES = (
    Case("2x2, stride 2", normal(2, 4, 6, 3), {"window_shape": (2, 2), "strides": (2, 2)}),
    Case("2x2, stride 2, a row left over", normal(1, 5, 4, 2), {"window_shape": (2, 2), "strides": (2, 2)}),
    Case("5x4, stride 1: axis by axis", normal(1, 7, 6, 2), {"window_shape": (5, 4), "padding": "SAME"}),
    Case("the whole picture", normal(2, 3, 3, 2), {"window_shape": (3, 3)}),
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
        cases=OVERLAPPING + TILES,
        exact=False,  # side by side and axis by axis, the terms are added in another order
    ),
)
