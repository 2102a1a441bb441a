"""How much a picture's activations look like those of natural pictures.

A network that was trained with batch normalization remembers, for every channel of every normalized layer, the mean
m and the deviation s of what natural pictures made of it. A picture whose own mean mu and deviation sigma, over all
positions, are near them looks natural to the network: in its colours, its contrast, and the share of its textures.

    naturalness = - mean over layers and channels of  ((mu - m) / s)^2 + (sigma / s - 1)^2

Source: Yin et al. 2020, "Dreaming to Distill" (DeepInversion), where the statistics are those of a batch; here they
are those of one picture, so that a picture never depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.objectives.expression import Activations, Objective, Shapes

Statistics = Mapping[str, tuple[np.ndarray, np.ndarray]]
LEAST_DEVIATION = 0.1  # of a layer's median: a channel that hardly ever moves must not outweigh all others


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Naturalness(Objective):
    """Minus the distance of a picture's channel statistics from those of natural pictures; at most 0."""

    names: tuple[str, ...] = field(metadata={"static": True})
    means: tuple[Any, ...]  # float32[channels] each
    deviations: tuple[Any, ...]

    @property
    def layers(self) -> frozenset[str]:
        return frozenset(self.names)

    def __call__(self, activations: Activations) -> Array:
        distances = [
            _distance(activations[name], jnp.asarray(m), jnp.asarray(s))
            for name, m, s in zip(self.names, self.means, self.deviations, strict=True)
        ]
        return -sum(distances, jnp.zeros(())) / len(self.names)

    def check(self, shapes: Shapes) -> None:
        for name, m, s in zip(self.names, self.means, self.deviations, strict=True):
            if not jnp.shape(m) == jnp.shape(s) == shapes[name][-1:]:
                raise InvalidInput(
                    f"statistics of shapes {jnp.shape(m)} and {jnp.shape(s)} for {name}",
                    f"a mean and a deviation for each of its {shapes[name][-1]} channels",
                    "measuring them on this layer",
                )


def naturalness(statistics: Statistics) -> Objective:
    """How natural a picture looks to a network, as an objective: 0 is perfect, and less is worse.

    Args:
      statistics: layer -> (mean, deviation) of its channels over natural pictures; `Network.statistics` of networks
        that were trained with batch normalization.

    Raises:
      InvalidInput: no statistics, or a deviation that is not positive and finite.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> score = naturalness({"conv": (np.zeros(1, np.float32), np.ones(1, np.float32))})
      >>> score({"conv": jnp.array([[[-1.0], [1.0]]])}) > -1e-6
      Array(True, dtype=bool)
    """
    if not statistics:
        raise InvalidInput(
            "no statistics", "layer -> (mean, deviation)", "a network trained with batch normalization"
        )
    return Naturalness(
        tuple(statistics),
        tuple(np.asarray(mean, np.float32) for mean, _ in statistics.values()),
        tuple(_floored(name, deviation) for name, (_, deviation) in statistics.items()),
    )


def _floored(name: str, deviation: np.ndarray) -> np.ndarray:
    least = LEAST_DEVIATION * np.median(deviation)
    if not np.isfinite(deviation).all() or not least > 0:
        raise InvalidInput(
            f"deviations of {name} that are not finite or mostly 0",
            "how much natural pictures move it",
            "leaving it out",
        )
    return np.maximum(deviation, least).astype(np.float32)


def _distance(values: Array, m: Array, s: Array) -> Array:
    axes = tuple(range(values.ndim - 1))
    mu = jnp.mean(values, axis=axes)
    sigma = jnp.sqrt(jnp.var(values, axis=axes) + 1e-6)  # finite slope where a channel is constant
    return jnp.mean(((mu - m) / s) ** 2 + (sigma / s - 1) ** 2)
