"""Smooth saturating functions of one number, applied to every element: tanh, sigmoid, softplus.

    x_out = phi(x_in)        g_in = g_out phi'(x_in)

Saved: the output where phi' is a function of it (tanh, sigmoid), else the input. Values are bit for bit those of
`jax.nn`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.rules.core.floating import has_derivative
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.pointwise.elementwise import draws, elementwise


def _output(_: Array, x_out: Array) -> Array:
    return x_out


# ---- tanh: phi' = 1 - x_out^2. As (1 - y)(1 + y) it keeps its digits where y is near 1. --------------------

_tanh = elementwise("tanh", lambda x: jnp.tanh(x), save=_output, slope=lambda y: (1 - y) * (1 + y))


def tanh(x: Array) -> Array:
    """Hyperbolic tangent, any shape; keeps its output and nothing else.

    Example:
      >>> import jax
      >>> float(jax.grad(tanh)(0.0))
      1.0
    """
    if not has_derivative(x):
        return jnp.tanh(x)
    return _tanh(jnp.asarray(x))


# ---- sigmoid: phi' = x_out (1 - x_out) ---------------------------------------------------------------------

_sigmoid = elementwise("sigmoid", lambda x: jax.lax.logistic(x), save=_output, slope=lambda y: y * (1 - y))


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), any shape; keeps its output and nothing else.

    Example:
      >>> import jax
      >>> float(jax.grad(sigmoid)(0.0))
      0.25
    """
    if not has_derivative(x):
        return jax.nn.sigmoid(x)
    return _sigmoid(jnp.asarray(x))


# ---- softplus: phi' = sigmoid(x_in) ------------------------------------------------------------------------

_softplus = elementwise(
    "softplus", lambda x: jax.nn.softplus(x), save=lambda x, _: x, slope=lambda x: jax.lax.logistic(x)
)


def softplus(x: Array) -> Array:
    """log(1 + e^x), any shape.

    Example:
      >>> import jax
      >>> float(jax.grad(softplus)(0.0))
      0.5
    """
    if not has_derivative(x):
        return jax.nn.softplus(x)
    return _softplus(jnp.asarray(x))


ANYWHERE = (Case("any shape", draws()),)

RULES = (
    Rule(
        name="tanh",
        function=tanh,
        reference=jnp.tanh,
        forward=r"x_{out} = \tanh x_{in}",
        backward=r"g_{in} = g_{out} (1 - x_{out}^2)",
        saved="the output, which the next layer keeps too",
        source="lecture, worked example",
        cases=ANYWHERE,
    ),
    Rule(
        name="sigmoid",
        function=sigmoid,
        reference=jax.nn.sigmoid,
        forward=r"x_{out} = 1 / (1 + e^{-x_{in}})",
        backward=r"g_{in} = g_{out}\, x_{out} (1 - x_{out})",
        saved="the output, which the next layer keeps too",
        source="values of jax.nn.sigmoid",
        cases=ANYWHERE,
    ),
    Rule(
        name="softplus",
        function=softplus,
        reference=jax.nn.softplus,
        forward=r"x_{out} = \log(1 + e^{x_{in}})",
        backward=r"g_{in} = g_{out}\,\sigma(x_{in})",
        saved="the input",
        source="Glorot et al. 2011; values of jax.nn.softplus",
        cases=ANYWHERE,
    ),
)
