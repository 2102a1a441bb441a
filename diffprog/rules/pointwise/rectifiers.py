"""Rectifiers, applied to every element.

    x_out = phi(x_in)        g_in = g_out phi'(x_in)

phi' takes two values, so a byte an element is all that is saved. Every kink has a convention, said in its record.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.floating import has_derivative
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.pointwise.elementwise import draws, number


def masked(mask: Array, g: Array, **_: Any) -> Array:
    """g where the slope is one, else nothing."""
    return jnp.where(mask, g, jnp.zeros_like(g))


# ---- relu: x_out = max(x_in, 0),  g_in = g_out where x_in > 0, else 0 --------------------------------------
# Saved: the mask x_in > 0, one byte an element; under jit XLA makes it again from x_in where that is at hand.

_relu = operation(
    "relu",
    lambda x: jnp.maximum(x, 0),
    Backward(save=lambda inputs, *_: inputs[0] > 0, pull=masked, push=masked),
)


def relu(x: Array) -> Array:
    """Rectifier max(x, 0), any shape; its derivative at 0 is 0.

    Example:
      >>> import jax
      >>> [float(jax.grad(relu)(x)) for x in (-1.0, 0.0, 2.0)]
      [0.0, 0.0, 1.0]
    """
    return _relu(x)


# ---- relu6: x_out = min(max(x_in, 0), 6),  g_in = g_out where 0 < x_in < 6, else 0 -------------------------

_relu6 = operation(
    "relu6",
    lambda x: jnp.minimum(jnp.maximum(x, 0), 6),
    Backward(save=lambda inputs, *_: (inputs[0] > 0) & (inputs[0] < 6), pull=masked, push=masked),
)


def relu6(x: Array) -> Array:
    """Rectifier capped at six, min(max(x, 0), 6), any shape; its derivative at 0 and at 6 is 0.

    Example:
      >>> import jax
      >>> [float(jax.grad(relu6)(x)) for x in (-1.0, 3.0, 6.0, 7.0)]
      [0.0, 1.0, 0.0, 0.0]
    """
    return _relu6(x)


# ---- leaky relu: x_out = x_in where x_in >= 0, else a x_in,  g_in = g_out or a g_out -----------------------


def _leaking(mask: Array, g: Array, slope: float) -> Array:
    return jnp.where(mask, g, slope * g)


_leaky_relu = operation(
    "leaky_relu",
    lambda x, slope: jnp.where(x >= 0, x, slope * x),
    Backward(save=lambda inputs, *_, slope: inputs[0] >= 0, pull=_leaking, push=_leaking),
)


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """Rectifier that lets a part of the negative side through, any shape; its derivative at 0 is 1.

    Args:
      x: any shape, floating.
      negative_slope: a Python number; the derivative on the negative side.

    Raises:
      InvalidInput: an integer or complex array, or a slope that is no Python number.

    Example:
      >>> import jax
      >>> [float(jax.grad(leaky_relu)(x, 0.5)) for x in (-1.0, 0.0, 2.0)]
      [0.5, 1.0, 1.0]
    """
    if not has_derivative(x):
        return jax.nn.leaky_relu(x, negative_slope)
    return _leaky_relu(jnp.asarray(x), slope=number("leaky_relu", "negative_slope", negative_slope))


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
        cases=(Case("any shape", draws(0.0)),),
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
        cases=(Case("any shape", draws(0.0, 6.0)),),
    ),
    Rule(
        name="leaky relu",
        function=leaky_relu,
        reference=jax.nn.leaky_relu,
        forward=r"x_{out} = x_{in}\,[x_{in} \ge 0] + a\,x_{in}\,[x_{in} < 0]",
        backward=r"g_{in} = g_{out}\,[x_{in} \ge 0] + a\,g_{out}\,[x_{in} < 0]",
        saved="the mask x_in >= 0: one byte an element",
        kinks="1 at x_in = 0, as jax.nn.leaky_relu",
        source="Maas et al. 2013, Rectifier nonlinearities improve neural network acoustic models",
        cases=(Case("slope 0.01", draws(0.0)), Case("slope 0.3", draws(0.0), {"negative_slope": 0.3})),
    ),
)
