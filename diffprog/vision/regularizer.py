"""Regularizers: the R of  argmax_x y_j + lambda R(x), as penalties that a picture should keep small.

Each is `(picture [H, W, 3]) -> scalar`, a mean over the picture and never a sum, so that a weight means the same at
every size. `weight * regularizer` scales one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import jax.numpy as jnp
from jax import Array

from diffprog.vision.canvas import frequencies


class Regularizer(Protocol):
    """`(picture [H, W, 3]) -> scalar`, to be kept small."""

    def __call__(self, image: Array) -> Array:
        """The penalty."""


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
class L1:
    """Mean absolute distance from a grey level."""

    weight: float = 1.0
    level: float = 0.5

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        return self.weight * jnp.mean(jnp.abs(image - self.level))


@dataclass(frozen=True)
class L2:
    """Root mean square distance from a grey level."""

    weight: float = 1.0
    level: float = 0.5

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        return self.weight * jnp.sqrt(1e-6 + jnp.mean((image - self.level) ** 2))


@dataclass(frozen=True)
class Blur:
    """Mean square difference from the picture blurred by the 3 x 3 binomial kernel (edges repeated)."""

    weight: float = 1.0

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        return self.weight * jnp.mean(
            (image - _binomial(_binomial(image).swapaxes(0, 1)).swapaxes(0, 1)) ** 2
        )


@dataclass(frozen=True)
class HighFrequency:
    """Share of the picture's variance at frequencies above `cutoff` cycles a pixel."""

    weight: float = 1.0
    cutoff: float = 0.25

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        size, width = image.shape[:2]
        if size != width:  # the frequency grid is square; a crop keeps the share
            size = min(size, width)
            image = image[:size, :size]
        power = jnp.sum(jnp.abs(jnp.fft.rfft2(image - image.mean((0, 1)), axes=(0, 1))) ** 2, axis=-1)
        high = jnp.asarray(frequencies(size) > self.cutoff, power.dtype)
        return self.weight * jnp.sum(power * high) / (jnp.sum(power) + 1e-6)


def _binomial(image: Array) -> Array:
    padded = jnp.pad(image, ((1, 1), (0, 0), (0, 0)), mode="edge")
    return (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
