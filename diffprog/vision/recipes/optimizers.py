"""The optimizers of recipes, as data: each is a frozen dataclass that makes an optax transformation when called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015); epsilon is added outside of the root, as in TensorFlow, PyTorch and optax."""

    learning_rate: float = 0.05
    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8

    def __call__(self) -> optax.GradientTransformation:
        """The optax transformation."""
        return optax.adam(self.learning_rate, self.b1, self.b2, self.epsilon)


@dataclass(frozen=True)
class GradientAscent:
    """Plain gradient steps of this learning rate."""

    learning_rate: float = 1.0

    def __call__(self) -> optax.GradientTransformation:
        """The optax transformation."""
        return optax.sgd(self.learning_rate)


@dataclass(frozen=True)
class Nadam:
    """Adam with Nesterov's momentum and a momentum that warms up, mu_t = b1 (1 - 0.5 * 0.96^(t decay)).

    Three methods go by this name. PyTorch's `NAdam` has decay 0.004 and epsilon 1e-8, Keras's `Nadam` decay 1 and
    epsilon 1e-7; `optax.nadam` has no warm-up at all and takes other steps.

        m = b1 m + (1 - b1) g          v = b2 v + (1 - b2) g^2
        m' = mu_{t+1} m / (1 - mu_1 .. mu_{t+1}) + (1 - mu_t) g / (1 - mu_1 .. mu_t)
        x -= rate m' / (sqrt(v / (1 - b2^t)) + eps)

    Source: Dozat 2016, "Incorporating Nesterov momentum into Adam".
    """

    learning_rate: float = 1.0
    decay: float = 0.004
    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8

    def __call__(self) -> optax.GradientTransformation:
        """The optax transformation."""
        return optax.GradientTransformation(_start, self._update)

    def _update(self, gradient: Any, state: _Moments, params: Any = None) -> tuple[Any, _Moments]:
        t = state.taken + 1
        now, ahead = self._momentum(t), self._momentum(t + 1)
        product = state.product * now
        mean = jax.tree.map(lambda m, g: self.b1 * m + (1 - self.b1) * g, state.mean, gradient)
        square = jax.tree.map(lambda v, g: self.b2 * v + (1 - self.b2) * g**2, state.square, gradient)
        of_mean, of_gradient = ahead / (1 - product * ahead), (1 - now) / (1 - product)
        unbiased = 1 / (1 - self.b2 ** t.astype(jnp.float32))

        def move(m: Array, g: Array, v: Array) -> Array:
            step = (of_mean * m + of_gradient * g) / (jnp.sqrt(v * unbiased) + self.epsilon)
            return -self.learning_rate * step

        return jax.tree.map(move, mean, gradient, square), _Moments(t, product, mean, square)

    def _momentum(self, t: Array) -> Array:
        return self.b1 * (1 - 0.5 * 0.96 ** (t.astype(jnp.float32) * self.decay))


class _Moments(NamedTuple):
    taken: Array
    product: Array
    mean: Any
    square: Any


def _start(params: Any) -> _Moments:
    zeros = jax.tree.map(jnp.zeros_like, params)
    return _Moments(jnp.zeros((), jnp.int32), jnp.ones((), jnp.float32), zeros, zeros)
