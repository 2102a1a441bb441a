"""Whether the rule's values of a convolution are XLA's own to the last bit.

Where the rule's forward is XLA's convolution, they are; depthwise and pointwise ones are asked, once a geometry.

In which order XLA adds, and where it fuses a product with a sum, depends on the shape, the processor and the release.
No table can know it; two small programs and one comparison do: another order shows on random numbers at once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jax import Array, lax

from diffprog.rules.convolution.depthwise import DEPTHWISE
from diffprog.rules.convolution.general import conv_general_dilated, formulation
from diffprog.rules.convolution.one_tap import POINTWISE
from diffprog.rules.convolution.plain import channels_last, plain
from diffprog.rules.convolution.shape import convolution_shape

PICTURES = 2  # of a batch: its pictures are all computed alike


def same_values(
    x: jax.ShapeDtypeStruct, W: jax.ShapeDtypeStruct, strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...], spread: tuple[int, ...], dilation: tuple[int, ...], groups: int,
) -> bool:  # fmt: skip
    """Whether both give the same bits; can be asked while a program is traced.

    Args:
      x: shape and dtype of the pictures, [N, *spatial, C].
      W: shape and dtype of the kernel, [*taps, C / groups, D].
      strides, padding, spread, dilation, groups: as of `conv_general_dilated`, in numbers.
    """
    shape = convolution_shape(x.shape, W.shape, strides, padding, spread, dilation, groups)
    chosen = formulation(shape, W.shape)
    if chosen.forward is plain or chosen not in (DEPTHWISE, POINTWISE):
        return chosen.forward is plain
    shapes = (min(x.shape[0], PICTURES), *x.shape[1:]), W.shape
    return _asked(shapes, np.dtype(x.dtype), strides, padding, spread, dilation, groups)


@lru_cache(maxsize=1024)
def _asked(shapes: Any, dtype: Any, *geometry: Any) -> bool:
    strides, padding, spread, dilation, groups = geometry
    numbers = channels_last(len(strides))
    rng = np.random.default_rng(0)
    x, W = (rng.normal(size=shape).astype(dtype) for shape in shapes)

    def values(convolve: Any) -> bytes:
        def call(x: Array, W: Array) -> Array:
            return convolve(x, W, strides, padding, spread, dilation, numbers, groups)

        # A compiled program runs at once, also while another program is traced.
        return np.asarray(jax.jit(call).lower(x, W).compile()(x, W)).tobytes()

    return values(conv_general_dilated) == values(lax.conv_general_dilated)
