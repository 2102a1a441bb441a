"""The picture in another size, as networks of one size want it."""

from __future__ import annotations

from dataclasses import dataclass

from jax import Array

from diffprog.rules import resize
from diffprog.vision.transforms.transform import Shape


@dataclass(frozen=True)
class Resize:
    """Scale the picture to `size` x `size` pixels, bilinearly; where it is made smaller, every pixel counts."""

    size: int

    def shape(self, shape: Shape) -> Shape:
        """Always a square of `size`."""
        return self.size, self.size

    def __call__(self, image: Array, key: Array) -> Array:
        """The scaled picture."""
        return self.still(image)

    def still(self, image: Array) -> Array:
        """The same: nothing is left to chance."""
        return resize(image, (self.size, self.size, image.shape[-1]))
