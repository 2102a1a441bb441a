"""The latent of a generator as parameters: pictures from what the generator can make, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.vision.canvases.canvas import Size, height_width


@dataclass(frozen=True)
class Latent:
    """Any function of a latent z to a picture [H, W, C] in [0, 1].

    Attributes:
      generator: `z -> picture`, for one z without a batch axis.
      shape: of z.
      deviation: standard deviation of the first z.

    Source: Nguyen et al. 2016, "Synthesizing the preferred inputs for neurons in neural networks via deep generator
    networks".

    Example:
      >>> canvas = Latent(lambda z: jax.nn.sigmoid(z.reshape(2, 2, 1)), (4,))
      >>> canvas.size, canvas.to_image(canvas.init(jax.random.key(0), 2)).shape
      ((2, 2), (2, 2, 1))
    """

    generator: Callable[[Array], Array]
    shape: tuple[int, ...]
    deviation: float = 1.0

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the generator's pictures.

        Raises:
          InvalidInput: a generator that does not make pictures [H, W, C].
        """
        made = jax.eval_shape(self.generator, jax.ShapeDtypeStruct(self.shape, jnp.float32))
        shape: tuple[int, ...] = getattr(made, "shape", ())
        if len(shape) != 3:
            raise InvalidInput(
                f"a generator that makes {list(shape)} of a latent {list(self.shape)}",
                "one picture [H, W, C]",
                "lambda z: generator(z[None])[0], if it takes and gives batches",
            )
        return shape[0], shape[1]

    def init(self, key: Array, size: Size) -> Array:
        """A normal draw of the latent's shape.

        Raises:
          InvalidInput: another size than the generator's.
        """
        if height_width(size) != self.size:
            raise InvalidInput(
                f"size={size} for a generator of {self.size[0]}x{self.size[1]} pixels",
                "the generator's own size",
                f"size={self.size}, or a generator that resizes",
            )
        return self.deviation * jax.random.normal(key, self.shape)

    def to_image(self, params: Array) -> Array:
        """[H, W, C], as the generator makes it."""
        return jnp.asarray(self.generator(params), jnp.float32)
