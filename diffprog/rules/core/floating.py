"""Dtypes, as all rules treat them: one real floating dtype, and wide sums."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput


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
        first = next(iter(dtypes))
        other = next(name for name in dtypes if dtypes[name] != dtypes[first])
        listed = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise InvalidInput(
            f"{where} got arrays of different dtypes: {listed}",
            "one dtype, so that no precision is lost or spent unseen",
            f"{other}.astype({first}.dtype)",
        )


def has_derivative(*arrays: Any) -> bool:
    """Whether all are real floating-point arrays. Others have no rule: the plain operation computes them."""
    return all(jnp.issubdtype(jnp.result_type(x), jnp.floating) for x in arrays)


def promoted(*arrays: Any) -> list[Array]:
    """The arrays in the one floating dtype that arithmetic on them would have; gradients keep their own."""
    dtype = jnp.result_type(*arrays)
    dtype = dtype if jnp.issubdtype(dtype, jnp.inexact) else jnp.result_type(float)
    return [jnp.asarray(x, dtype) for x in arrays]


def _weak(x: Any) -> bool:
    return isinstance(x, int | float) or bool(getattr(x, "weak_type", False))


def wider(x: Any) -> Any:
    """The dtype that sums of an array are taken in: float32 for the half-width ones, else its own."""
    return jnp.promote_types(jnp.result_type(x), jnp.float32)
