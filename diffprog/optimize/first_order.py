"""Level two, values and gradients: gradient descent, and momentum in the forms people write it.

All forms of "momentum" below are the same sequence of points under a change of names, or are not; the maps between
them are stated here once and tested. With gradient g_k at theta_k (Nesterov: where the form says), constant rates:

    lecture        m <- beta m + g,              theta <- theta - eta m
    Goh 2017       z <- beta z + g,              w <- w - alpha z              the lecture's; alpha = eta
    optax.sgd      t <- momentum t + g,          w <- w - learning_rate t      the lecture's
    torch SGD      b <- momentum b + (1-d) g,    w <- w - lr b                 the lecture's with lr (1-d) = eta, d the
                                                 dampening; but torch's first b is g, undamped, so for d > 0 the
                                                 first step alone is 1/(1-d) times as long
    autograd       v <- mass v - (1-mass) g,     x <- x + step_size v          the lecture's with
                                                 eta = step_size (1-mass); m = -v / (1-mass)
    Polyak 1964    w <- w - alpha g + beta (w - w_before)                      the lecture's, without a buffer

A schedule breaks the equality with forms that fold the rate into the buffer (Polyak's): the lecture's multiplies the
whole buffer by today's rate. Nesterov in the lecture's names takes the step from where momentum alone would lead,
g at theta - eta beta m; optax and torch store that look-ahead point as the parameter, which gives m <- beta m + g,
theta <- theta - eta (g + beta m), the form used here.

Source: Goh, "Why Momentum Really Works", Distill 2017; Polyak 1964; Sutskever et al. 2013 (Nesterov's look-ahead).
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from optax import Schedule

from diffprog.errors import InvalidInput
from diffprog.optimize.method import Oracle, PyTree, Seen, counted


@dataclass(frozen=True)
class Momentum:
    """m <- beta m + g; theta <- theta - eta m: the method behind the nouns below."""

    learning_rate: float | Schedule
    beta: float = 0.0
    look_ahead: bool = False

    def __post_init__(self) -> None:
        rate = self.learning_rate
        if not callable(rate) and not rate > 0:
            raise InvalidInput(
                f"learning_rate={rate}", "more than 0: costs are minimized", "minimize -cost to climb"
            )
        if not 0 <= self.beta < 1:
            raise InvalidInput(
                f"beta={self.beta}", "0 <= beta < 1; from 1 on the sum of gradients never fades", "beta=0.9"
            )

    def init(self, value: PyTree) -> PyTree:
        """(m, steps taken); gradient descent keeps no m."""
        buffer = jax.tree.map(jnp.zeros_like, value) if self.beta else ()
        return buffer, jnp.zeros((), jnp.int32)

    def step(self, oracle: Oracle, value: PyTree, state: PyTree) -> tuple[PyTree, PyTree, Seen]:
        """One gradient, one move."""
        buffer, taken = state
        loss, record, g = oracle.gradient(value)
        eta = self.learning_rate(taken) if callable(self.learning_rate) else self.learning_rate
        move = g
        if self.beta:
            buffer = jax.tree.map(lambda m, g: self.beta * m + g, buffer, g)
            ahead = self.look_ahead
            move = jax.tree.map(lambda m, g: g + self.beta * m, buffer, g) if ahead else buffer
        value = jax.tree.map(lambda w, d: w - jnp.asarray(eta, w.dtype) * d, value, move)
        return value, (buffer, taken + 1), Seen(loss, record, g, counted(gradients=1))


def gradient_descent(learning_rate: float | Schedule) -> Momentum:
    """theta <- theta - eta g.

    Args:
      learning_rate: eta, or an optax schedule (step -> eta).

    Raises:
      InvalidInput: a rate that is not positive.

    Example:
      >>> from diffprog.optimize import optimize
      >>> float(optimize(lambda w: (w - 3.0) ** 2, 0.0, gradient_descent(0.25), steps=2).value)
      2.25

    Source: lecture, "Gradient descent".
    """
    return Momentum(learning_rate)


def sgd(learning_rate: float | Schedule) -> Momentum:
    """Gradient descent under the name it has when the cost draws a batch; see `on_batches`."""
    return Momentum(learning_rate)


def momentum(learning_rate: float | Schedule, beta: float = 0.9) -> Momentum:
    """m <- beta m + g; theta <- theta - eta m, the heavy ball in the lecture's form.

    Args:
      learning_rate: eta, or an optax schedule. The effective step is eta / (1 - beta).
      beta: how much of the sum of past gradients is kept.

    Raises:
      InvalidInput: a rate that is not positive, or beta outside [0, 1).

    Example:
      >>> from diffprog.optimize import optimize
      >>> float(optimize(lambda w: w**2, 1.0, momentum(0.25, beta=0.5), steps=2).value)  # 1 -> 0.5 -> 0
      0.0
    """
    return Momentum(learning_rate, beta)


def nesterov(learning_rate: float | Schedule, beta: float = 0.9) -> Momentum:
    """m <- beta m + g; theta <- theta - eta (g + beta m), with theta the look-ahead point.

    Args:
      learning_rate: eta, or an optax schedule.
      beta: as in `momentum`.
    """
    return Momentum(learning_rate, beta, look_ahead=True)
