"""A quiet frame: what is drawn stays away from the picture's boundary."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.vision.regularizers.detail import blurred
from diffprog.vision.regularizers.regularizer import GREY

LEVEL_SHARE = 0.8  # Lucid's weight of the distance from the level, against 1 of that from the blurred picture


@dataclass(frozen=True)
class Boundary:
    """Detail, and distance from one level, in a frame of `width` pixels; of all channels, opacity included.

    Mean over the frame of (x - blurred x)^2 + 0.8 (x - level)^2. (Lucid's `penalize_boundary_complexity`, which sums
    and blurs over 5 x 5 instead of 3 x 3 pixels.)
    """

    weight: float = 1.0
    width: int = 20
    level: float = GREY

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        frame = np.ones(image.shape[:2], np.float32)
        frame[self.width : -self.width, self.width : -self.width] = 0
        costs = (image - blurred(image)) ** 2 + LEVEL_SHARE * (image - self.level) ** 2
        return self.weight * jnp.sum(jnp.mean(costs, -1) * frame) / frame.sum()
