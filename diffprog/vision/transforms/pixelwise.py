"""Transforms that leave every pixel where it is: noise, contrast, colours, and the length of the gradient."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.rules import normalize_gradient
from diffprog.vision.transforms.transform import GREY


@dataclass(frozen=True)
class NormalizeGradient:
    """The picture as it is; the gradient that comes back through it is scaled to length one.

    However loud a unit speaks, it then pulls as hard as any other, and a regularizer's weight means the same for
    a logit of 300 and for a channel of 0.1. (Lucid's `normalize_gradient`.)
    """

    def __call__(self, image: Array, key: Array) -> Array:
        """The same picture."""
        return normalize_gradient(image)


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise of standard deviation `deviation` to every pixel."""

    deviation: float

    def __call__(self, image: Array, key: Array) -> Array:
        """The noisy picture, not clipped."""
        return image + self.deviation * jax.random.normal(key, image.shape, image.dtype)


@dataclass(frozen=True)
class ContrastBetween:
    """Pull every pixel towards mid-grey by a factor drawn uniformly from `low` to `high`.

    A picture that must be seen through haze as well is drawn in stronger lines and colours.
    """

    low: float
    high: float = 1.0

    def __call__(self, image: Array, key: Array) -> Array:
        """The picture at a random contrast, not clipped."""
        factor = jax.random.uniform(key, (), image.dtype, self.low, self.high)
        return GREY + factor * (image - GREY)


@dataclass(frozen=True)
class UniformNoise:
    """Add noise drawn uniformly from -`width` / 2 to `width` / 2 to every pixel. (MACO adds it to the Gaussian.)"""

    width: float

    def __call__(self, image: Array, key: Array) -> Array:
        """The noisy picture, not clipped."""
        return image + self.width * jax.random.uniform(key, image.shape, image.dtype, -0.5, 0.5)


@dataclass(frozen=True)
class ColorJitter:
    """Change brightness, contrast and saturation of the whole picture by random amounts.

    Attributes:
      brightness: added, from -`brightness` to `brightness`.
      contrast: distances from the picture's mean are multiplied by 1 - `contrast` to 1 + `contrast`.
      saturation: distances from each pixel's own grey are multiplied by 1 - `saturation` to 1 + `saturation`.
    """

    brightness: float = 0.1
    contrast: float = 0.1
    saturation: float = 0.1

    def __call__(self, image: Array, key: Array) -> Array:
        """The picture in other light, not clipped."""
        brighter, steeper, fuller = jax.random.uniform(key, (3,), image.dtype, -1, 1)
        mean, grey = jnp.mean(image), jnp.mean(image, -1, keepdims=True)
        image = grey + (1 + self.saturation * fuller) * (image - grey)
        return mean + (1 + self.contrast * steeper) * (image - mean) + self.brightness * brighter
