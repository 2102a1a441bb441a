"""A random part of the picture is hidden, so that no single part may carry it all."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.vision.transforms.transform import GREY


@dataclass(frozen=True)
class Erase:
    """In a share of the draws, hide a rectangle under grey, or under noise.

    Attributes:
      low: least height and width, as a share of the picture's.
      high: largest.
      probability: in how many of the draws.
      noise: standard deviation about grey of what hides it; 0 for plain grey.

    Source: Zhong et al. 2017, "Random erasing data augmentation"; DeVries and Taylor 2017 (cutout).
    """

    low: float = 0.1
    high: float = 0.4
    probability: float = 0.5
    noise: float = 0.0

    def __call__(self, image: Array, key: Array) -> Array:
        """The picture with a part missing."""
        sides, corner, chance, fill = jax.random.split(key, 4)
        size = jnp.asarray(image.shape[:2], jnp.float32)
        extent = size * jax.random.uniform(sides, (2,), minval=self.low, maxval=self.high)
        first = (size - extent) * jax.random.uniform(corner, (2,))
        inside = [(first[i] <= places) & (places < first[i] + extent[i]) for i, places in _places(image)]
        hidden = inside[0][:, None] & inside[1] & jax.random.bernoulli(chance, self.probability)
        cover = GREY + self.noise * jax.random.normal(fill, image.shape, image.dtype)
        return jnp.where(hidden[..., None], cover, image)


def _places(image: Array) -> list[tuple[int, Array]]:
    """Centres of all rows, and of all columns."""
    return [(axis, jnp.arange(image.shape[axis]) + 0.5) for axis in (0, 1)]
