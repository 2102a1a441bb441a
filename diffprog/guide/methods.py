"""How latents move: an optimizer with its schedule, as data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array

from diffprog.errors import InvalidInput


@dataclass(frozen=True)
class Adam:
    """Adam, its learning rate raised over the first part of the steps and lowered over the last along a cosine.

    At part t of the run it is learning_rate * min(1, t / warm) * (1 - cos(pi min(1, (1 - t) / cool))) / 2.

    Attributes:
      learning_rate: at its highest.
      warm: the part of the steps over which it rises; 0 for at once.
      cool: the part over which it falls; 0 for never.

    Source:
      Patashnik et al., "StyleCLIP" (2021), optimization: .1, .05, .25.
    """

    learning_rate: float = 0.05
    warm: float = 0.05
    cool: float = 0.25

    def __post_init__(self) -> None:
        if not self.learning_rate > 0 or not (0 <= self.warm <= 1 and 0 <= self.cool <= 1):
            raise InvalidInput(
                f"{self}", "a learning rate above 0, and parts of the run from 0 to 1", "Adam(0.05)"
            )

    def rate(self, step: Array | int, steps: int) -> Array:
        """The learning rate of a step, from 0.

        Example:
          >>> [round(float(Adam(0.1).rate(step, 100)), 4) for step in (0, 5, 50, 87, 99)]
          [0.02, 0.1, 0.1, 0.0531, 0.0004]
        """
        part = jnp.asarray(step, jnp.float32) / steps
        rise = (
            jnp.minimum(1.0, (jnp.asarray(step, jnp.float32) + 1) / (self.warm * steps)) if self.warm else 1.0
        )
        fall = (1 - jnp.cos(jnp.pi * jnp.minimum(1.0, (1 - part) / self.cool))) / 2 if self.cool else 1.0
        return jnp.asarray(self.learning_rate * rise * fall)

    def __call__(self, steps: int) -> optax.GradientTransformation:
        """The optax transformation for a run of so many steps."""
        return _made(self, steps)


@lru_cache(maxsize=16)
def _made(adam: Adam, steps: int) -> optax.GradientTransformation:
    return optax.adam(lambda count: adam.rate(count, steps))


def as_transformation(method: Any, steps: int) -> optax.GradientTransformation:
    """An optax transformation as it is, or what a schedule as data makes for so many steps."""
    return method(steps) if isinstance(method, Adam) else method
