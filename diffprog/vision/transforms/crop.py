"""Random crops: a large canvas is seen through windows of the network's own size, at random places and scales.

The crop and its scaling are one linear map along each axis, x_out = R_y x_in R_x^T with a few weights in every row, so
its gradient is exact and never a scatter. Where a crop is made smaller its weights widen, so that no pixel of it is
skipped. A crop lies inside of the picture: centres that would let it stick out are moved in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.rules import resize
from diffprog.vision.transforms.transform import Shape


@dataclass(frozen=True)
class _Crop:
    """A square window, `size` pixels large when seen, of a random side and centre.

    Attributes:
      size: pixels of what the network sees, each way.
      low: least side, as a share of the picture's smaller side.
      high: largest.
      centre: standard deviation of its place about the middle, as a share of each side.
    """

    size: int = 224
    low: float = 0.05
    high: float = 1.0
    centre: float = 0.15

    def shape(self, shape: Shape) -> Shape:
        """Always a square of `size`."""
        return self.size, self.size

    def still(self, image: Array) -> Array:
        """The whole picture, made as small as a crop is seen."""
        return resize(image, (self.size, self.size, image.shape[-1]))

    def side(self, key: Array) -> Array:
        """A side, as a share."""
        return jax.random.uniform(key, (), minval=self.low, maxval=self.high)

    def __call__(self, image: Array, key: Array) -> Array:
        """One crop, [size, size, C]."""
        length, place = jax.random.split(key)
        middle = 0.5 + self.centre * jax.random.normal(place, (2,))
        return cropped(image, middle, self.side(length), self.size, self.high)


@dataclass(frozen=True)
class Crop(_Crop):
    """A square window with a side drawn uniformly from `low` to `high` of the picture's, about a normal centre.

    Attributes:
      size: pixels of what the network sees, each way.
      low: least side, as a share of the picture's smaller side.
      high: largest.
      centre: standard deviation of its place about the middle, as a share of each side.

    Source: Horama, `common.py: optimization_step`.
    """


@dataclass(frozen=True)
class ShrinkingCrop(_Crop):
    """A square window whose mean side goes linearly from `start` to `end` along the run: the whole first, then detail.

    Attributes:
      size: pixels of what the network sees, each way.
      low: least side that is ever drawn, as a share of the picture's smaller side.
      high: largest.
      centre: standard deviation of its place about the middle, as a share of each side.
      start: mean side at the first step.
      end: mean side at the last.
      spread: standard deviation of the side.

    Source: Fel et al. 2023 (MACO); Xplique, `maco.py`.
    """

    start: float = 0.5
    end: float = 0.05
    spread: float = 0.05

    def at(self, progress: Any) -> ShrinkingCrop:
        """With the mean side of this moment."""
        mean = self.start + (self.end - self.start) * progress
        return replace(self, start=mean, end=mean)

    def side(self, key: Array) -> Array:
        """A normal draw about the mean side, cut to what is allowed."""
        return jnp.clip(self.start + self.spread * jax.random.normal(key), self.low, self.high)


def cropped(image: Array, middle: Array, side: Array, size: int, widest: float = 1.0) -> Array:
    """A square window of a picture, seen `size` pixels large.

    Args:
      image: [H, W, C].
      middle: [2], the window's centre (row, column) as shares of height and width.
      side: its side, as a share of the smaller of both.
      size: pixels of the result, each way.
      widest: the largest side that is ever asked for; what is cut out before the weights are applied.

    Returns:
      [size, size, C].

    Example:
      >>> ramp = jnp.arange(8.0)[:, None, None] * jnp.ones((8, 8, 1))
      >>> cropped(ramp, jnp.array([0.5, 0.5]), 0.5, 4)[:, 0, 0]
      Array([2., 3., 4., 5.], dtype=float32)
    """
    smaller = min(image.shape[:2])
    length = side * smaller
    for axis in (0, 1):
        whole = image.shape[axis]
        first = jnp.clip(middle[axis] * whole - length / 2, 0, whole - length)
        window = min(whole, math.ceil(widest * smaller) + 2)
        corner = jnp.clip(jnp.floor(first).astype(jnp.int32), 0, whole - window)
        part = jax.lax.dynamic_slice_in_dim(image, corner, window, axis)
        weights = _weights(first - corner, length, window, size)
        image = jnp.moveaxis(jnp.tensordot(weights, part, axes=(1, axis)), 0, axis)
    return image


def _weights(first: Array, length: Array, whole: int, size: int) -> Array:
    """[size, whole]: what every pixel seen takes of every pixel there is."""
    step = length / size
    places = first + (jnp.arange(size) + 0.5) * step - 0.5
    reach = jnp.maximum(step, 1.0)
    hats = jnp.maximum(0, 1 - jnp.abs(jnp.arange(whole) - places[:, None]) / reach)
    return hats / hats.sum(1, keepdims=True)
