"""Objectives that compare the pictures of a group, which are therefore drawn together.

    diversity     of picture i:  - mean over j != i of  cos(G_i, G_j),  G the Gram matrix of a layer
    alignment     of picture i:  - 1/2 sum over j, |i - j| = d <= 4, of  mean (a_i - a_j)^2 / decay^d
    interpolate   of picture i of n:  (1 - t) left + t right,  t = i / (n - 1)

The sum over the group is Lucid's value up to a constant factor. All pictures of a group are seen through the same
transforms at every step, so that what is in the same place stays there.

Source: Olah, Mordvintsev and Schubert 2017, "Feature Visualization" (diversity); Mordvintsev et al. 2018,
"Differentiable Image Parameterizations" (alignment); Lucid's `objectives.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.objectives.expression import Activations, Objective, Pair
from diffprog.graph.objectives.units import OfLayer
from diffprog.graph.objectives.vectors import gram
from diffprog.rules import l2_normalize

NEIGHBOURS = 4  # Lucid's: how far apart two pictures may be and still be aligned


@dataclass(frozen=True)
class _OfGroup(OfLayer):
    @property
    def joint(self) -> bool:
        return True

    def __call__(self, activations: Activations) -> Array:
        raise _alone(type(self).__name__.lower())


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Diversity(_OfGroup):
    """How little the textures of a group have in common; at most 0 where no activation is negative."""

    def together(self, activations: Activations) -> Array:
        values = activations[self.name]
        count = _several(len(values), "diversity")
        grams = jax.vmap(gram)(values).reshape(count, -1)
        units = l2_normalize(grams, axis=-1)
        cosines = units @ units.T  # (n, C C) (C C, n) -> (n, n)
        return -(jnp.sum(cosines, axis=1) - jnp.diagonal(cosines)) / (count - 1)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Alignment(_OfGroup):
    """How like each other neighbouring pictures are, position by position; at most 0."""

    decay: Any

    def together(self, activations: Activations) -> Array:
        values = activations[self.name]
        count = _several(len(values), "alignment")
        scores = jnp.zeros(count, values.dtype)
        for distance in range(1, min(NEIGHBOURS, count - 1) + 1):
            squares = (values[distance:] - values[:-distance]) ** 2
            apart = jnp.mean(squares.reshape(count - distance, -1), axis=1) / self.decay**distance
            scores = scores.at[distance:].add(-apart / 2).at[:-distance].add(-apart / 2)
        return scores


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Interpolate(Pair):
    """From one objective for the first picture of a group to another for the last."""

    @property
    def joint(self) -> bool:
        return True

    def __call__(self, activations: Activations) -> Array:
        raise _alone("interpolate")

    def combine(self, left: Array, right: Array) -> Array:
        share = jnp.linspace(0, 1, _several(len(left), "interpolate"), dtype=left.dtype)
        return (1 - share) * left + share * right


def diversity(layer: str) -> Objective:
    """How little the textures of the pictures of one objective have in common in a layer.

    Add it with a weight: `channel(...) + 100 * diversity(...)`, and draw several, `n=4`.

    Example:
      >>> import jax.numpy as jnp
      >>> pictures = jnp.array([[[1.0, 0.0]], [[0.0, 2.0]]])  # two of one position and two channels
      >>> diversity("conv").together({"conv": pictures}) == 0
      Array([ True,  True], dtype=bool)
    """
    return Diversity(layer)


def alignment(layer: str, decay: float = 2.0) -> Objective:
    """How like each other neighbouring pictures of a group are, position by position.

    Args:
      layer: where they are compared.
      decay: how fast the likeness of the second, third and fourth neighbour counts less.

    Raises:
      InvalidInput: a decay that is not positive.
    """
    if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 < decay < float("inf"):
        raise InvalidInput(f"decay={decay!r}", "a positive number", "decay=2")
    return Alignment(layer, float(decay))


def interpolate(left: Objective, right: Objective) -> Objective:
    """From one objective to another, in as many pictures as are drawn: the first of `left`, the last of `right`.

    With `+ alignment(layer)` the pictures in between change as little as they can.
    """
    return Interpolate(left, right)


def _several(count: int, what: str) -> int:
    if count < 2:
        raise _alone(what)
    return count


def _alone(what: str) -> InvalidInput:
    return InvalidInput(
        f"{what} of one picture",
        "at least two pictures, which are compared with each other",
        "dp.visualize(model, objective, n=4)",
    )
