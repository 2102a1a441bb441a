"""What a generator is to guidance: how one latent is drawn, and how latents become pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.guide.priors import Prior


@dataclass(frozen=True, eq=False)
class Generator:
    """Latents to pictures.

    Attributes:
      name: for people and manifests.
      draw: a key -> one latent, any pytree of floating arrays.
      images: latents with a leading axis -> pictures float32 [B, H, W, 3] in [0, 1], differentiable.
      normal: whether a latent is standard normal, so that a prior has a meaning.
      prior: what it is guided with where nothing is said; None: as `guide` decides.
      method: how its latents move where nothing is said; None: as `guide` decides.
    """

    name: str
    draw: Callable[[Array], Any] = field(repr=False)
    images: Callable[[Any], Array] = field(repr=False)
    normal: bool = False
    prior: Prior | None = None
    method: Any = None


def checked(generator: Generator, key: Array) -> tuple[int, int]:
    """Height and width of a generator's pictures.

    Raises:
      InvalidInput: it does not make pictures.
    """
    latent = jax.eval_shape(generator.draw, key)
    stacked = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype), latent)
    made = jax.eval_shape(generator.images, stacked)
    if getattr(made, "ndim", 0) != 4 or made.shape[0] != 1 or made.shape[-1] != 3:
        raise InvalidInput(
            f"{generator.name}, which makes {getattr(made, 'shape', type(made).__name__)} of one latent",
            "pictures [1, H, W, 3], RGB in [0, 1]",
            "wrapping it: generators.function(lambda z: net(z)[..., :3], draw)",
        )
    return made.shape[1], made.shape[2]
