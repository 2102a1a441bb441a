"""What all pooling shares: arguments checked in Flax's terms, and pictures brought to [N, *spatial, C].

Flax pools any number of leading batch dimensions, none included; the geometry of `windows` has exactly one. The batch
dimensions are folded to one on the way in and unfolded on the way out, which moves no data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from diffprog.errors import InvalidInput
from diffprog.rules import choice
from diffprog.rules.core.axes import whole
from diffprog.rules.core.windows import Axis, Padding, window_axes

Sizes = Sequence[int]

MOST_TAPS = (
    100  # Along one axis: every tap is a slice in the program, and beyond this compiling takes seconds.
)


def pooled(
    pool: Callable[[Array, tuple[Axis, ...]], Array],
    x: Array,
    window: Sizes,
    strides: Sizes | None,
    padding: Padding,
) -> Array:
    """`pool` over the windows of x [*batch, *spatial, C], with all batch dimensions folded to one."""
    window, strides = checked(x, window, strides)
    space = x.ndim - 1 - len(window)
    axes = window_axes(x.shape[space:-1], window, strides, _pairs(padding, len(window)))
    out = pool(x.reshape(math.prod(x.shape[:space]), *x.shape[space:]), axes)
    return out.reshape(*x.shape[:space], *out.shape[1:])


def checked(x: Array, window: Sizes, strides: Sizes | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Window and strides as tuples of integers, of lengths that fit the array x."""
    window = whole("pooling", "window_shape", window)
    strides = (1,) * len(window) if strides is None else whole("pooling", "strides", strides)
    if not window or jnp.ndim(x) < len(window) + 1 or len(strides) != len(window):
        raise InvalidInput(
            f"a window {window} with strides {strides} over an array of shape {jnp.shape(x)}",
            "one size and one stride for every spatial axis of [*batch, *spatial, channels]",
            "a window with one entry for each axis between batch and channels",
        )
    return window, strides


def in_steps(axes: Sequence[Axis]) -> list[tuple[Axis, ...]]:
    """A window of many taps as one window for every axis, the last axis first, which keeps ties row-major.

    Window by window costs the product of the sizes, axis by axis their sum and an array in between.
    """
    axes = tuple(map(_lone, axes))
    if math.prod(axis.size for axis in axes) <= choice.size("pooling: axis by axis beyond"):
        return [axes]
    steps = []
    for number in reversed(range(len(axes))):
        before = [Axis(axis.length, 1, 1, 0, 0) for axis in axes[:number]]
        after = [Axis(axis.outputs, 1, 1, 0, 0) for axis in axes[number + 1 :]]
        steps.append((*before, axes[number], *after))
    return steps


def _lone(axis: Axis) -> Axis:
    """A lone window can have any stride that leaves it alone; with its own size it counts as side by side."""
    tight = axis._replace(stride=axis.size)
    return tight if axis.outputs == tight.outputs == 1 else axis


def _pairs(padding: Padding, axes: int) -> Padding:
    if isinstance(padding, str):
        if padding.upper() not in ("SAME", "VALID", "SAME_LOWER"):
            raise _bad_padding(padding, axes)
        return padding
    if isinstance(padding, int):
        return padding
    pairs: list[Any] = [(p, p) if isinstance(p, int) else tuple(p) for p in padding]
    if len(pairs) != axes or any(len(pair) != 2 for pair in pairs):
        raise _bad_padding(padding, axes)
    return [(index(low), index(high)) for low, high in pairs]


def _bad_padding(padding: Any, axes: int) -> InvalidInput:
    return InvalidInput(
        f"padding {padding!r}",
        f"'SAME', 'VALID', one number, or {axes} pairs (low, high), one for every spatial axis",
        f"padding={((1, 1),) * axes}",
    )


def side_by_side(axes: Sequence[Axis]) -> bool:
    """Whether the windows neither overlap nor leave gaps, so that a reshape is all it takes to see them."""
    return all(axis.size == axis.stride for axis in axes)


def tiled(g: Array, axes: Sequence[Axis]) -> Array:
    """Give every window its own dimensions, all of size 1: [N, *outputs, C] -> [N, *(outputs, 1), C]."""
    return jnp.expand_dims(g, tuple(2 * number + 2 for number in range(len(axes))))


def untiled(parts: Array, axes: Sequence[Axis]) -> Array:
    """Lay windows side by side: [N, *(outputs, size), C] -> [N, *lengths, C], zero where no window reads."""
    covered = [axis.outputs * axis.size for axis in axes]
    whole = parts.reshape(parts.shape[0], *covered, parts.shape[-1])
    rest = [(-a.low, a.length + a.low - c, 0) for a, c in zip(axes, covered, strict=True)]
    return lax.pad(whole, jnp.zeros((), whole.dtype), [(0, 0, 0), *rest, (0, 0, 0)])
