"""Gaussian blur of a random width."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array


@dataclass(frozen=True)
class BlurBetween:
    """Blur by a Gaussian whose standard deviation is drawn uniformly from `low` to `high` pixels; edges repeated.

    The weights reach three deviations of the widest blur to either side, and sum to 1.
    """

    low: float
    high: float

    def __call__(self, image: Array, key: Array) -> Array:
        """The blurred picture."""
        deviation = jax.random.uniform(key, (), image.dtype, self.low, self.high)
        weights = gaussian(deviation, math.ceil(3 * self.high))
        return along(along(image, weights).swapaxes(0, 1), weights).swapaxes(0, 1)


def gaussian(deviation: Array, reach: int) -> Array:
    """Weights at -reach, ..., reach, of sum 1."""
    exponents = -0.5 * (jnp.arange(-reach, reach + 1) / jnp.maximum(deviation, 1e-3)) ** 2
    return jax.nn.softmax(exponents)


def along(image: Array, weights: Array) -> Array:
    """The picture's rows mixed with their neighbours by an odd number of weights, edges repeated."""
    reach = weights.shape[0] // 2
    padded = jnp.pad(image, ((reach, reach), *[(0, 0)] * (image.ndim - 1)), mode="edge")
    return sum((w * padded[i : i + image.shape[0]] for i, w in enumerate(weights)), jnp.zeros_like(image))
