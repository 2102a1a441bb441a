"""What is static about a convolution of pictures [N, *space, C] with kernels [*taps, C / groups, D].

    x_out[o, d] = sum_{j, c} x_in[(o * stride + j * dilation - low) / spread, c] W[j, c, d]

summed over the taps whose reading position exists: not outside the picture, and, where the picture is spread
(dilated, as in a transposed convolution), on a pixel and not between two.

Every formulation of convolution, and of its gradients, gets the same `Shape`; here are also the checks that make one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from diffprog.errors import InvalidInput
from diffprog.rules.core.windows import Axis, Padding, window_axes


class Shape(NamedTuple):
    """Geometry of one convolution.

    Attributes:
      axes: one window for every spatial axis, over the spread picture; `size` is the reach of the dilated kernel.
      spread: distance between neighbouring pixels of the picture (`lhs_dilation`).
      dilation: distance between neighbouring taps of the kernel (`rhs_dilation`).
      groups: input and output channels are split into so many groups that do not see each other.
    """

    axes: tuple[Axis, ...]
    spread: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Taps along every spatial axis."""
        return tuple((axis.size - 1) // d + 1 for axis, d in zip(self.axes, self.dilation, strict=True))

    @property
    def lengths(self) -> tuple[int, ...]:
        """Pixels of the picture along every spatial axis."""
        return tuple((axis.length - 1) // s + 1 for axis, s in zip(self.axes, self.spread, strict=True))

    @property
    def outputs(self) -> tuple[int, ...]:
        """Window positions along every spatial axis."""
        return tuple(axis.outputs for axis in self.axes)

    @property
    def strides(self) -> tuple[int, ...]:
        """Step of the window along every spatial axis."""
        return tuple(axis.stride for axis in self.axes)

    @property
    def taps(self) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Every tap, row-major: (its index in the kernel, its distance from the window's start)."""
        for index in product(*map(range, self.sizes)):
            yield index, tuple(j * d for j, d in zip(index, self.dilation, strict=True))

    @property
    def dense_taps(self) -> bool:
        """Neither the picture nor the kernel is dilated."""
        return set(self.spread) == set(self.dilation) == {1}


def convolution_shape(
    x: tuple[int, ...],
    W: tuple[int, ...],
    strides: Sequence[int],
    padding: Padding,
    spread: Sequence[int] | None = None,
    dilation: Sequence[int] | None = None,
    groups: int = 1,
) -> Shape:
    """The geometry of convolving [N, *space, C] with [*taps, C / groups, D], or an error that says what is wrong.

    Args:
      x: shape of the pictures.
      W: shape of the kernels.
      strides: step along every spatial axis.
      padding: 'SAME', 'SAME_LOWER', 'VALID', or (low, high) for every spatial axis; negative crops.
      spread: `lhs_dilation`; all 1 when left out.
      dilation: `rhs_dilation`; all 1 when left out.
      groups: `feature_group_count`.

    Raises:
      InvalidInput: shapes that do not fit, no element, a window that fits nowhere.
    """
    space = len(x) - 2
    spread = (1,) * space if spread is None else tuple(map(int, spread))
    dilation = (1,) * space if dilation is None else tuple(map(int, dilation))
    _check_arrays(x, W, groups)
    _check_settings(space, tuple(strides), padding, spread, dilation)
    lengths = [(n - 1) * s + 1 for n, s in zip(x[1:-1], spread, strict=True)]
    reach = [(k - 1) * d + 1 for k, d in zip(W[:-2], dilation, strict=True)]
    return Shape(window_axes(lengths, reach, tuple(map(int, strides)), padding), spread, dilation, groups)


def _check_arrays(x: tuple[int, ...], W: tuple[int, ...], groups: int) -> None:
    if len(x) != len(W) or len(x) < 2:
        raise InvalidInput(
            f"pictures of shape {x} and kernels of shape {W}",
            "the same number of axes: [N, *space, C] and [*taps, C / groups, D]",
            "add the missing axis, for example x[None] for one picture",
        )
    if 0 in x[1:] or 0 in W:
        raise InvalidInput(
            f"pictures of shape {x} and kernels of shape {W}",
            "at least one pixel, one tap and one channel",
            "drop the layer, or look at what made its input empty",
        )
    if groups < 1 or x[-1] != W[-2] * groups or W[-1] % groups:
        raise InvalidInput(
            f"{x[-1]} input channels, {groups} groups, and kernels of {W[-2]} input and {W[-1]} output channels",
            "groups that divide both, and kernels that see C / groups input channels",
            f"a kernel of shape {(*W[:-2], max(1, x[-1] // max(1, groups)), W[-1])}, or another number of groups",
        )


def _check_settings(
    space: int, strides: Sequence[int], padding: Padding, spread: Sequence[int], dilation: Sequence[int]
) -> None:
    for name, values in (("strides", strides), ("lhs_dilation", spread), ("rhs_dilation", dilation)):
        if len(values) != space or min(values, default=1) < 1:
            raise InvalidInput(
                f"{name} {tuple(values)} for {space} spatial axes",
                "one whole number of at least 1 for every spatial axis",
                f"{name}={(1,) * space}",
            )
    if isinstance(padding, str):
        if padding.upper() not in ("SAME", "SAME_LOWER", "VALID") or set(spread) - {1}:
            raise InvalidInput(
                f"padding {padding!r} with lhs_dilation {tuple(spread)}",
                "'SAME', 'SAME_LOWER' or 'VALID', and those only where the picture is not dilated",
                "a (low, high) pair for every spatial axis",
            )
    elif isinstance(padding, int) or len(padding) != space or not all(map(_is_pair, padding)):
        raise InvalidInput(
            f"padding {padding} for {space} spatial axes",
            "'SAME', 'SAME_LOWER', 'VALID', or one (low, high) pair for every spatial axis",
            f"padding={((0, 0),) * space}",
        )


def _is_pair(pad: int | Sequence[int]) -> bool:
    return not isinstance(pad, int) and len(pad) == 2
