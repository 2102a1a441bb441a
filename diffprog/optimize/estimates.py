"""Level one, values only: gradients estimated from values, for any first-order method to follow.

All estimates are of one form. For directions v_i and a small step h,

    forward   g = sum_i w (f(x + h v_i) - f(x)) / h  v_i         one value each, and one for f(x)
    central   g = sum_i w (f(x + h v_i) - f(x - h v_i)) / 2h v_i    two values each, no error of even order

    finite_differences   the d coordinates, w = 1: the gradient up to rounding and O(h), or O(h^2)
    directional          n random normal directions, w = 1/n, forward: unbiased as h -> 0, E|g|^2 = (d + 2)|grad|^2 for
                         n = 1, so some d times as many steps as gradient descent
    spsa                 n random sign vectors, w = 1/n, central
    evolution_strategies n random normal directions, w = 1/n, central, with a wide h: the exact gradient of the cost
                         blurred by a normal of width h, which has one also where the cost is a staircase

Source: Kiefer and Wolfowitz 1952; Spall 1992; Nesterov and Spokoiny 2017; Salimans et al. 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from diffprog.errors import InvalidInput
from diffprog.optimize.first_order import gradient_descent
from diffprog.optimize.method import Oracle, PyTree, Seen, as_method, counted


@dataclass(frozen=True)
class Estimated:
    """A first-order method that follows an estimate; made by the functions below.

    Attributes:
      method: what follows the estimate.
      width: h.
      directions: how many random ones; 0 for the coordinates.
      signs: draw signs in place of normal numbers.
      central: differences on both sides.
    """

    method: Any
    width: float
    directions: int
    signs: bool
    central: bool

    def __post_init__(self) -> None:
        if not self.width > 0 or self.directions < 0:
            raise InvalidInput(
                f"a width of {self.width} and {self.directions} directions",
                "a width above 0 and at least one direction",
                "the defaults",
            )

    def init(self, value: PyTree) -> PyTree:
        """The state of the method that follows."""
        return as_method(self.method).init(value)

    def estimate(self, oracle: Oracle, value: PyTree) -> tuple[Array, PyTree, int]:
        """(a cost, an estimate of the gradient, how many values it took).

        The cost is f(x) where that was asked for, and otherwise the mean of the values, which is f(x) + O(h^2).
        """
        x, whole = ravel_pytree(value)
        V = self._drawn(oracle.key, x)  # (k, d)

        def along(signed: float) -> Array:
            return jax.vmap(lambda v: oracle.value(whole(x + signed * v)))(V)  # (k,)

        weight = 1.0 / (self.directions or 1)
        ahead = along(self.width)
        if self.central:
            behind = along(-self.width)
            slopes, loss = (ahead - behind) / (2 * self.width), (jnp.mean(ahead) + jnp.mean(behind)) / 2
        else:
            loss = oracle.value(value)
            slopes = (ahead - loss) / self.width
        return loss, whole(weight * (slopes @ V)), len(V) * (2 if self.central else 1) + (not self.central)

    def step(self, oracle: Oracle, value: PyTree, state: PyTree) -> tuple[PyTree, PyTree, Seen]:
        """The values an estimate takes, then the method's step along it."""
        loss, g, asked = self.estimate(oracle, value)
        blind = oracle._replace(gradient=lambda _: (loss, None, g))
        value, state, seen = as_method(self.method).step(blind, value, state)
        return value, state, seen._replace(counts=counted(values=asked))

    def _drawn(self, key: Array, x: Array) -> Array:
        if not self.directions:
            return jnp.eye(x.size, dtype=x.dtype)
        draw = jax.random.rademacher if self.signs else jax.random.normal
        return draw(key, (self.directions, x.size), x.dtype)


def finite_differences(method: Any, width: float = 1e-2, central: bool = True) -> Estimated:
    """Differences along every coordinate: 2d values a step, or d + 1 if not central.

    Args:
      method: a first-order method, or a learning rate for gradient descent.
      width: h. The best is about the cube root of the type's rounding: 1e-2 in float32, 1e-5 in float64.
      central: differences on both sides.

    Example:
      >>> from diffprog.optimize import optimize
      >>> run = optimize(lambda w: (w - 3.0) ** 2, 0.0, finite_differences(0.25), steps=20)
      >>> round(float(run.value), 3), run.counts.values, run.counts.gradients
      (3.0, 40, 0)
    """
    return Estimated(_follower(method), width, 0, False, central)


def directional(method: Any, directions: int = 1, width: float = 1e-2) -> Estimated:
    """Forward differences along random normal directions: directions + 1 values a step.

    Args:
      method: a first-order method, or a learning rate for gradient descent.
      directions: how many to average over.
      width: h.
    """
    return Estimated(_follower(method), width, _some(directions), False, central=False)


def spsa(method: Any, directions: int = 1, width: float = 1e-2) -> Estimated:
    """Simultaneous perturbation: central differences along random sign vectors, two values each, whatever d.

    Args:
      method: a first-order method, or a learning rate for gradient descent.
      directions: how many to average over.
      width: h.
    """
    return Estimated(_follower(method), width, _some(directions), True, central=True)


def evolution_strategies(method: Any, pairs: int = 16, width: float = 0.1) -> Estimated:
    """Antithetic evolution strategies: central differences along wide normal directions, two values a pair.

    Args:
      method: a first-order method, or a learning rate for gradient descent.
      pairs: how many directions.
      width: the standard deviation of the blur.

    Example:
      >>> from diffprog.optimize import optimize
      >>> stairs = lambda w: jnp.sum(jnp.round(4 * jnp.abs(w)))  # its gradient is zero wherever it has one
      >>> run = optimize(stairs, jnp.array([2.0, -1.5]), evolution_strategies(0.02, width=0.3), steps=100)
      >>> bool(stairs(run.value) <= 2)
      True
    """
    return Estimated(_follower(method), width, _some(pairs), False, central=True)


def _follower(method: Any) -> Any:
    if isinstance(method, int | float):
        return gradient_descent(method)
    as_method(method)  # says what is wrong with it
    return method


def _some(directions: int) -> int:
    if isinstance(directions, bool) or not isinstance(directions, int) or directions < 1:
        raise InvalidInput(f"{directions!r} directions", "a whole number, 1 or more", "directions=8")
    return directions
