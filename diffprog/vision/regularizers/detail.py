"""Penalties on fine detail: total variation, distance from the blurred picture, high frequencies."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.vision.canvases.frequencies import frequencies


@dataclass(frozen=True)
class TotalVariation:
    """Mean absolute difference of neighbouring pixels, along rows plus along columns."""

    weight: float = 1.0

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        rows = jnp.mean(jnp.abs(image[1:] - image[:-1]))
        columns = jnp.mean(jnp.abs(image[:, 1:] - image[:, :-1]))
        return self.weight * (rows + columns)


@dataclass(frozen=True)
class Blur:
    """Mean square difference from the picture blurred by the 3 x 3 binomial kernel (edges repeated)."""

    weight: float = 1.0

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        return self.weight * jnp.mean((image - blurred(image)) ** 2)


@dataclass(frozen=True)
class BlurStep:
    """Half the mean square difference from the blurred picture, which is held fixed: descent on it is blurring.

    One plain step of size k H W C is  x <- (1 - k) x + k blurred(x). (Lucid's `blur_input_each_step`.)
    """

    weight: float = 1.0

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        return self.weight * 0.5 * jnp.mean((image - jax.lax.stop_gradient(blurred(image))) ** 2)


@dataclass(frozen=True)
class HighFrequency:
    """Share of the picture's variance at frequencies above `cutoff` cycles a pixel."""

    weight: float = 1.0
    cutoff: float = 0.25

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        shape = (image.shape[0], image.shape[1])
        power = jnp.sum(jnp.abs(jnp.fft.rfft2(image - image.mean((0, 1)), axes=(0, 1))) ** 2, axis=-1)
        high = jnp.asarray(frequencies(shape) > self.cutoff, power.dtype)
        return self.weight * jnp.sum(power * high) / (jnp.sum(power) + 1e-6)


def blurred(image: Array) -> Array:
    """The picture under the 3 x 3 binomial kernel, edges repeated."""
    return _binomial(_binomial(image).swapaxes(0, 1)).swapaxes(0, 1)


def _binomial(image: Array) -> Array:
    padded = jnp.pad(image, ((1, 1), (0, 0), (0, 0)), mode="edge")
    return (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
