"""Directions: a mixture of a layer's channels, at every position or at one; and weights of channels and positions.

    direction         mean over positions p of  <a_p, d> max(0.1, cos(a_p, d))^power
    direction neuron  the same at one position
    weights           sum over p of  m_p <a_p, w>  /  sum over p of |m_p|

The dot product alone is also raised by activations that point elsewhere and are merely long; a power of the cosine
asks for the direction itself. Power 0 is the dot product; 2 is usual; the cosine's floor of 0.1 leaves a way out for
activations that point away.

Source: Lucid's `direction` and `direction_neuron`; Carter et al. 2019, "Activation Atlas" (the power 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.objectives.expression import Activations, Objective, Shapes
from diffprog.graph.objectives.positions import Position, as_position, at, check_position
from diffprog.graph.objectives.units import OfLayer
from diffprog.graph.objectives.vectors import check_shape, floating, floored
from diffprog.rules import cosine_similarity


@dataclass(frozen=True, eq=False)
class _Along(OfLayer):
    vector: Any  # [C]
    power: Any

    def along(self, values: Array) -> Array:
        """One score for every row of [..., C]."""
        vector = jnp.asarray(self.vector, values.dtype)
        return floored(values @ vector, cosine_similarity(values, vector), self.power)

    def check(self, shapes: Shapes) -> None:
        channels = shapes[self.name][-1:]
        check_shape("a direction", jnp.shape(self.vector), channels, self.name, "a number for every channel")


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Direction(_Along):
    """The mean over all positions of dot times cosine^power with a direction."""

    def __call__(self, activations: Activations) -> Array:
        return jnp.mean(self.along(activations[self.name]))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class DirectionNeuron(_Along):
    """Dot times cosine^power with a direction at one position; the centre when none is given."""

    position: Any

    def __call__(self, activations: Activations) -> Array:
        return self.along(at(activations[self.name], self.position))

    def check(self, shapes: Shapes) -> None:
        super().check(shapes)
        check_position(self.name, self.position, shapes, f"direction({self.name!r}, vector)")


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class ActivationWeights(OfLayer):
    """A weighted sum of channels, averaged over positions by a mask."""

    weights: Any  # [C]
    mask: Any  # [H, W], [T], or None for all positions alike

    def __call__(self, activations: Activations) -> Array:
        values = activations[self.name]
        scores = values @ jnp.asarray(self.weights, values.dtype)  # (..., C) (C,) -> (...)
        if self.mask is None:
            return jnp.mean(scores)
        mask = jnp.asarray(self.mask, values.dtype)
        return jnp.sum(mask * scores) / jnp.sum(jnp.abs(mask))

    def check(self, shapes: Shapes) -> None:
        shape = shapes[self.name]
        check_shape("weights", jnp.shape(self.weights), shape[-1:], self.name, "a number for every channel")
        if self.mask is not None:
            check_shape("a mask", jnp.shape(self.mask), shape[:-1], self.name, "a number for every position")


def direction(layer: str, vector: Any, power: float = 0.0) -> Objective:
    """A direction in the space of a layer's channels, at all positions.

    Args:
      layer: the name of a layer.
      vector: [C], a number for every channel; its length scales the score.
      power: of the cosine: 0 for the dot product alone, 2 to ask for the direction and little else.

    Raises:
      InvalidInput: a vector that is empty, not finite or 0, or a negative power.

    Example:
      >>> import jax.numpy as jnp
      >>> direction("conv", [3.0, 4.0], power=2)({"conv": jnp.array([[3.0, 4.0], [4.0, -3.0]])})
      Array(12.5, dtype=float32)
    """
    return Direction(layer, floating("a direction", vector), checked_power(power))


def direction_neuron(
    layer: str, vector: Any, position: Position | None = None, power: float = 0.0
) -> Objective:
    """A direction at one position, the centre when none is given; arguments and errors as `direction`."""
    return DirectionNeuron(
        layer, floating("a direction", vector), checked_power(power), as_position(position)
    )


def activation_weights(layer: str, weights: Any, mask: Any = None) -> Objective:
    """A weighted sum of a layer's channels, on average over its positions or over some of them.

    Args:
      layer: the name of a layer.
      weights: [C], for every channel.
      mask: [H, W] or [T], how much each position counts; all alike when left out.

    Raises:
      InvalidInput: weights or a mask that are empty, not finite or 0.

    Example:
      >>> import jax.numpy as jnp
      >>> activation_weights("conv", [1.0, -1.0], [0, 1])({"conv": jnp.array([[9.0, 0.0], [5.0, 2.0]])})
      Array(3., dtype=float32)
    """
    return ActivationWeights(
        layer, floating("weights", weights), None if mask is None else floating("a mask", mask)
    )


def checked_power(power: float) -> float:
    """The power of a cosine.

    Raises:
      InvalidInput: negative, or not a number.
    """
    if isinstance(power, bool) or not isinstance(power, int | float) or not 0 <= power < float("inf"):
        raise InvalidInput(f"power={power!r}", "a number of at least 0, the power of the cosine", "power=2")
    return float(power)
