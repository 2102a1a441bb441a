"""Rows picked from a table.

    x_out[b] = T[i_b]        dJ/dT[r] = sum over b with i_b = r of g_out[b]

Saved: the indices. XLA's scatter is the fastest sum on CPUs: 4 times faster than sorting the indices first and
hundreds of times faster than one-hot rows times g_out.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.floating import has_derivative
from diffprog.rules.core.record import Case, Rule


def _rows(indices: Array, table: Array, **_: Any) -> Array:
    return jnp.take(table, indices, axis=0)


def _g_table(indices: Array, g: Array, *, rows: int) -> Array:
    return jnp.zeros((rows, *g.shape[indices.ndim :]), g.dtype).at[indices].add(g, mode="drop")


_embedding = operation(
    "embedding",
    lambda table, indices, **_: jnp.take(table, indices, axis=0),
    Backward(lambda inputs, *_, **__: inputs[1], _g_table, _rows),
    None,
)


def embedding(table: Array, indices: Array) -> Array:
    """Rows of a table; the gradient adds up where a row was picked more than once.

    Args:
      table: [rows, *features].
      indices: [...] whole numbers; one from the end is negative, one beyond gives NaN, as `jax.numpy.take`.

    Returns:
      [..., *features].

    Raises:
      InvalidInput: a table without rows, indices that are not whole numbers.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> table, picked = jnp.array([[1.0], [2.0], [3.0]]), jnp.array([2, 0, 2])
      >>> jax.grad(lambda table: embedding(table, picked).sum())(table).ravel()
      Array([1., 0., 2.], dtype=float32)
    """
    indices = jnp.asarray(indices)
    if table.ndim < 1 or table.shape[0] == 0 or not jnp.issubdtype(indices.dtype, jnp.integer):
        raise InvalidInput(
            f"a table of shape {table.shape} and indices of {indices.dtype}",
            "a table of at least one row, and indices that are whole numbers",
            "indices.astype(int)",
        )
    if not has_derivative(table):
        return jnp.take(table, indices, axis=0)
    return _embedding(table, indices, rows=table.shape[0])


def _picked(rows: int, *batch: int) -> Any:
    def make(key: Array, dtype: Any) -> tuple[Array, Array]:
        first, second = jax.random.split(key)
        return jax.random.normal(first, (rows, 3), dtype), jax.random.randint(second, batch, 0, rows)

    return make


RULES = (
    Rule(
        name="embedding",
        function=embedding,
        reference=partial(jnp.take, axis=0),
        forward=r"x_{out}[b] = T[i_b]",
        backward=r"\partial J/\partial T[r] = \sum_{b:\, i_b = r} g_{out}[b]",
        saved="the indices",
        source="jax.numpy.take; the scatter is XLA's",
        cases=(Case("rows picked twice", _picked(5, 12)), Case("two batch axes", _picked(4, 2, 3))),
        differentiable=(0,),
    ),
)
