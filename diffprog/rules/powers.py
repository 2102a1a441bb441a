"""Exponential, logarithm, square root and powers, element by element, with their backward rules.

    x_out = phi(x_in)        g_in = g_out phi'(x_in)

At the edge of their domains they are finite wherever the true derivative is; where it is infinite, a convention is
stated: the square root's slope at 0 is 0, so that the gradient of a norm at 0 is 0 and not NaN.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array

from diffprog.rules.anatomy import Backward, operation
from diffprog.rules.elementwise import draws, elementwise, number
from diffprog.rules.floating import floating
from diffprog.rules.record import Case, Rule

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
    floating("exp", x=x)
    return _exp(jnp.asarray(x))


def log(x: Array) -> Array:
    """Natural logarithm, any shape; its slope at 0 is infinite, as it truly is.

    Example:
      >>> import jax
      >>> float(jax.grad(log)(2.0))
      0.5
    """
    floating("log", x=x)
    return _log(jnp.asarray(x))


def square(x: Array) -> Array:
    """x^2, any shape.

    Example:
      >>> import jax
      >>> float(jax.grad(square)(3.0))
      6.0
    """
    floating("square", x=x)
    return _square(jnp.asarray(x))


# ---- sqrt: phi' = 1 / (2 sqrt(x_in)), 0 at 0 ---------------------------------------------------------------
# Saved: the input and not the output, whose own infinite slope at 0 would make the second derivative NaN there.


def _sqrt_slope(x: Array) -> Array:
    zero = x == 0
    return jnp.where(zero, 0, 0.5 / jnp.sqrt(jnp.where(zero, 1, x)))


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
    floating("sqrt", x=x)
    return _sqrt(jnp.asarray(x))


# ---- power: x_out = x_in^p,  g_in = g_out p x_in^(p-1),  g_p = g_out x_out log x_in ------------------------
# A number p is part of the program; an array p has a gradient. p = 0 and x_in = 0 would multiply 0 by infinity.


def _power_slope(x: Array, p: float) -> Array:
    return jnp.zeros_like(x) if p == 0 else p * jnp.power(x, p - 1)


_power_by_number = elementwise(
    "power", lambda x, p: jnp.power(x, p), save=lambda x, y, p: x, slope=_power_slope
)


def _to_base(saved: tuple[Array, Array], g: Array) -> Array:
    x, p = saved
    constant = p == 0
    return g * jnp.where(constant, 0, p * jnp.power(x, jnp.where(constant, 1, p - 1)))


def _to_exponent(saved: tuple[Array, Array], g: Array) -> Array:
    x, p = saved
    zero = x == 0
    return g * jnp.where(zero, 0, jnp.power(x, p) * jnp.log(jnp.where(zero, 1, x)))


_power = operation(
    "power",
    lambda x, p: jnp.power(x, p),
    Backward(lambda inputs, *_: inputs, pull=_to_base, push=_to_base),
    Backward(lambda inputs, *_: inputs, pull=_to_exponent, push=_to_exponent),
)


def power(x: Array, exponent: Array | float) -> Array:
    """x to a power, element by element.

    Args:
      x: any shape, floating. Negative numbers have whole powers only; others are NaN.
      exponent: a Python number, or an array that broadcasts with x and has a gradient of its own.

    Raises:
      InvalidInput: integer or complex arrays, or two dtypes.

    Example:
      >>> import jax
      >>> [float(jax.grad(power)(x, 2)) for x in (-3.0, 0.0, 3.0)]
      [-6.0, 0.0, 6.0]
    """
    if isinstance(exponent, int | float):
        floating("power", x=x)
        return _power_by_number(jnp.asarray(x), p=number("power", "exponent", exponent))
    floating("power", x=x, exponent=exponent)
    base, exponent = jnp.broadcast_arrays(x, exponent)
    return _power(base, exponent)


def _two(key: Array, dtype: Any) -> tuple[Array, Array]:
    (x,) = draws(positive=True)(key, dtype)
    return x, jnp.linspace(-1.5, 2.5, 4).astype(dtype)


def _plain_power(x: Array, exponent: Array | float) -> Array:
    return jnp.power(x, exponent)


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
    Rule(
        name="power",
        function=power,
        reference=_plain_power,
        forward=r"x_{out} = x_{in}^p",
        backward=r"g_{in} = g_{out}\,p\,x_{in}^{p-1}",
        saved="the input",
        kinks="p = 0: slope 0 everywhere, at x_in = 0 too",
        source="the derivative of a power",
        cases=(
            Case("square", draws(), {"exponent": 2}),
            Case("whole, negative", draws(0.0), {"exponent": -3}),
            Case("three halves", draws(positive=True), {"exponent": 1.5}),
        ),
    ),
    Rule(
        name="power of two arrays",
        function=power,
        reference=_plain_power,
        forward=r"x_{out} = x_{in}^p",
        backward=r"g_{in} = g_{out}\,p\,x_{in}^{p-1},\quad g_p = g_{out}\,x_{out} \log x_{in}",
        saved="the input and p, for both; keeping the output too would spare a power and cost an array",
        kinks="g_p = 0 at x_in = 0, the limit for p > 0; g_in = 0 where p = 0",
        source="the derivatives of a power",
        differentiable=(0, 1),
        cases=(Case("broadcast exponent", _two),),
    ),
)
