"""Penalties on how far a picture is from a grey level, or from a photograph."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.vision.canvases.photograph import checked_picture
from diffprog.vision.regularizers.regularizer import GREY

SMALLEST = 1e-6  # under the root, so that its slope at no distance is finite; Lucid's epsilon


@dataclass(frozen=True)
class L1:
    """Mean absolute distance from a grey level."""

    weight: float = 1.0
    level: float = GREY

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        return self.weight * jnp.mean(jnp.abs(image - self.level))


@dataclass(frozen=True)
class L2:
    """Root mean square distance from a grey level."""

    weight: float = 1.0
    level: float = GREY

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        return self.weight * jnp.sqrt(SMALLEST + jnp.mean((image - self.level) ** 2))


@dataclass(frozen=True)
class LInfinity:
    """Largest distance from a grey level, of any pixel and channel."""

    weight: float = 1.0
    level: float = GREY

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        return self.weight * jnp.max(jnp.abs(image - self.level))


@dataclass(frozen=True)
class PowerNorm:
    """(mean |x - level|^power)^(1 / power): between the mean distance (1) and the largest (infinity).

    A power of 6 lets pixels move freely and holds those that run away. Source: Simonyan et al. 2013; Mahendran and
    Vedaldi 2014, who use 6.
    """

    weight: float = 1.0
    power: float = 6.0
    level: float = GREY

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        distances = jnp.abs(image - self.level)
        # In units of the largest, no power overflows or vanishes; the unit itself carries no gradient of its own.
        unit = jax.lax.stop_gradient(jnp.maximum(jnp.max(distances), SMALLEST))
        mean = jnp.mean((distances / unit) ** self.power)
        return self.weight * unit * (SMALLEST + mean) ** (1 / self.power)


@dataclass(frozen=True)
class Likeness:
    """Mean square distance from a photograph: `Likeness(1.0).of(photo)`, or by `recipe.of(photo)`.

    Source: Hamblin et al. 2024, "Feature accentuation"; Horama's `penalty`.
    """

    weight: float = 1.0
    image: Any = field(default=None, compare=False, repr=False)

    def of(self, image: Array) -> Likeness:
        """The same about this photograph, [H, W, C] in [0, 1]."""
        return replace(self, image=checked_picture(image))

    def __call__(self, image: Array) -> Array:
        """The penalty.

        Raises:
          InvalidInput: no photograph, or one of another shape.
        """
        if self.image is None or jnp.shape(self.image) != jnp.shape(image):
            raise InvalidInput(
                f"likeness to {'no photograph' if self.image is None else f'one of {jnp.shape(self.image)}'} "
                f"for a picture of {jnp.shape(image)}",
                "a photograph of the picture's shape",
                "recipe.of(photo)",
            )
        return self.weight * jnp.mean((image - jnp.asarray(self.image)) ** 2)
