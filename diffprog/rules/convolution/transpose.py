"""Transposed convolution, as a drop-in for `jax.lax.conv_transpose`.

It is the convolution of a picture whose pixels are spread by `strides`; the formulas are in `transposed`. This module
only turns its arguments into those of `conv_general_dilated`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from diffprog.errors import InvalidInput
from diffprog.rules.convolution.general import conv_general_dilated, given, is_channels_last
from diffprog.rules.convolution.plain import channels_last


def conv_transpose(
    lhs: Array,
    rhs: Array,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    precision: Any = None,
    preferred_element_type: Any = None,
    **rest: Any,
) -> Array:
    """Convolve pictures spread by `strides`; same arguments and values as `jax.lax.conv_transpose`.

    Args:
      lhs: [N, *spatial, C] for the fast rules; any layout otherwise.
      rhs: [*taps, C, D], or [*taps, D, C] with `transpose_kernel`.
      strides: distance of neighbouring pixels in the output.
      padding: 'SAME' (outputs = spatial * strides), 'VALID', or (low, high) of the spread picture.
      rhs_dilation, dimension_numbers, precision, preferred_element_type, rest: as in `jax.lax`.
      transpose_kernel: flip the taps and swap the channels: the transpose of the convolution with this kernel.

    Returns:
      [N, *positions, D], in the dtype of the inputs.

    Raises:
      InvalidInput: as `conv_general_dilated`.

    Example:
      >>> import jax.numpy as jnp
      >>> x, W = jnp.array([1.0, 2.0]).reshape(1, 2, 1), jnp.array([1.0, 10.0]).reshape(2, 1, 1)
      >>> conv_transpose(x, W, (2,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")).ravel()
      Array([10.,  1., 20.,  2.], dtype=float32)
    """
    if given(rest) or not is_channels_last(lhs, rhs, dimension_numbers or _default_numbers(lhs)):
        return lax.conv_transpose(
            lhs, rhs, strides, padding, rhs_dilation, dimension_numbers, transpose_kernel, precision,
            preferred_element_type=preferred_element_type, **rest,
        )  # fmt: skip
    space = lhs.ndim - 2
    dilation = (1,) * space if rhs_dilation is None else tuple(rhs_dilation)
    if len(strides) != space or len(dilation) != space or min((*strides, *dilation), default=1) < 1:
        raise InvalidInput(
            f"strides {tuple(strides)} and rhs_dilation {dilation} for {space} spatial axes",
            "one whole number of at least 1 for every spatial axis",
            f"strides={(2,) * space}",
        )
    if transpose_kernel:
        rhs = jnp.flip(rhs, tuple(range(space))).swapaxes(-1, -2)
    reach = [(k - 1) * d + 1 for k, d in zip(rhs.shape[:-2], dilation, strict=True)]
    return conv_general_dilated(
        lhs, rhs, (1,) * space, _transposed_padding(reach, strides, padding), strides, dilation,
        channels_last(space), 1, 1, precision, preferred_element_type,
    )  # fmt: skip


def _transposed_padding(
    reach: Sequence[int], strides: Sequence[int], padding: str | Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Pads of the spread picture: 'SAME' makes outputs = inputs * stride, 'VALID' every output that a tap feeds."""
    if not isinstance(padding, str):
        return [(low, high) for low, high in padding]
    if padding.upper() not in ("SAME", "VALID"):
        raise InvalidInput(
            f"padding {padding!r}", "'SAME', 'VALID' or pairs", "one (low, high) for every axis"
        )
    pads = []
    for k, s in zip(reach, strides, strict=True):
        total = k + s - 2 + (max(k - s, 0) if padding.upper() == "VALID" else 0)
        low = k - 1 if padding.upper() == "VALID" or s > k - 1 else -(-total // 2)
        pads.append((low, total - low))
    return pads


def _default_numbers(lhs: Array) -> Any:
    """What `jax.lax.conv_transpose` takes when nothing is said: channels last."""
    return channels_last(lhs.ndim - 2)
