"""Units: one channel, neuron or class, or a whole layer at once.

Layers are [H, W, C], tokens [T, C] or units [C]: the last axis is the channel, those before it are positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.objectives.expression import OUTPUT, Activations, Objective, Pair, Shapes

Position = tuple[int, ...]


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
        _check_index("channel", self.index, shapes[self.name], -1, self.name)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Neuron(OfLayer):
    """One channel at one position: (row, column) of [H, W, C], (token,) of [T, C]; the centre when none is given."""

    index: Any
    position: Any

    def __call__(self, activations: Activations) -> Array:
        return at(activations[self.name], self.position)[self.index]

    def check(self, shapes: Shapes) -> None:
        _check_index("channel", self.index, shapes[self.name], -1, self.name)
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
        _check_index("class", self.index, shapes[OUTPUT], -1, OUTPUT)


def channel(layer: str, index: int) -> Objective:
    """Mean activation of one channel of a layer.

    Example:
      >>> import jax.numpy as jnp
      >>> (2 * channel("conv", 1) - 1.0)({"conv": jnp.array([[[0.0, 3.0]]])})
      Array(5., dtype=float32)
    """
    return Channel(layer, _index(index))


def neuron(layer: str, index: int, position: Position | None = None) -> Objective:
    """Activation of one channel at one position; at the centre when none is given.

    Args:
      layer: the name of a layer.
      index: the channel.
      position: (row, column) of a layer [H, W, C], (token,) of a layer [T, C].
    """
    return Neuron(layer, _index(index), as_position(position))


def unit(layer: str, index: int) -> Objective:
    """Activation of one unit of a layer without positions, such as a dense one; else the channel's mean."""
    return channel(layer, index)


def layer(name: str) -> Objective:
    """Mean square of all activations of a layer (DeepDream)."""
    return Layer(name)


def logit(index: int) -> Objective:
    """One class score of the function's own output [classes]."""
    return Channel(OUTPUT, _index(index))


def log_probability(index: int) -> Objective:
    """Log-probability of one class under the softmax of the function's own output [classes]."""
    return LogProbability(_index(index))


def with_class_probability(objective: Objective, weight: float) -> Objective:
    """The objective with `weight` times a class's log-probability added to each of its class scores."""
    if weight and isinstance(objective, Channel) and objective.name == OUTPUT:
        return objective + LogProbability(objective.index) * weight
    if isinstance(objective, Pair):
        parts = (with_class_probability(part, weight) for part in objective.parts)
        return type(objective)(*parts)
    return objective


def at(values: Array, position: Position | None) -> Array:
    """The activation vector [C] at a position, or at the centre."""
    if position is None:
        position = tuple(length // 2 for length in values.shape[:-1])
    return values[position] if position else values


def as_position(position: Position | None) -> Any:
    """A position as whole numbers.

    Raises:
      InvalidInput: something else.
    """
    return None if position is None else tuple(map(_index, position))


def check_position(name: str, position: Any, shapes: Shapes, remedy: str) -> None:
    """Refuse a position that the layer does not have.

    Raises:
      InvalidInput: with the range that there is.
    """
    shape = shapes[name]
    if position is None:
        return
    if len(shape) != len(position) + 1 or len(shape) == 1:
        raise InvalidInput(
            f"a position in {name}, which is {list(shape)}",
            "(row, column) in a layer [H, W, C], (token,) in a layer [T, C]",
            remedy,
        )
    for axis, what in enumerate(("token",) if len(position) == 1 else ("row", "column")):
        _check_index(what, position[axis], shape, axis, name)


def _check_index(what: str, index: int, shape: tuple[int, ...], axis: int, name: str) -> None:
    if not shape or not -shape[axis] <= index < shape[axis]:
        most = shape[axis] - 1 if shape else "nothing"
        raise InvalidInput(
            f"{what} {index} of {name}", f"a {what} from 0 to {most}; {name} is {list(shape)}", f"{what} 0"
        )


def _index(number: int) -> Any:
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise InvalidInput(
            f"{number!r} as a channel, class or position", "a whole number", 'channel("conv1", 7)'
        )
    return int(number)
