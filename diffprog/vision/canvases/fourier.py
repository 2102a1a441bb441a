"""The Fourier spectrum of the picture as parameters: one step of the optimizer moves all scales alike."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.vision.canvases.canvas import Size, Sized, height_width
from diffprog.vision.canvases.color import Matrix, finished, unfinished
from diffprog.vision.canvases.frequencies import spectrum_scale
from diffprog.vision.canvases.photograph import Photograph


@dataclass(frozen=True)
class Fourier:
    """The discrete Fourier spectrum of the picture, in decorrelated colours, through a sigmoid.

    Coefficient f is scaled by sqrt(H W) / max(f, 1 / max(H, W))^decay. The constants are Lucid's (`fft_image`,
    `to_valid_rgb`). A picture of odd width has its own spectrum, where Lucid's crops a wider one.

    Attributes:
      decay: how fast energy falls with frequency; 1 is Lucid's, natural pictures are near 1.5.
      deviation: standard deviation of the first picture's coefficients.
      decorrelate: whether the channels are independent colours instead of RGB.
      channels: how many; 3 are RGB.
      color: a colour matrix in place of ImageNet's.
      softening: what the inverse transform is divided by: Lucid's 4, of which its own source asks whether it is a
        magic constant; Captum and Horama leave it out.

    Source: Lucid, `param/spatial.py`.
    """

    decay: float = 1.0
    deviation: float = 0.01
    decorrelate: bool = True
    channels: int = 3
    color: Matrix | None = None
    softening: float = 4.0

    def init(self, key: Array, size: Size) -> Sized:
        """[2, C, H, W // 2 + 1]: real and imaginary parts."""
        height, width = height_width(size)
        shape = (2, self.channels, height, width // 2 + 1)
        return Sized(self.deviation * jax.random.normal(key, shape), (height, width))

    def to_channels(self, params: Sized) -> Array:
        """[C, H, W], unbounded."""
        real, imaginary = params.values * self._scale(params.size, params.values.dtype)
        return jnp.fft.irfft2(jax.lax.complex(real, imaginary), s=params.size) / self.softening

    def to_image(self, params: Sized) -> Array:
        """[H, W, C] in [0, 1]."""
        return finished(self.to_channels(params), self.decorrelate, self.color)

    def params_of(self, image: Array) -> Sized:
        """The parameters that make a picture [H, W, C]."""
        channels = unfinished(image, self.decorrelate, self.color)
        size = (channels.shape[1], channels.shape[2])
        spectrum = self.softening * jnp.fft.rfft2(channels) / self._scale(size, channels.dtype)
        return Sized(jnp.stack([spectrum.real, spectrum.imag]), size)

    def of(self, image: Array) -> Photograph:
        """This canvas with a photograph on it to start from, in place of noise."""
        return Photograph(self, image)

    def _scale(self, size: tuple[int, int], dtype: jnp.dtype) -> Array:
        return jnp.asarray(spectrum_scale(size, self.decay), dtype)
