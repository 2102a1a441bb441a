"""A picture seen as if it faded to its mean colour towards its corners, so that what is drawn comes to the middle.

    x_out = x + a (mean(x) - x),      a = min(1, strength * r^4),  r = 1 at the middle of each edge

A network that pools over all positions takes evidence wherever it lies, also half an animal at the edge, which another
network does not recognize. Where nothing can be seen, nothing is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput


@dataclass(frozen=True)
class Fade:
    """Pull pixels towards the picture's mean colour, the more the nearer they are to a corner.

    Attributes:
      strength: how much is gone at the middle of each edge, above 0; the corners, r^4 = 4, lose more.

    Raises:
      InvalidInput: a strength that is not above 0.

    Example:
      >>> import jax
      >>> image = jax.random.uniform(jax.random.key(0), (9, 9, 3))
      >>> seen = Fade(0.7)(image, jax.random.key(1))
      >>> bool((seen[4, 4] == image[4, 4]).all()), bool(jnp.ptp(seen[[0, -1], [0, -1]], axis=0).max() < 1e-6)
      (True, True)
    """

    strength: float = 0.7

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise InvalidInput(
                f"a picture faded by strength={self.strength}",
                "a strength above 0",
                "strength=0.7, or no Fade",
            )

    def __call__(self, image: Array, key: Array) -> Array:
        """The faded picture; no chance is involved."""
        rows, columns = (jnp.linspace(-1, 1, length, dtype=image.dtype) for length in image.shape[:2])
        share = jnp.minimum(1, self.strength * (rows[:, None] ** 2 + columns**2) ** 2)[..., None]
        return image + share * (image.mean((0, 1), keepdims=True) - image)
