"""Objectives: what a picture should excite, as a score read off named activations.

An objective is an expression: `channel("blocks/10", 47) + 0.5 * logit(3) - layer("fire4")`. Which layers it
reads is structure; which channel, position or class, and every weight, is data. So objectives of one shape
share one compiled program, and a whole layer's channels can be drawn without compiling again.
A score belongs to one picture; more is always better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput

OUTPUT = "output"
Activations = Mapping[str, Array]
Shapes = Mapping[str, tuple[int, ...]]


class Objective:
    """An expression over named activations of one picture; `+`, `-` and `*` combine expressions and numbers."""

    def __call__(self, activations: Activations) -> Array:
        """The score of one picture, whose activations come without a batch axis."""
        raise NotImplementedError

    @property
    def layers(self) -> frozenset[str]:
        """Names of the activations it reads."""
        return frozenset().union(*(part.layers for part in self.parts))

    @property
    def parts(self) -> tuple[Objective, ...]:
        """The expressions it is made of."""
        return ()

    def check(self, shapes: Shapes) -> None:
        """Refuse channels, classes and positions out of range.

        Args:
          shapes: of every layer it reads, without the batch axis.

        Raises:
          InvalidInput: with the range that there is.
        """
        for part in self.parts:
            part.check(shapes)

    def __add__(self, other: Objective | float) -> Objective:
        return Sum(self, _lift(other))

    def __mul__(self, other: Objective | float) -> Objective:
        return Product(self, _lift(other))

    def __neg__(self) -> Objective:
        return Product(Constant(-1.0), self)

    def __sub__(self, other: Objective | float) -> Objective:
        return self + (-_lift(other))

    def __radd__(self, other: float) -> Objective:
        return _lift(other) + self

    def __rsub__(self, other: float) -> Objective:
        return _lift(other) - self

    __rmul__ = __mul__


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Constant(Objective):
    """A number."""

    number: Any

    def __call__(self, activations: Activations) -> Array:
        return jnp.asarray(self.number, jnp.float32)


@dataclass(frozen=True)
class _Pair(Objective):
    left: Objective
    right: Objective

    @property
    def parts(self) -> tuple[Objective, ...]:
        return (self.left, self.right)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sum(_Pair):
    """The sum of two objectives."""

    def __call__(self, activations: Activations) -> Array:
        return self.left(activations) + self.right(activations)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Product(_Pair):
    """The product of two objectives; with a constant, a weight."""

    def __call__(self, activations: Activations) -> Array:
        return self.left(activations) * self.right(activations)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Channel(Objective):
    """The mean over all positions of one channel: of [H, W, C], of tokens [T, C], or of units [C]."""

    name: str = field(metadata={"static": True})
    index: Any

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({self.name})

    def __call__(self, activations: Activations) -> Array:
        return jnp.mean(activations[self.name][..., self.index])

    def check(self, shapes: Shapes) -> None:
        _check_index("channel", self.index, shapes[self.name], -1, self.name)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Neuron(Objective):
    """One channel at one position (row, column) of [H, W, C]; the centre when no position is given."""

    name: str = field(metadata={"static": True})
    index: Any
    position: Any

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({self.name})

    def __call__(self, activations: Activations) -> Array:
        values = activations[self.name]
        if self.position is None:
            return values[(*(length // 2 for length in values.shape[:-1]), self.index)]
        return values[self.position[0], self.position[1], self.index]

    def check(self, shapes: Shapes) -> None:
        shape = shapes[self.name]
        _check_index("channel", self.index, shape, -1, self.name)
        if self.position is None:
            return
        if len(shape) != 3:
            raise InvalidInput(
                f"a position in {self.name}, which is {list(shape)}",
                "a layer with rows and columns, [H, W, C]",
                f"channel({self.name!r}, {self.index})",
            )
        _check_index("row", self.position[0], shape, 0, self.name)
        _check_index("column", self.position[1], shape, 1, self.name)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Layer(Objective):
    """The mean square of a whole layer: DeepDream's objective."""

    name: str = field(metadata={"static": True})

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({self.name})

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


def neuron(layer: str, index: int, position: tuple[int, int] | None = None) -> Objective:
    """Activation of one channel at one (row, column); at the centre when no position is given."""
    return Neuron(layer, _index(index), None if position is None else tuple(map(_index, position)))


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
    if isinstance(objective, Sum | Product):
        parts = (with_class_probability(part, weight) for part in objective.parts)
        return type(objective)(*parts)
    return objective


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


def _lift(other: Objective | float) -> Objective:
    if isinstance(other, Objective):
        return other
    if isinstance(other, int | float) or (hasattr(other, "shape") and other.shape == ()):
        return Constant(other)
    raise InvalidInput(
        f"an objective combined with {type(other).__name__}",
        "another objective or a number",
        'channel("conv1", 7) + 0.5 * channel("conv1", 8)',
    )
