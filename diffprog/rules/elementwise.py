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
from diffprog.rules.anatomy import Backward, operation


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


def floating(where: str, **arrays: Any) -> None:
    """Refuse what has no derivative here: integers, complex numbers, and arrays of different dtypes.

    Raises:
      InvalidInput: names the array, its dtype and the cast that helps. Python numbers take the arrays' dtype.
    """
    for name, x in arrays.items():
        dtype = jnp.result_type(x)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise InvalidInput(
                f"{where} got {name} with dtype {dtype}",
                "floating-point numbers: there is no derivative here with respect to others",
                f"{name}.astype(jnp.float32)",
            )
    dtypes = {n: jnp.result_type(x) for n, x in arrays.items() if not _weak(x)}
    if len(set(dtypes.values())) > 1:
        listed = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise InvalidInput(
            f"{where} got arrays of different dtypes: {listed}",
            "one dtype, so that no precision is lost or spent unseen",
            f"{list(dtypes)[1]}.astype({next(iter(dtypes))}.dtype)",
        )


def _weak(x: Any) -> bool:
    return isinstance(x, int | float) or bool(getattr(x, "weak_type", False))


def number(where: str, name: str, value: Any) -> float:
    """A setting that is one Python number, and so part of the program and not of its data."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(
            f"{where} got {name} = {value!r}",
            "a Python number: it is compiled into the program and has no gradient",
            f"float({name}), outside of jit",
        )
    return value


def draws(*kinks: float, positive: bool = False, spread: float = 4.0) -> Callable[[Array, Any], tuple[Array]]:
    """Arrays to prove on, at least 0.05 from every kink, so that finite differences stay on one side of it."""

    def make(key: Array, dtype: Any) -> tuple[Array]:
        x = spread * jax.random.normal(key, (3, 5, 4), dtype)
        for kink in kinks:
            x = jnp.where(jnp.abs(x - kink) < 0.05, kink + 0.1, x)
        return (jnp.abs(x) + 0.2,) if positive else (x,)

    return make
