"""Penalties on the opacity of transparent pictures [H, W, 4]: how much there is of it, and how ragged it is."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.vision.regularizers.detail import BlurStep


@dataclass(frozen=True)
class Opacity:
    """Mean opacity: only what pays for itself is opaque."""

    weight: float = 1.0

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        return self.weight * jnp.mean(_opacity(image))


@dataclass(frozen=True)
class OpacityNorm:
    """Root mean square opacity: as the mean, but harder on what is fully opaque than on haze."""

    weight: float = 1.0

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        return self.weight * jnp.sqrt(1e-6 + jnp.mean(_opacity(image) ** 2))


@dataclass(frozen=True)
class OpacityBlur:
    """Distance of the opacity from its blurred self: no holes and no fringes. (Lucid's `blur_alpha_each_step`.)"""

    weight: float = 1.0

    def __call__(self, image: Array) -> Array:
        """The penalty."""
        return BlurStep(self.weight)(_opacity(image))


def _opacity(image: Array) -> Array:
    """[H, W, 1].

    Raises:
      InvalidInput: a picture without opacity.
    """
    if image.shape[-1] != 4:
        raise InvalidInput(
            f"a picture of {image.shape[-1]} channels whose opacity is asked for",
            "red, green, blue and opacity",
            "canvas=canvases.Transparent()",
        )
    return image[..., 3:]
