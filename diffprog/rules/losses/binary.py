"""Cross-entropy of a sigmoid, element by element, with its backward rule.

J = -t log s - (1-t) log(1-s),  s = sigmoid(x)             g_x = g (s - t),  g_t = -g x
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.losses.errors import checked, pair

# ---- binary cross-entropy: J = (max(x, 0) - x t) + log(1 + e^-|x|), without overflow -----------------------
# In this order: where the label is met, what is large cancels before the small logarithm is added to it.


def _error(saved: tuple[Array, Array], g: Array) -> Array:
    x, t = saved
    return g * (jax.lax.logistic(x) - t)


def _against(x: Array, g: Array) -> Array:
    return -g * x


_binary = operation(
    "binary_cross_entropy",
    lambda x, t: (jnp.maximum(x, 0) - x * t) + jnp.log1p(jnp.exp(-jnp.abs(x))),
    Backward(lambda inputs, *_: inputs, _error, _error),
    Backward(lambda inputs, *_: inputs[0], _against, _against),
)


def binary_cross_entropy(logits: Array, labels: Array) -> Array:
    """-t log s - (1 - t) log(1 - s) with s = sigmoid(logits), for every element.

    Args:
      logits: any shape, floating.
      labels: the shape of logits, from 0 to 1; also differentiable.

    Raises:
      InvalidInput: shapes or dtypes that differ, integer or complex arrays.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> jax.grad(binary_cross_entropy)(0.0, 1.0)
      Array(-0.5, dtype=float32, weak_type=True)
    """
    checked("binary_cross_entropy", logits, labels, None)
    return _binary(jnp.asarray(logits), jnp.asarray(labels))


def _plain_binary(logits: Array, labels: Array) -> Array:
    return -labels * jax.nn.log_sigmoid(logits) - (1 - labels) * jax.nn.log_sigmoid(-logits)


def _labelled(key: Array, dtype: Any) -> tuple[Array, Array]:
    x, t = pair(key, dtype)
    return 3 * x, jax.nn.sigmoid(t)


RULES = (
    Rule(
        name="binary cross-entropy",
        function=binary_cross_entropy,
        reference=_plain_binary,
        forward=r"J = \log(1 + e^x) - x t",
        backward=r"g_x = g\,(\sigma(x) - t),\quad g_t = -g\,x",
        saved="logits and labels for g_x; logits for g_t",
        source="values of optax.sigmoid_binary_cross_entropy to rounding",
        differentiable=(0, 1),
        cases=(Case("any labels", _labelled),),
        exact=False,
    ),
)
