"""Max-pooling with its backward rule written by hand.

    x_out[o] = max_j x_in[o * stride + j - low]
    g_in[i]  = sum over (o, j) that read i of  g_out[o]  where j is the winning tap of window o

The backward pass is a gather (see `windows`): every pixel asks the windows that read it whether it won. XLA's own is a
scatter, 15 to 60 times slower on CPUs. Where windows lie side by side, asking is one comparison on a reshaped view;
large windows are pooled axis by axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial, reduce
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

NO_TAP = -1


def max_pool(
    x: Array,
    window_shape: Sizes,
    strides: Sizes | None = None,
    padding: Padding = "VALID",
    window_dilation: Sizes | None = None,
) -> Array:
    """Maximum over sliding windows; a drop-in for `flax.linen.max_pool` with a fast gradient.

    Args:
      x: [*batch, *spatial, C], any floating dtype; as many spatial axes as `window_shape` has entries.
      window_shape: taps along every spatial axis.
      strides: step along every spatial axis; all 1 when left out.
      padding: 'SAME', 'VALID', one number, or (low, high) for every spatial axis; padded with -inf.
      window_dilation: distance between taps. Dilated windows, and those of more than 100 taps along an axis, are
        XLA's own.

    Returns:
      [*batch, *positions, C], of x's dtype.

    Raises:
      InvalidInput: integers or complex numbers, or a window that does not fit into the picture.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.array([1.0, 3.0, 3.0, 2.0]).reshape(1, 4, 1)
      >>> max_pool(x, (2,), (2,)).ravel()
      Array([3., 3.], dtype=float32)
      >>> jax.grad(lambda x: max_pool(x, (4,)).sum())(x).ravel()  # a tie goes to the first
      Array([0., 1., 0., 0.], dtype=float32)
    """
    window, strides = checked(x, window_shape, strides)
    dilation = tuple(window_dilation or (1,) * len(window))
    if len(dilation) != len(window) or min(dilation) < 1:
        raise InvalidInput(
            f"window_dilation {dilation} for a window {window}",
            "one distance of at least 1 for every spatial axis",
            f"window_dilation={(1,) * len(window)}",
        )
    spread = [(size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)]
    if max(window) > MOST_TAPS or max(dilation) > 1:
        return pooled(partial(_plain, window=window, dilation=dilation), x, spread, strides, padding)
    return pooled(_in_steps, x, window, strides, padding)


def _in_steps(x: Array, axes: tuple[Axis, ...]) -> Array:
    for step in in_steps(axes):
        x = _max_pool(x, axes=step)
    return x


# ---- forward ------------------------------------------------------------------------------------------------


def _plain(x: Array, axes: tuple[Axis, ...], window: Sizes, dilation: Sizes) -> Array:
    return lax.reduce_window(
        x,
        -jnp.inf,
        lax.max,
        (1, *window, 1),
        (1, *(axis.stride for axis in axes), 1),
        ((0, 0), *((axis.low, axis.high) for axis in axes), (0, 0)),
        window_dilation=(1, *dilation, 1),
    )


def _largest(x: Array, axes: tuple[Axis, ...]) -> Array:
    """The maximum axis by axis: 3 + 3 comparisons for a 3x3 window, not 9. No winner is needed here."""
    x = pad_inputs(x, axes, -jnp.inf)
    for dimension, axis in enumerate(axes, start=1):
        span = (axis.outputs - 1) * axis.stride + 1
        x = reduce(
            jnp.maximum,
            [lax.slice_in_dim(x, j, j + span, axis.stride, dimension) for j in range(axis.size)],
        )
    return x


def _largest_and_winner(x: Array, axes: tuple[Axis, ...]) -> tuple[Array, Array]:
    """The maximum, and the number of the tap it came from.

    `chosen` follows XLA's select-and-scatter to the bit: a tap yields when it is not >= the next. It differs from
    the maximum only in windows that hold a NaN, where the value is NaN and the winner the last choice made after it.
    """
    padded = pad_inputs(x, axes, -jnp.inf)
    first, *rest = (read_tap(padded, axes, tap) for tap in taps(axes))
    largest, chosen = first, first
    dtype = _winner_dtype(axes)
    winner = jnp.zeros(first.shape, dtype)
    for number, candidate in enumerate(rest, start=1):
        stays = chosen >= candidate
        winner = jnp.where(stays, winner, jnp.asarray(number, dtype))
        chosen = jnp.where(stays, chosen, candidate)
        largest = jnp.maximum(largest, candidate)
    return largest, winner


def _winner_dtype(axes: Sequence[Axis]) -> Any:
    return np.min_scalar_type(-math.prod(axis.size for axis in axes))


# ---- backward -----------------------------------------------------------------------------------------------
# Saved: the winning tap of every window, one byte each; neither x_in nor x_out.


def _pull(winner: Array, g_out: Array, axes: tuple[Axis, ...]) -> Array:
    """J^T: every pixel collects from the windows that it won."""
    if side_by_side(axes):
        mine = tiled(winner, axes) == _tap_numbers(axes)
        return untiled(jnp.where(mine, tiled(g_out, axes), 0), axes)
    numbers = {tap: number for number, tap in enumerate(taps(axes))}
    winner, g_out = pad_outputs(winner, axes, NO_TAP), pad_outputs(g_out, axes, 0)
    parts = []
    for pairs in phases(axes):
        part = jnp.zeros((g_out.shape[0], *(axis.rows for axis in axes), g_out.shape[-1]), g_out.dtype)
        for tap, offset in pairs:
            won = read_offset(winner, axes, offset) == numbers[tap]
            part += jnp.where(won, read_offset(g_out, axes, offset), 0)
        parts.append(part)
    return weave(parts, axes)


def _push(winner: Array, x_dot: Array, axes: tuple[Axis, ...]) -> Array:
    """J: every window takes the change of its winner."""
    padded = pad_inputs(x_dot, axes, 0)
    changes = (read_tap(padded, axes, tap) for tap in taps(axes))
    return reduce(
        lambda total, tap: jnp.where(winner == tap[0], tap[1], total),
        enumerate(changes),
        jnp.zeros(winner.shape, x_dot.dtype),
    )


def _tap_numbers(axes: Sequence[Axis]) -> np.ndarray:
    """Row-major numbers of the taps, [1, *(1, size), 1]."""
    sizes = [axis.size for axis in axes]
    numbers = np.arange(math.prod(sizes), dtype=_winner_dtype(axes))
    return numbers.reshape(1, *(n for size in sizes for n in (1, size)), 1)


# The maximum when its winner is known. At second order the value itself is differentiated, and the comparisons that
# found it would share a tie between the tied, where the first order gave it to the first.
_won: Callable[..., Any] = operation(
    "max_pool",
    lambda x, largest, winner, axes: largest,
    Backward(save=lambda inputs, *_, axes: inputs[2], pull=_pull, push=_push),
    None,
    None,
    extra=lambda x, largest, winner, axes: (_won(x, largest, winner, axes=axes), None),
)


def _won_and_winner(x: Array, axes: tuple[Axis, ...]) -> tuple[Array, Array]:
    largest, winner = _largest_and_winner(lax.stop_gradient(x), axes)
    return _won(x, largest, winner, axes=axes), winner


_max_pool = operation(
    "max_pool",
    _largest,
    Backward(save=lambda inputs, x_out, winner, axes: winner, pull=_pull, push=_push),
    extra=_won_and_winner,
)


# ---- record -------------------------------------------------------------------------------------------------


def reference(x: Array, window_shape: Sizes, strides: Sizes | None = None, padding: Any = "VALID") -> Array:
    """The plain JAX program of the same values, for x [N, *spatial, C]."""
    pads = padding if isinstance(padding, str) else ((0, 0), *padding, (0, 0))
    steps = strides or (1,) * len(window_shape)
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *window_shape, 1), (1, *steps, 1), pads)


def distinct(*shape: int) -> Any:
    """Draws in which any two numbers differ by at least 0.05 or so, so that no difference steps over a tie."""

    def make(key: Array, dtype: Any) -> tuple[Array]:
        count = math.prod(shape)
        return ((jax.random.permutation(key, count).reshape(shape) / 16 - count / 32).astype(dtype),)

    return make


CASES = (
    Case("2x2, stride 2", distinct(2, 4, 6, 3), {"window_shape": (2, 2), "strides": (2, 2)}),
    Case("2x2, stride 2, a row left over", distinct(1, 5, 4, 2), {"window_shape": (2, 2), "strides": (2, 2)}),
    Case("3x3, stride 2", distinct(1, 7, 9, 2), {"window_shape": (3, 3), "strides": (2, 2)}),
    Case(
        "3x3, stride 2, padded",
        distinct(1, 6, 5, 2),
        {"window_shape": (3, 3), "strides": (2, 2), "padding": ((1, 1), (1, 1))},
    ),
    Case("3x2, stride 1, SAME", distinct(2, 5, 4, 2), {"window_shape": (3, 2), "padding": "SAME"}),
    Case("window 2, stride 3: gaps", distinct(2, 8, 2), {"window_shape": (2,), "strides": (3,)}),
    Case("5x4, stride 1: axis by axis", distinct(1, 7, 6, 2), {"window_shape": (5, 4), "padding": "SAME"}),
    Case("the whole picture", distinct(2, 5, 5, 2), {"window_shape": (5, 5)}),
    Case("three axes", distinct(1, 3, 4, 3, 1), {"window_shape": (2, 2, 2), "strides": (1, 2, 1)}),
)

RULES = (
    Rule(
        name="max pooling",
        function=max_pool,
        reference=reference,
        forward=r"x_{out}[o] = \max_j\, x_{in}[o s + j - l]",
        backward=r"g_{in}[i] = \sum_{o, j:\; o s + j - l = i} g_{out}[o]\,[j = j^*(o)]",
        saved="the winning tap j*(o) of every window: one byte each, and neither x_in nor x_out; "
        "with more than 16 taps, the winner along every axis in turn",
        kinks="a tie goes to the first tap in row-major order, as in XLA's select-and-scatter",
        source="jax.lax.reduce_window, flax.linen.max_pool",
        cases=CASES,
    ),
)
