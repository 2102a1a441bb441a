"""A picture that fades to its mean colour towards its corners, so that what is drawn comes to the middle.

    x_out = x + a (mean(x) - x),      a = min(1, strength * r^4),  r = 1 at the middle of each edge

A network that pools over all positions takes evidence wherever it lies, also half an animal at the edge, which another
network does not recognize. Where nothing can be seen, nothing is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.vision.canvases.canvas import Canvas, Size
from diffprog.vision.canvases.fourier import Fourier
from diffprog.vision.canvases.photograph import Photograph, on_photograph


@dataclass(frozen=True)
class Faded:
    """Another canvas, faded towards its corners.

    Attributes:
      canvas: what is faded.
      strength: how much of the picture is gone at the middle of its edges, above 0; the corners, r^4 = 4, lose more.

    Raises:
      InvalidInput: a strength that is not above 0.

    Example:
      >>> import jax
      >>> from diffprog.vision.canvases import Pixel
      >>> canvas = Faded(Pixel(), strength=0.7)
      >>> image = canvas.to_image(canvas.init(jax.random.key(0), (9, 9)))
      >>> bool(jnp.ptp(jnp.stack([image[0, 0], image[-1, -1]]), axis=0).max() < 1e-6)  # corners: the mean colour
      True
    """

    canvas: Canvas = Fourier()
    strength: float = 0.7

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise InvalidInput(
                f"a picture faded by strength={self.strength}",
                "a strength above 0",
                "strength=0.7, or no Faded",
            )

    def init(self, key: Array, size: Size) -> Any:
        """The parameters of the canvas."""
        return self.canvas.init(key, size)

    def of(self, image: Any) -> Photograph:
        """The canvas inside with a photograph on it, which has edges of its own and is not faded."""
        return on_photograph(self.canvas, image)

    def to_image(self, params: Any) -> Array:
        """[H, W, C] in [0, 1], of the canvas's channels."""
        image = self.canvas.to_image(params)
        rows, columns = (jnp.linspace(-1, 1, length, dtype=image.dtype) for length in image.shape[:2])
        share = jnp.minimum(1, self.strength * (rows[:, None] ** 2 + columns**2) ** 2)[..., None]
        return image + share * (image.mean((0, 1), keepdims=True) - image)
