"""Objectives: what a picture should excite, as a score read off named activations.

An objective is an expression: `channel("blocks/10", 47) + 0.5 * logit(3) - layer("fire4")`. Which layers it
reads is structure; which channel, position, direction or class, and every weight, is data. So objectives of one shape
share one compiled program, and a whole layer's channels can be drawn without compiling again.
A score belongs to one picture; more is always better. An objective that compares pictures with each other is `joint`:
it scores all pictures of a group at once, and they are drawn together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
        """The score of one picture, whose activations come without a batch axis.

        Raises:
          InvalidInput: an objective that compares pictures (`joint`).
        """
        raise NotImplementedError

    def together(self, activations: Activations) -> Array:
        """The scores [n] of a group of n pictures, whose activations carry a leading axis."""
        return jax.vmap(self)(activations)

    @property
    def layers(self) -> frozenset[str]:
        """Names of the activations it reads."""
        return frozenset().union(*(part.layers for part in self.parts))

    @property
    def parts(self) -> tuple[Objective, ...]:
        """The expressions it is made of."""
        return ()

    @property
    def joint(self) -> bool:
        """Whether the score of a picture depends on the others of its group."""
        return any(part.joint for part in self.parts)

    @property
    def placed(self) -> bool:
        """Whether it compares with a picture position by position, so that a turned or mirrored one is another."""
        return any(part.placed for part in self.parts)

    def check(self, shapes: Shapes) -> None:
        """Refuse channels, classes and positions out of range, and references that do not fit.

        Args:
          shapes: of every layer it reads, without the batch axis.

        Raises:
          InvalidInput: with the range or the shape that there is.
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
        return jnp.asarray(self.number, jnp.result_type(float))

    def together(self, activations: Activations) -> Array:
        return self(activations)  # the same for all: a scalar, which broadcasts


@dataclass(frozen=True)
class Pair(Objective):
    """Two objectives, of whose scores `combine` makes one."""

    left: Objective
    right: Objective

    @property
    def parts(self) -> tuple[Objective, ...]:
        return (self.left, self.right)

    def combine(self, left: Array, right: Array) -> Array:
        """The score of the whole, from those of the parts."""
        raise NotImplementedError

    def __call__(self, activations: Activations) -> Array:
        return self.combine(self.left(activations), self.right(activations))

    def together(self, activations: Activations) -> Array:
        return self.combine(self.left.together(activations), self.right.together(activations))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sum(Pair):
    """The sum of two objectives."""

    def combine(self, left: Array, right: Array) -> Array:
        return left + right


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Product(Pair):
    """The product of two objectives; with a constant, a weight."""

    def combine(self, left: Array, right: Array) -> Array:
        return left * right


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
