"""The pixels themselves as parameters: each moves on its own, so high frequencies win."""

from __future__ import annotations

from dataclasses import dataclass

import jax
from jax import Array

from diffprog.vision.canvases.canvas import Size, height_width
from diffprog.vision.canvases.color import Matrix, finished, unfinished
from diffprog.vision.canvases.photograph import Photograph


@dataclass(frozen=True)
class Pixel:
    """The pixels themselves, through a sigmoid, with or without decorrelated colours.

    Attributes:
      deviation: standard deviation of the first picture's parameters.
      decorrelate: whether the channels are independent colours instead of RGB.
      channels: how many; 3 are RGB.
      color: a colour matrix in place of ImageNet's.

    Source: Lucid, `param/spatial.py: pixel_image`.
    """

    deviation: float = 0.01
    decorrelate: bool = False
    channels: int = 3
    color: Matrix | None = None

    def init(self, key: Array, size: Size) -> Array:
        """[C, H, W]."""
        return self.deviation * jax.random.normal(key, (self.channels, *height_width(size)))

    def to_channels(self, params: Array) -> Array:
        """[C, H, W], unbounded."""
        return params

    def to_image(self, params: Array) -> Array:
        """[H, W, C] in [0, 1]."""
        return finished(params, self.decorrelate, self.color)

    def params_of(self, image: Array) -> Array:
        """The parameters that make a picture [H, W, C]."""
        return unfinished(image, self.decorrelate, self.color)

    def of(self, image: Array) -> Photograph:
        """This canvas with a photograph on it to start from, in place of noise."""
        return Photograph(self, image)
