"""Other piecewise functions of one number, applied to every element: hard swish, absolute value, clipping.

    x_out = phi(x_in)        g_in = g_out phi'(x_in)

Every kink has a convention, said in its record. Rectifiers are in `rectifiers`, smooth functions in `sigmoids`,
`gated` and `powers`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.floating import has_derivative
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.pointwise.elementwise import draws, elementwise, number
from diffprog.rules.pointwise.rectifiers import masked

# ---- hard swish: x_out = x_in relu6(x_in + 3) / 6,  phi' = 0, (2 x_in + 3) / 6 or 1 ------------------------
# Saved: x_in, since the slope between -3 and 3 is a function of it.


def _hard_swish_slope(x: Array) -> Array:
    # As one expression, so that the second derivative 1/3 between the kinks needs no further rule.
    return jnp.where(jnp.abs(x) < 3, (2 * x + 3) / 6, jnp.where(x > 0, 1, 0).astype(jnp.result_type(x)))


_hard_swish = elementwise(
    "hard_swish",
    lambda x: jax.nn.hard_swish(x),
    save=lambda x, _: x,
    slope=_hard_swish_slope,
)


def hard_swish(x: Array) -> Array:
    """x relu6(x + 3) / 6, any shape; its derivative is 0 at -3 and 1 at 3.

    Example:
      >>> import jax
      >>> [float(jax.grad(hard_swish)(x)) for x in (-3.0, 0.0, 3.0)]
      [0.0, 0.5, 1.0]
    """
    if not has_derivative(x):
        return jax.nn.hard_swish(x)
    return _hard_swish(jnp.asarray(x))


# ---- absolute value: x_out = |x_in|,  g_in = g_out sign(x_in) ----------------------------------------------
# Saved: the sign, one byte an element.


def _sign(x: Array) -> Array:
    return (x > 0).astype(jnp.int8) - (x < 0).astype(jnp.int8)


_absolute = operation(
    "absolute",
    lambda x: jnp.abs(x),
    Backward(
        save=lambda inputs, *_: _sign(inputs[0]),
        pull=lambda sign, g: g * sign.astype(g.dtype),
        push=lambda sign, g: g * sign.astype(g.dtype),
    ),
)


def absolute(x: Array) -> Array:
    """|x|, any shape; its derivative at 0 is 0, so that an L1 penalty leaves a zero where it is (jnp.abs: 1).

    Example:
      >>> import jax
      >>> [float(jax.grad(absolute)(x)) for x in (-2.0, 0.0, 2.0)]
      [-1.0, 0.0, 1.0]
    """
    if not has_derivative(x):
        return jnp.abs(x)
    return _absolute(jnp.asarray(x))


# ---- clip: x_out = min(max(x_in, low), high),  g_in = g_out where low <= x_in <= high ----------------------


def _within(inputs: tuple[Array], *_: Any, low: float, high: float) -> Array:
    (x,) = inputs
    return (x >= low) & (x <= high)


_clip = operation(
    "clip",
    lambda x, low, high: jnp.clip(x, low, high),
    Backward(save=_within, pull=masked, push=masked),
)


def clip(x: Array, low: float = -jnp.inf, high: float = jnp.inf) -> Array:
    """x limited to [low, high], any shape; the gradient passes inside and at both ends (jnp.clip: half at the ends).

    Args:
      x: any shape, floating.
      low: the least value, a Python number.
      high: the greatest value, a Python number, at least `low`.

    Raises:
      InvalidInput: bounds that are no Python numbers or are the wrong way round; an integer or complex array.

    Example:
      >>> import jax
      >>> [float(jax.grad(clip)(x, 0.0, 1.0)) for x in (-0.5, 0.0, 0.5, 1.0, 1.5)]
      [0.0, 1.0, 1.0, 1.0, 0.0]
    """
    low, high = number("clip", "low", low), number("clip", "high", high)
    if not low <= high:
        raise InvalidInput(f"clip got low = {low}, high = {high}", "low <= high", f"clip(x, {high}, {low})")
    if not has_derivative(x):
        return jnp.clip(x, low, high)
    return _clip(jnp.asarray(x), low=low, high=high)


def _plain_clip(x: Array, low: float = -jnp.inf, high: float = jnp.inf) -> Array:
    return jnp.clip(x, low, high)


RULES = (
    Rule(
        name="hard swish",
        function=hard_swish,
        reference=jax.nn.hard_swish,
        forward=r"x_{out} = x_{in} \min(\max(x_{in} + 3, 0), 6) / 6",
        backward=r"g_{in} = g_{out} \cdot (0,\ (2 x_{in} + 3)/6,\ 1)"
        r"\text{ for } x_{in} \le -3,\ |x_{in}| < 3,\ x_{in} \ge 3",
        saved="x_in, since the slope is a function of it",
        kinks="0 at -3, 1 at 3, as jax.nn.hard_swish",
        source="Howard et al. 2019, Searching for MobileNetV3",
        cases=(Case("any shape", draws(-3.0, 3.0)),),
    ),
    Rule(
        name="absolute value",
        function=absolute,
        reference=jnp.abs,
        forward=r"x_{out} = |x_{in}|",
        backward=r"g_{in} = g_{out}\,\mathrm{sign}(x_{in})",
        saved="the sign: one byte an element",
        kinks="0 at x_in = 0, the least subgradient, as PyTorch (jnp.abs: 1)",
        source="the derivative of |x|",
        cases=(Case("any shape", draws(0.0)),),
    ),
    Rule(
        name="clip",
        function=clip,
        reference=_plain_clip,
        forward=r"x_{out} = \min(\max(x_{in}, l), h)",
        backward=r"g_{in} = g_{out}\,[l \le x_{in} \le h]",
        saved="the mask l <= x_in <= h: one byte an element",
        kinks="1 at both ends, as PyTorch, so that a pixel at its limit can leave it (jnp.clip: 1/2)",
        source="the derivative of min and max",
        cases=(
            Case("both ends", draws(-1.0, 2.0), {"low": -1.0, "high": 2.0}),
            Case("one end", draws(0.0), {"low": 0.0}),
        ),
    ),
)
