"""Derivatives that are not the function's own, on purpose: stopped, passed straight through, reversed.

Forward, every one of these is the identity (or a function that has no useful derivative); backward it does what its
name says. They are linear in g_out, and so ordinary rules, in forward mode as well: what `grad` sees, `jvp` sees.
What is not linear, clipping and normalizing, is in `limit`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from diffprog.errors import InvalidInput
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.floating import floating
from diffprog.rules.core.record import Case, Rule

# ---- stop: x_out = x_in,  g_in = 0.  Saved: nothing ---------------------------------------------------------


def stop_gradient(x: Any) -> Any:
    """A constant as far as gradients are concerned; any pytree. JAX's own, which costs nothing.

    Example:
      >>> import jax
      >>> jax.grad(lambda x: x * stop_gradient(x))(3.0)
      Array(3., dtype=float32, weak_type=True)
    """
    return lax.stop_gradient(x)


# ---- straight through: x_out = f(x_in),  g_in = g_out.  Saved: nothing --------------------------------------

_straight: Callable[..., Any] = operation(
    "straight_through",
    lambda x, function: function(x),
    Backward(
        save=lambda *_, function: (), pull=lambda _, g, function: g, push=lambda _, x_dot, function: x_dot
    ),
    extra=lambda x, function: (_straight(x, function=function), None),  # so that f passes at every order
)


def straight_through(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """`function` forward, the identity backward: a gradient for what rounds, quantizes or decides.

    Args:
      function: array to array of the same shape and dtype. Define it once: every new one compiles anew.

    Returns:
      array to array; its derivative, of any mode, is the identity's.

    Raises:
      InvalidInput: a function that changes the shape or the dtype.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> jax.value_and_grad(straight_through(jnp.round))(0.7)
      (Array(1., dtype=float32, weak_type=True), Array(1., dtype=float32, weak_type=True))
    """

    def apply(x: Array) -> Array:
        out = jax.eval_shape(function, x)
        before = (jnp.shape(x), jnp.result_type(x))
        if (out.shape, out.dtype) != before:
            raise InvalidInput(
                f"a function from {before[0]} {before[1]} to {out.shape} {out.dtype}",
                "the same shape and dtype, so that the gradient can pass unchanged",
                "casting its result: lambda x: f(x).astype(x.dtype)",
            )
        return _straight(x, function=function)

    return apply


# ---- reverse: x_out = x_in,  g_in = -scale g_out.  Saved: nothing -------------------------------------------

_reversed: Callable[..., Any] = operation(
    "reverse_gradient",
    lambda x, scale: x,
    Backward(
        save=lambda inputs, *_: inputs[1],
        pull=lambda scale, g: -scale * g,
        push=lambda scale, x_dot: -scale * x_dot,
    ),
    None,
    extra=lambda x, scale: (_reversed(x, scale), None),  # so that every order is reversed
)


def reverse_gradient(x: Array, scale: float | Array = 1.0) -> Array:
    """x as it is; its derivative, of any mode, is -`scale`: what follows descends, what precedes climbs.

    Args:
      x: any shape, any floating dtype.
      scale: how strongly; a number or a scalar array, as when it grows during training.

    Returns:
      x.

    Example:
      >>> import jax
      >>> jax.grad(lambda x: reverse_gradient(x, 0.5) ** 2)(3.0)
      Array(-3., dtype=float32)
    """
    floating("reverse_gradient", x=x)
    return _reversed(jnp.asarray(x), jnp.asarray(scale, jnp.result_type(x)))


# ---- record -------------------------------------------------------------------------------------------------
# No finite difference agrees with these, and that is their purpose: they are proven against programs with the same
# gradients, and kept apart from the rules that are derivatives.


def _normal(key: Array, dtype: Any) -> tuple[Array]:
    return (jax.random.normal(key, (4, 3), dtype),)


OVERRIDES = (
    Rule(
        name="stop-gradient",
        function=stop_gradient,
        reference=lax.stop_gradient,
        forward=r"x_{out} = x_{in}",
        backward=r"g_{in} = 0",
        saved="nothing",
        source="jax.lax.stop_gradient",
        cases=(Case("any shape", _normal),),
    ),
    Rule(
        name="straight-through",
        function=straight_through(jnp.round),
        reference=lambda x: x + lax.stop_gradient(jnp.round(x) - x),
        forward=r"x_{out} = f(x_{in})",
        backward=r"g_{in} = g_{out}",
        saved="nothing",
        source="Bengio, Léonard and Courville 2013",
        cases=(Case("round", _normal),),
        exact=False,  # the reference rounds a difference
    ),
    Rule(
        name="gradient reversal",
        function=reverse_gradient,
        reference=lambda x, scale=1.0: lax.stop_gradient(x + scale * x) - scale * x,
        forward=r"x_{out} = x_{in}",
        backward=r"g_{in} = -\lambda\, g_{out}",
        saved="lambda",
        source="Ganin and Lempitsky 2015",
        cases=(Case("half as strong", _normal, {"scale": 0.5}),),
        exact=False,  # the reference adds and subtracts
    ),
)
