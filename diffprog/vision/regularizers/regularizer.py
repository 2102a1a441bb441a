"""What every regularizer is: the R of  argmax_x y_j - lambda R(x), a penalty that a picture should keep small.

Each is `(picture [H, W, C]) -> scalar`, a mean over the picture and never a sum, so that a weight means the same at
every size. Its first field is its weight.
"""

from __future__ import annotations

from typing import Protocol

from jax import Array

GREY = 0.5


class Regularizer(Protocol):
    """`(picture [H, W, C]) -> scalar`, to be kept small."""

    def __call__(self, image: Array) -> Array:
        """The penalty."""
