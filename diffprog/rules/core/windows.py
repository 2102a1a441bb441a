"""The geometry of sliding windows: where a tap reads forward, and which outputs a pixel feeds backward.

A window of `size` taps slides with a `stride` over an axis padded by `low` and `high`. Forward, tap j of
output o reads input  i = o * stride + j - low.  Backward the same relation is read the other way, without
scattering: inputs are split into `stride` phases, i = a * stride + p, and all inputs of one phase collect
from the same taps at the same offsets,

    j = r + stride * m,   r = (p + low) mod stride,   o = a + (p + low - j) / stride,

so that a phase is a sum of contiguous slices, and the phases interleaved are the gradient. This is what
lets every backward pass here be a gather that XLA turns into one vectorised loop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from diffprog.errors import InvalidInput

Padding = str | int | Sequence[int | tuple[int, int]]


class Axis(NamedTuple):
    """One spatial axis of a sliding window: input length, taps, stride and padding on both sides."""

    length: int
    size: int
    stride: int
    low: int
    high: int

    @property
    def outputs(self) -> int:
        """Number of window positions."""
        return (self.length + self.low + self.high - self.size) // self.stride + 1

    @property
    def rows(self) -> int:
        """Inputs in one phase, the last one possibly beyond the end."""
        return math.ceil(self.length / self.stride)

    def phase(self, p: int) -> list[tuple[int, int]]:
        """The (tap, offset) pairs that feed inputs of phase p: input a reads output a + offset."""
        first = (p + self.low) % self.stride
        return [(j, (p + self.low - j) // self.stride) for j in range(first, self.size, self.stride)]

    @property
    def margins(self) -> tuple[int, int]:
        """Padding of the outputs so that every offset of every phase stays inside."""
        offsets = [offset for p in range(self.stride) for _, offset in self.phase(p)]
        return max(0, -min(offsets)), max(0, self.rows + max(offsets) - self.outputs)


def window_axes(
    lengths: Sequence[int], sizes: Sequence[int], strides: Sequence[int], padding: Padding
) -> tuple[Axis, ...]:
    """The axes of a window, with 'SAME' and 'VALID' resolved as XLA does."""
    if isinstance(padding, str):
        pads = lax.padtype_to_pads(lengths, sizes, strides, padding)
    elif isinstance(padding, int):
        pads = [(padding, padding)] * len(lengths)
    else:
        pads = [(p, p) if isinstance(p, int) else (p[0], p[1]) for p in padding]
    axes = tuple(Axis(*a, *p) for a, p in zip(zip(lengths, sizes, strides, strict=True), pads, strict=True))
    for number, axis in enumerate(axes):
        if min(axis.size, axis.stride) < 1 or axis.outputs < 1:
            raise InvalidInput(
                f"a window of {axis.size} taps, stride {axis.stride}, padding {(axis.low, axis.high)} "
                f"over {axis.length} pixels (spatial axis {number})",
                "a window and stride of at least 1 that fit into the padded picture at least once",
                "a larger picture, a smaller window, or more padding",
            )
    return axes


def taps(axes: Sequence[Axis]) -> Iterator[tuple[int, ...]]:
    """All taps of the window, row-major."""
    return product(*(range(axis.size) for axis in axes))


def read_tap(padded: Array, axes: Sequence[Axis], tap: Sequence[int]) -> Array:
    """What one tap sees at every window position: [N, *padded, C] -> [N, *outputs, C]."""
    starts = (0, *tap, 0)
    spans = [(axis.outputs - 1) * axis.stride + 1 for axis in axes]
    limits = (padded.shape[0], *(j + span for j, span in zip(tap, spans, strict=True)), padded.shape[-1])
    return lax.slice(padded, starts, limits, (1, *(axis.stride for axis in axes), 1))


def pad_inputs(x: Array, axes: Sequence[Axis], value: float) -> Array:
    """Pad (or crop, where padding is negative) the spatial axes of the input."""
    fill = jnp.asarray(value, x.dtype)
    return lax.pad(x, fill, ((0, 0, 0), *((axis.low, axis.high, 0) for axis in axes), (0, 0, 0)))


def pad_outputs(g: Array, axes: Sequence[Axis], value: float) -> Array:
    """Pad what came out of the windows by the margins that the phases read."""
    fill = jnp.asarray(value, g.dtype)
    return lax.pad(g, fill, ((0, 0, 0), *((*axis.margins, 0) for axis in axes), (0, 0, 0)))


def phases(axes: Sequence[Axis]) -> Iterator[list[tuple[tuple[int, ...], tuple[int, ...]]]]:
    """For every phase, row-major: its (tap, offset) pairs over all axes."""
    for p in product(*(range(axis.stride) for axis in axes)):
        per_axis = [axis.phase(q) for axis, q in zip(axes, p, strict=True)]
        yield [(tuple(j for j, _ in c), tuple(o for _, o in c)) for c in product(*per_axis)]


def read_offset(padded: Array, axes: Sequence[Axis], offset: Sequence[int]) -> Array:
    """The outputs at `offset` from every input of a phase: [N, *padded, C] -> [N, *rows, C]."""
    starts = [axis.margins[0] + o for axis, o in zip(axes, offset, strict=True)]
    limits = [start + axis.rows for axis, start in zip(axes, starts, strict=True)]
    return lax.slice(padded, (0, *starts, 0), (padded.shape[0], *limits, padded.shape[-1]))


def interleave(parts: Sequence[Array], axes: Sequence[Axis]) -> Array:
    """Join the phases (row-major, each [N, *rows, C]) to one [N, *lengths, C].

    All axes are stacked before anything is reshaped: reshaping between two stacks costs XLA a copy (1.5 times slower
    for 3x3 windows at stride 2).
    """
    parts = list(parts)
    for number in reversed(range(len(axes))):
        stride = axes[number].stride
        parts = [jnp.stack(parts[i : i + stride], axis=number + 2) for i in range(0, len(parts), stride)]
    (whole,) = parts
    whole = whole.reshape(whole.shape[0], *(axis.rows * axis.stride for axis in axes), whole.shape[-1])
    return whole[(slice(None), *(slice(axis.length) for axis in axes))]
