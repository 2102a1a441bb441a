"""What the rules for functions of one number share: the diagonal Jacobian, what they accept, what they are proven on.

    x_out = phi(x_in)        g_in = g_out phi'(x_in)        J = diag(phi'(x_in)) = J^T

So a rule is phi, what to save, and the slope phi' from what was saved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules.core.anatomy import Backward, operation


def elementwise(
    name: str, forward: Callable[..., Array], save: Callable[..., Any], slope: Callable[..., Array]
) -> Callable[..., Array]:
    """A function of every element, whose derivative is multiplication by a slope.

    Args:
      name: what graphs and profiles call it.
      forward: `(x_in, **static) -> x_out`.
      save: `(x_in, x_out, **static) -> saved`.
      slope: `(saved, **static) -> phi'(x_in)`.

    Example:
      >>> import jax
      >>> cube = elementwise("cube", lambda x: x**3, lambda x, y: x, lambda x: 3 * x * x)
      >>> float(jax.grad(cube)(2.0)), float(jax.grad(jax.grad(cube))(2.0))
      (12.0, 12.0)
    """

    def scaled(saved: Any, g: Array, **static: Any) -> Array:
        return g * slope(saved, **static)

    def keep(inputs: tuple[Array], x_out: Array, _: Any, **static: Any) -> Any:
        return save(inputs[0], x_out, **static)

    return operation(name, forward, Backward(keep, scaled, scaled))


def number(where: str, name: str, value: Any) -> float:
    """A setting that is one Python number, and so part of the program and not of its data."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(
            f"{where} got {name} = {value!r}",
            "a Python number: it is compiled into the program and has no gradient",
            f"float({name}), outside of jit",
        )
    # NumPy's float64 is a float too, and would widen the array.
    return value if type(value) is int else float(value)


def draws(*kinks: float, positive: bool = False, spread: float = 4.0) -> Callable[[Array, Any], tuple[Array]]:
    """Arrays to prove on, at least 0.05 from every kink, so that finite differences stay on one side of it."""

    def make(key: Array, dtype: Any) -> tuple[Array]:
        x = spread * jax.random.normal(key, (3, 5, 4), dtype)
        for kink in kinks:
            x = jnp.where(jnp.abs(x - kink) < 0.05, kink + 0.1, x)
        return (jnp.abs(x) + 0.2,) if positive else (x,)

    return make
