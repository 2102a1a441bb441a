"""A canvas that starts from a photograph instead of noise: the first picture is the photograph.

Any canvas that can say which parameters make a picture (`params_of`) has it: `Fourier().of(photo)`. Black and white
are met to within half of what 8 bits can tell, because a sigmoid reaches neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.vision.canvases.canvas import Canvas, Size, height_width


class Invertible(Canvas, Protocol):
    """A canvas that knows the parameters of a picture."""

    def params_of(self, image: Array) -> Any:
        """The parameters that make a picture [H, W, C]."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """A canvas with a photograph on it.

    Attributes:
      canvas: how the picture is parameterized from there.
      image: float32 [H, W, C] in [0, 1].

    Raises:
      InvalidInput: not such a picture.
    """

    canvas: Invertible
    image: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", checked_picture(self.image))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the photograph, which is the only size it is drawn at."""
        return self.image.shape[0], self.image.shape[1]

    def init(self, key: Array, size: Size) -> Any:
        """Parameters of the photograph itself; no chance is involved.

        Raises:
          InvalidInput: another size than the photograph's.
        """
        if height_width(size) != self.size:
            raise InvalidInput(
                f"size={size} for a photograph of {self.size[0]}x{self.size[1]} pixels",
                "the photograph's own size: resizing it is yours to decide",
                f"size={self.size}, or resizing the photograph first",
            )
        return self.canvas.params_of(jnp.asarray(self.image))

    def to_image(self, params: Any) -> Array:
        """[H, W, C] in [0, 1]."""
        return self.canvas.to_image(params)

    def __repr__(self) -> str:
        return f"{self.canvas} from a photograph of {self.size[0]}x{self.size[1]} pixels"


def checked_picture(image: Any) -> np.ndarray:
    """A picture as float32 [H, W, C].

    Raises:
      InvalidInput: another shape, or numbers outside of [0, 1].
    """
    array = np.asarray(image)
    fits = array.ndim == 3 and np.issubdtype(array.dtype, np.floating) and 0 not in array.shape
    if not fits or not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        span = f" from {array.min():.3g} to {array.max():.3g}" if array.size else ""
        raise InvalidInput(
            f"a photograph of shape {array.shape}, {array.dtype}{span}",
            "floating [H, W, C] with all numbers in [0, 1]",
            "np.asarray(picture.convert('RGB'), np.float32) / 255",
        )
    return array.astype(np.float32)
