"""The maximum of a window and who won it: the formulas of max-pooling, forward and backward.

    x_out[o] = max_j x_in[o * stride + j - low]
    g_in[i]  = sum over (o, j) that read i of  g_out[o]  where j is the winning tap of window o

The backward pass is a gather (see `windows`): every pixel asks the windows that read it whether it won. XLA's own is a
scatter, 15 to 60 times slower on CPUs. Where windows lie side by side, asking is one comparison on a reshaped view.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from diffprog.rules.core.anatomy import Backward, operation
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
from diffprog.rules.pooling.windows import (
    side_by_side,
    tiled,
    untiled,
)

NO_TAP = -1

# ---- forward ------------------------------------------------------------------------------------------------


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
    return interleave(parts, axes)


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


max_pool_of_axes = operation(
    "max_pool",
    _largest,
    Backward(save=lambda inputs, x_out, winner, axes: winner, pull=_pull, push=_push),
    extra=_won_and_winner,
)
