"""Functions of one number, applied to every element, with their backward rules.

    x_out = phi(x_in)        g_in = g_out phi'(x_in)

Each saves the least from which phi' can be had: a mask where phi' is 0 or 1, the output where phi' is a function of
it, the input where it is not.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.rules.anatomy import Backward, operation
from diffprog.rules.record import Case, Rule


def _masked(mask: Array, g: Array, **_: Any) -> Array:
    return jnp.where(mask, g, jnp.zeros_like(g))


# ---- relu: x_out = max(x_in, 0),  g_in = g_out where x_in > 0, else 0 ---------------------------------------
# Saved: the mask x_in > 0, one byte an element; under jit XLA makes it again from x_in where that is at hand.

_relu = operation(
    "relu",
    lambda x: jnp.maximum(x, 0),
    Backward(save=lambda inputs, *_: inputs[0] > 0, pull=_masked, push=_masked),
)


def relu(x: Array) -> Array:
    """Rectifier max(x, 0), any shape; its derivative at 0 is 0.

    Example:
      >>> import jax
      >>> [float(jax.grad(relu)(x)) for x in (-1.0, 0.0, 2.0)]
      [0.0, 0.0, 1.0]
    """
    return _relu(x)


# ---- relu6: x_out = min(max(x_in, 0), 6),  g_in = g_out where 0 < x_in < 6, else 0 --------------------------

_relu6 = operation(
    "relu6",
    lambda x: jnp.minimum(jnp.maximum(x, 0), 6),
    Backward(save=lambda inputs, *_: (inputs[0] > 0) & (inputs[0] < 6), pull=_masked, push=_masked),
)


def relu6(x: Array) -> Array:
    """Rectifier capped at six, min(max(x, 0), 6), any shape; its derivative at 0 and at 6 is 0.

    Example:
      >>> import jax
      >>> [float(jax.grad(relu6)(x)) for x in (-1.0, 3.0, 6.0, 7.0)]
      [0.0, 1.0, 0.0, 0.0]
    """
    return _relu6(x)


def _away_from(*kinks: float) -> Any:
    """Draws whose distance from every kink is at least 0.05, so that finite differences stay on one side."""

    def make(key: Array, dtype: Any) -> tuple[Array]:
        x = 4 * jax.random.normal(key, (3, 5, 4), dtype)
        for kink in kinks:
            x = jnp.where(jnp.abs(x - kink) < 0.05, kink + 0.1, x)
        return (x,)

    return make


RULES = (
    Rule(
        name="relu",
        function=relu,
        reference=jax.nn.relu,
        forward=r"x_{out} = \max(x_{in}, 0)",
        backward=r"g_{in} = g_{out}\,[x_{in} > 0]",
        saved="the mask x_in > 0: one byte an element",
        kinks="0 at x_in = 0, as jax.nn.relu",
        source="lecture, slide on pointwise layers",
        cases=(Case("any shape", _away_from(0.0)),),
        orders=1,
    ),
    Rule(
        name="relu6",
        function=relu6,
        reference=jax.nn.relu6,
        forward=r"x_{out} = \min(\max(x_{in}, 0), 6)",
        backward=r"g_{in} = g_{out}\,[0 < x_{in} < 6]",
        saved="the mask 0 < x_in < 6: one byte an element",
        kinks="0 at x_in = 0 and at x_in = 6, as jax.nn.relu6",
        source="Howard et al. 2017, MobileNets",
        cases=(Case("any shape", _away_from(0.0, 6.0)),),
        orders=1,
    ),
)
