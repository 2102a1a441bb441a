"""Powers, element by element, with an exponent that is a number or an array with a gradient of its own.

x_out = x_in^p        g_in = g_out p x_in^(p-1)        g_p = g_out x_out log x_in
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array

from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.floating import has_derivative, promoted
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.pointwise.elementwise import draws, elementwise, number

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
        if not has_derivative(x):
            return jnp.power(x, exponent)
        return _power_by_number(jnp.asarray(x), p=number("power", "exponent", exponent))
    if not has_derivative(x, exponent):
        return jnp.power(x, exponent)
    base, exponent = jnp.broadcast_arrays(*promoted(x, exponent))
    return _power(base, exponent)


def _two(key: Array, dtype: Any) -> tuple[Array, Array]:
    (x,) = draws(positive=True)(key, dtype)
    return x, jnp.linspace(-1.5, 2.5, 4).astype(dtype)


def _plain_power(x: Array, exponent: Array | float) -> Array:
    return jnp.power(x, exponent)


RULES = (
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
