"""Canvases: what is optimized in place of pixels, and how it becomes a picture.

A canvas is a pair of pure functions: `init(key, size)` draws the parameters of one picture, `to_image(params)`
makes them a float32 RGB picture [size, size, 3] in [0, 1]. Gradient ascent on the parameters follows another
path than ascent on the pixels, though both can paint the same pictures: that is all a canvas changes, and it
changes everything one sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.vision.color import to_rgb


class Canvas(Protocol):
    """How one picture is parameterized."""

    def init(self, key: Array, size: int) -> Any:
        """Parameters of a first picture, noise about mid-grey."""

    def to_image(self, params: Any) -> Array:
        """The picture: [size, size, 3] in [0, 1]."""


@dataclass(frozen=True)
class Pixel:
    """The pixels themselves, through a sigmoid, with or without decorrelated colours.

    Attributes:
      deviation: standard deviation of the first picture's parameters.
      decorrelate: whether the channels are independent colours instead of RGB.
    """

    deviation: float = 0.01
    decorrelate: bool = False

    def init(self, key: Array, size: int) -> Array:
        """[3, size, size]."""
        return self.deviation * jax.random.normal(key, (3, size, size))

    def to_image(self, params: Array) -> Array:
        """[size, size, 3] in [0, 1]."""
        return _squash(to_rgb(params) if self.decorrelate else params)


@dataclass(frozen=True)
class Fourier:
    """The discrete Fourier spectrum of the picture, in decorrelated colours, through a sigmoid.

    Coefficient f is scaled by sqrt(H W) / max(f, 1 / max(H, W))^decay, so that one step of the optimizer moves all
    scales of the picture alike. The constants are Lucid's (`fft_image`, `to_valid_rgb`).

    Attributes:
      decay: how fast energy falls with frequency; 1 is Lucid's, natural pictures are near 1.5.
      deviation: standard deviation of the first picture's coefficients.
      decorrelate: whether the channels are independent colours instead of RGB.
    """

    decay: float = 1.0
    deviation: float = 0.01
    decorrelate: bool = True

    def init(self, key: Array, size: int) -> Array:
        """[2, 3, size, size // 2 + 1]: real and imaginary parts."""
        return self.deviation * jax.random.normal(key, (2, 3, size, size // 2 + 1))

    def to_image(self, params: Array) -> Array:
        """[size, size, 3] in [0, 1]."""
        size = params.shape[2]
        real, imaginary = params * jnp.asarray(spectrum_scale(size, self.decay), params.dtype)
        channels = jnp.fft.irfft2(jax.lax.complex(real, imaginary), s=(size, size)) / 4
        return _squash(to_rgb(channels) if self.decorrelate else channels)


def frequencies(size: int) -> np.ndarray:
    """Length of every frequency of a real picture, in cycles a pixel: [size, size // 2 + 1]."""
    rows = np.fft.fftfreq(size)[:, None]
    columns = np.fft.rfftfreq(size)[None, :]
    return np.sqrt(rows**2 + columns**2)


def spectrum_scale(size: int, decay: float) -> np.ndarray:
    """What a Fourier canvas multiplies its coefficients by: [size, size // 2 + 1]."""
    return size / np.maximum(frequencies(size), 1 / size) ** decay


def _squash(channels: Array) -> Array:
    return jax.nn.sigmoid(channels).transpose(1, 2, 0)
