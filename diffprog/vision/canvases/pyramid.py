"""Pictures as sums of coarse ones: the Laplacian pyramid, and a single coarse level.

A coarse level moves large areas at once, as low frequencies do in the Fourier canvas, but stays local: what one
corner needs does not ripple through the whole picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.rules import resize
from diffprog.vision.canvases.canvas import Size, Sized, height_width
from diffprog.vision.canvases.color import Matrix, finished, unfinished
from diffprog.vision.canvases.photograph import Photograph


@dataclass(frozen=True)
class Pyramid:
    """The sum of `levels` pictures, each half as large as the one before, enlarged bilinearly; then a sigmoid.

    Attributes:
      levels: how many; level n has 1 / 2^n of the height and width.
      deviation: standard deviation of every level of the first picture.
      decorrelate: whether the channels are independent colours instead of RGB.
      channels: how many; 3 are RGB.
      color: a colour matrix in place of ImageNet's.

    Source: Lucid, `param/spatial.py: laplacian_pyramid_image`, 4 levels; enlarged here between centres of pixels.
    """

    levels: int = 4
    deviation: float = 0.01
    decorrelate: bool = True
    channels: int = 3
    color: Matrix | None = None

    def init(self, key: Array, size: Size) -> tuple[Array, ...]:
        """For every level [C, H / 2^n, W / 2^n], the finest first."""
        shapes = [(self.channels, *_reduced(size, 2**n)) for n in range(self.levels)]
        keys = jax.random.split(key, self.levels)
        return tuple(self.deviation * jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True))

    def to_channels(self, params: tuple[Array, ...]) -> Array:
        """[C, H, W], unbounded."""
        return sum((_enlarged(level, params[0].shape) for level in params[1:]), params[0])

    def to_image(self, params: tuple[Array, ...]) -> Array:
        """[H, W, C] in [0, 1]."""
        return finished(self.to_channels(params), self.decorrelate, self.color)

    def params_of(self, image: Array) -> tuple[Array, ...]:
        """The parameters that make a picture [H, W, C], all of it on the finest level."""
        finest = unfinished(image, self.decorrelate, self.color)
        size = (finest.shape[1], finest.shape[2])
        coarse = [(finest.shape[0], *_reduced(size, 2**n)) for n in range(1, self.levels)]
        return (finest, *(jnp.zeros(shape, finest.dtype) for shape in coarse))

    def of(self, image: Array) -> Photograph:
        """This canvas with a photograph on it to start from, in place of noise."""
        return Photograph(self, image)


@dataclass(frozen=True)
class Coarse:
    """One picture of 1 / `factor` of the height and width, enlarged bilinearly; then a sigmoid.

    By itself it draws blurred shapes; it is meant for what pictures have in common (see `Shared`).

    Attributes:
      factor: how many pixels one parameter covers, each way.
      deviation: standard deviation of the first picture's parameters.
      decorrelate: whether the channels are independent colours instead of RGB.
      channels: how many; 3 are RGB.
      color: a colour matrix in place of ImageNet's.

    Source: Lucid, `param/lowres.py: lowres_tensor`.
    """

    factor: int = 8
    deviation: float = 0.01
    decorrelate: bool = True
    channels: int = 3
    color: Matrix | None = None

    def init(self, key: Array, size: Size) -> Sized:
        """[C, H / factor, W / factor], rounded up."""
        shape = (self.channels, *_reduced(size, self.factor))
        return Sized(self.deviation * jax.random.normal(key, shape), height_width(size))

    def to_channels(self, params: Sized) -> Array:
        """[C, H, W], unbounded."""
        return _enlarged(params.values, (self.channels, *params.size))

    def to_image(self, params: Sized) -> Array:
        """[H, W, C] in [0, 1]."""
        return finished(self.to_channels(params), self.decorrelate, self.color)


def _reduced(size: Size, factor: int) -> tuple[int, int]:
    height, width = height_width(size)
    return -(-height // factor), -(-width // factor)


def _enlarged(channels: Array, shape: tuple[int, ...]) -> Array:
    return resize(channels, shape)
