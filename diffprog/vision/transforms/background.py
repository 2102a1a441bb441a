"""A transparent picture is put over a background, another one at every step."""

from __future__ import annotations

from dataclasses import dataclass

import jax
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.vision.canvases import Fourier
from diffprog.vision.transforms.transform import GREY


@dataclass(frozen=True)
class OnBackground:
    """Put a picture [H, W, 4] over random clouds of natural colours and scales: [H, W, 3].

    What is transparent then looks different at every step and is of no use to a unit, so only what excites it has a
    reason to be opaque. (Lucid's `collapse_alpha_random`.)

    Attributes:
      deviation: of the clouds' spectrum; 0 for plain grey.
      decay: how fast the clouds' energy falls with frequency.
    """

    deviation: float = 0.5
    decay: float = 1.0

    def __call__(self, image: Array, key: Array) -> Array:
        """The picture over a random background."""
        clouds = Fourier(decay=self.decay, deviation=self.deviation)
        return over(image, clouds.to_image(clouds.init(key, (image.shape[0], image.shape[1]))))

    def still(self, image: Array) -> Array:
        """The picture over grey."""
        return over(image, jax.numpy.full_like(image[..., :3], GREY))


def over(image: Array, background: Array) -> Array:
    """A transparent picture [H, W, 4] over a background [H, W, 3].

    Raises:
      InvalidInput: a picture without opacity.
    """
    if image.shape[-1] != 4:
        raise InvalidInput(
            f"a picture of {image.shape[-1]} channels to put over a background",
            "red, green, blue and opacity",
            "canvas=canvases.Transparent(), or a recipe without OnBackground",
        )
    return image[..., 3:] * image[..., :3] + (1 - image[..., 3:]) * background
