"""Exponential, logarithm, square and square root, element by element, with their backward rules.

    x_out = phi(x_in)        g_in = g_out phi'(x_in)

At the edge of their domains they are finite wherever the true derivative is; where it is infinite, a convention is
stated: the square root's slope at 0 is 0, so that the gradient of a norm at 0 is 0 and not NaN.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax

from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.floating import has_derivative
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.pointwise.elementwise import draws, elementwise

# ---- exp: phi' = x_out. log: phi' = 1 / x_in. square: phi' = 2 x_in ----------------------------------------

_exp = elementwise("exp", lambda x: jnp.exp(x), save=lambda x, y: y, slope=lambda y: y)
_log = operation(
    "log",
    lambda x: jnp.log(x),
    Backward(lambda inputs, *_: inputs[0], pull=lambda x, g: g / x, push=lambda x, g: g / x),
)
_square = elementwise("square", lambda x: jnp.square(x), save=lambda x, y: x, slope=lambda x: 2 * x)


def exp(x: Array) -> Array:
    """e^x, any shape; keeps its output and nothing else.

    Example:
      >>> import jax
      >>> float(jax.grad(exp)(0.0))
      1.0
    """
    if not has_derivative(x):
        return jnp.exp(x)
    return _exp(jnp.asarray(x))


def log(x: Array) -> Array:
    """Natural logarithm, any shape; its slope at 0 is infinite, as it truly is.

    Example:
      >>> import jax
      >>> float(jax.grad(log)(2.0))
      0.5
    """
    if not has_derivative(x):
        return jnp.log(x)
    return _log(jnp.asarray(x))


def square(x: Array) -> Array:
    """x^2, any shape.

    Example:
      >>> import jax
      >>> float(jax.grad(square)(3.0))
      6.0
    """
    if not has_derivative(x):
        return jnp.square(x)
    return _square(jnp.asarray(x))


# ---- sqrt: phi' = 1 / (2 sqrt(x_in)), 0 at 0 ---------------------------------------------------------------
# Saved: the input and not the output, whose own infinite slope at 0 would make the second derivative NaN there.
# Infinity in place of 0 makes the slope 0, and its slopes too.


def _sqrt_slope(x: Array) -> Array:
    return 0.5 * lax.rsqrt(jnp.where(x == 0, jnp.inf, x))


_sqrt = elementwise("sqrt", lambda x: jnp.sqrt(x), save=lambda x, y: x, slope=_sqrt_slope)


def sqrt(x: Array) -> Array:
    """Square root, any shape; its slope at 0, truly infinite, is 0 by convention, in every order.

    Example:
      >>> import jax
      >>> [float(jax.grad(sqrt)(x)) for x in (0.0, 4.0)]
      [0.0, 0.25]
      >>> import jax.numpy as jnp
      >>> jax.grad(lambda x: sqrt(jnp.sum(x * x)))(jnp.zeros(2))  # the norm, at its own kink
      Array([0., 0.], dtype=float32)
    """
    if not has_derivative(x):
        return jnp.sqrt(x)
    return _sqrt(jnp.asarray(x))


POSITIVE = (Case("positive", draws(positive=True)),)

RULES = (
    Rule(
        name="exp",
        function=exp,
        reference=jnp.exp,
        forward=r"x_{out} = e^{x_{in}}",
        backward=r"g_{in} = g_{out}\,x_{out}",
        saved="the output",
        source="the derivative of the exponential",
        cases=(Case("any shape", draws(spread=1.0)),),
    ),
    Rule(
        name="log",
        function=log,
        reference=jnp.log,
        forward=r"x_{out} = \log x_{in}",
        backward=r"g_{in} = g_{out} / x_{in}",
        saved="the input",
        kinks="infinite at 0, as it truly is",
        source="the derivative of the logarithm",
        cases=POSITIVE,
    ),
    Rule(
        name="square",
        function=square,
        reference=jnp.square,
        forward=r"x_{out} = x_{in}^2",
        backward=r"g_{in} = 2\,g_{out}\,x_{in}",
        saved="the input",
        source="the derivative of the square",
        cases=(Case("any shape", draws()),),
    ),
    Rule(
        name="sqrt",
        function=sqrt,
        reference=jnp.sqrt,
        forward=r"x_{out} = \sqrt{x_{in}}",
        backward=r"g_{in} = g_{out} / (2 \sqrt{x_{in}})",
        saved="the input: the output has an infinite slope at 0, which would spoil the second derivative",
        kinks="0 at x_in = 0 in every order, where the true slope is infinite (jnp.sqrt: inf, and NaN behind a norm)",
        source="the derivative of the square root",
        cases=POSITIVE,
    ),
)
