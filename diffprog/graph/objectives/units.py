"""Units: one channel, neuron or class, or a whole layer at once.

Layers are [H, W, C], tokens [T, C] or units [C]: the last axis is the channel, those before it are positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.graph.objectives.expression import OUTPUT, Activations, Objective, Pair, Shapes
from diffprog.graph.objectives.positions import (
    Position,
    as_index,
    as_position,
    at,
    check_index,
    check_position,
)


@dataclass(frozen=True, eq=False)  # or its heirs that hold arrays would be equal by the layer's name
class OfLayer(Objective):
    """An objective that reads one layer."""

    name: str = field(metadata={"static": True})

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({self.name})


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Channel(OfLayer):
    """The mean over all positions of one channel: of [H, W, C], of tokens [T, C], or of units [C]."""

    index: Any

    def __call__(self, activations: Activations) -> Array:
        return jnp.mean(activations[self.name][..., self.index])

    def check(self, shapes: Shapes) -> None:
        _check_channel("channel", self.index, shapes, self.name)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Neuron(OfLayer):
    """One channel at one position: (row, column) of maps or patches, (token,); the centre when none is given."""

    index: Any
    position: Any

    def __call__(self, activations: Activations) -> Array:
        return at(activations[self.name], self.position)[self.index]

    def check(self, shapes: Shapes) -> None:
        _check_channel("channel", self.index, shapes, self.name)
        check_position(self.name, self.position, shapes, f"channel({self.name!r}, {self.index})")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Layer(OfLayer):
    """The mean square of a whole layer: DeepDream's objective."""

    def __call__(self, activations: Activations) -> Array:
        return jnp.mean(activations[self.name] ** 2)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LogProbability(Objective):
    """The log-probability of one class under the softmax of the output [classes]."""

    index: Any

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({OUTPUT})

    def __call__(self, activations: Activations) -> Array:
        return jax.nn.log_softmax(activations[OUTPUT])[self.index]

    def check(self, shapes: Shapes) -> None:
        _check_channel("class", self.index, shapes, OUTPUT)


def channel(layer: str, index: int) -> Objective:
    """Mean activation of one channel of a layer.

    Example:
      >>> import jax.numpy as jnp
      >>> (2 * channel("conv", 1) - 1.0)({"conv": jnp.array([[[0.0, 3.0]]])})
      Array(5., dtype=float32)
    """
    return Channel(layer, as_index(index))


def neuron(layer: str, index: int, position: Position | None = None) -> Objective:
    """Activation of one channel at one position; at the centre when none is given.

    Args:
      layer: the name of a layer.
      index: the channel.
      position: (row, column) of a layer [H, W, C], (token,) of a layer [T, C]; (row, column) of its patches, too,
        when T is a square number or one more (the class token).
    """
    return Neuron(layer, as_index(index), as_position(position))


def unit(layer: str, index: int) -> Objective:
    """Activation of one unit of a layer without positions, such as a dense one; else the channel's mean."""
    return channel(layer, index)


def layer(name: str) -> Objective:
    """Mean square of all activations of a layer (DeepDream)."""
    return Layer(name)


def logit(index: int) -> Objective:
    """One class score of the function's own output [classes]."""
    return Channel(OUTPUT, as_index(index))


def log_probability(index: int) -> Objective:
    """Log-probability of one class under the softmax of the function's own output [classes]."""
    return LogProbability(as_index(index))


def with_class_probability(objective: Objective, weight: float) -> Objective:
    """The objective with `weight` times a class's log-probability added to each of its class scores."""
    if weight and isinstance(objective, Channel) and objective.name == OUTPUT:
        return objective + LogProbability(objective.index) * weight
    if isinstance(objective, Pair):
        parts = (with_class_probability(part, weight) for part in objective.parts)
        return type(objective)(*parts)
    return objective


def _check_channel(what: str, index: int, shapes: Shapes, name: str) -> None:
    shape = shapes[name]
    check_index(what, index, shape[-1] if shape else 0, name, shape)
