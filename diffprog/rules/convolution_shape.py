"""What is static about a convolution of pictures [N, *space, C] with kernels [*taps, C / groups, D].

    x_out[o, d] = sum_{j, c} x_in[(o * stride + j * dilation - low) / spread, c] W[j, c, d]

summed over the taps whose reading position exists: not outside the picture, and, where the picture is spread
(dilated, as in a transposed convolution), on a pixel and not between two.

Every formulation of convolution, and of its gradients, gets the same `Shape`; here are also the checks that make one,
and the operation as XLA has it, which is what remains where no formulation is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from diffprog.errors import InvalidInput
from diffprog.rules.windows import Axis, Padding, window_axes


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


# ---- the operation and its gradients as XLA has them ----------------------------------------------------------


def channels_last(space: int) -> lax.ConvDimensionNumbers:
    """[N, *space, C], [*taps, C, D] -> [N, *space, D]."""
    pictures = (0, space + 1, *range(1, space + 1))
    return lax.ConvDimensionNumbers(pictures, (space + 1, space, *range(space)), pictures)


def plain(x: Array, W: Array, shape: Shape) -> Array:
    """The convolution by XLA."""
    return lax.conv_general_dilated(
        x,
        W,
        shape.strides,
        [(axis.low, axis.high) for axis in shape.axes],
        shape.spread,
        shape.dilation,
        channels_last(len(shape.axes)),
        shape.groups,
    )


def mirrored(W: Array, groups: int = 1) -> Array:
    """The kernel of the input gradient: taps flipped, input and output channels swapped within each group."""
    space = W.ndim - 2
    split = jnp.flip(W, tuple(range(space))).reshape(*W.shape[:-1], groups, W.shape[-1] // groups)
    swapped = jnp.moveaxis(split, space, -1)  # (*taps, C, groups, D) -> (*taps, groups, D, C)
    return jnp.moveaxis(swapped, space, space + 1).reshape(*W.shape[:-2], W.shape[-1] // groups, -1)


def plain_input_gradient(g: Array, W: Array, shape: Shape) -> Array:
    """g_in: g_out spread by the stride, convolved with the mirrored kernel (XLA's forward convolution)."""
    back = [
        Axis((a.outputs - 1) * a.stride + 1, a.size, s, a.size - 1 - a.low, 0)
        for a, s in zip(shape.axes, shape.spread, strict=True)
    ]
    # As many positions as the spread picture has: stepping over them by `spread` meets the pixels.
    highs = [a.length + a.size - 1 - b.length - b.low for a, b in zip(shape.axes, back, strict=True)]
    axes = tuple(b._replace(high=high) for b, high in zip(back, highs, strict=True))
    return plain(g, mirrored(W, shape.groups), Shape(axes, shape.strides, shape.dilation, shape.groups))


def plain_weight_gradient(x: Array, g: Array, shape: Shape) -> Array:
    """g_W: pictures convolved with g_out as the kernel, the batch being what is summed over."""
    space = len(shape.axes)
    pads = []
    for axis in shape.axes:
        reach = (axis.outputs - 1) * axis.stride + 1
        pads.append((axis.low, reach + axis.size - 1 - axis.length - axis.low))
    numbers = lax.ConvDimensionNumbers(
        (space + 1, 0, *range(1, space + 1)),
        (space + 1, 0, *range(1, space + 1)),
        (space, space + 1, *range(space)),
    )
    return lax.conv_general_dilated(
        x, g, shape.dilation, pads, shape.spread, shape.strides, numbers, batch_group_count=shape.groups
    )


class Formulation(NamedTuple):
    """One way to compute a convolution and its two gradients.

    Attributes:
      forward: `(x_in, W, shape) -> x_out`.
      input_gradient: `(g_out, W, shape) -> g_in`.
      weight_gradient: `(x_in, g_out, shape) -> g_W`.
    """

    forward: Callable[[Array, Array, Shape], Array] = plain
    input_gradient: Callable[[Array, Array, Shape], Array] = plain_input_gradient
    weight_gradient: Callable[[Array, Array, Shape], Array] = plain_weight_gradient
