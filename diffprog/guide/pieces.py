"""One piece after the other: the value and the gradient of a large batch with the memory of a small one.

Reverse mode keeps what every piece computed until all are done. Where pieces do not meet, the gradient of each can be
taken as soon as its value is there, and only gradients remain: `each` does so for the members of a population,
`mean_over` for the views of one picture. The gradient is the same as all at once, to the order of sums; a second
derivative is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.machine import one_by_one


def each(function: Callable[..., tuple[Array, Any]]) -> Callable[..., tuple[Array, Any]]:
    """`vmap(function)` whose gradient to the first argument is computed along with the values, one by one on CPUs.

    Args:
      function: of one example, `(x, example, shared) -> (value, record)`: any pytrees; a scalar value.

    Returns:
      of batches, `(xs, examples, shared) -> (values [n], records)`.
    """

    def whole(xs: Any, examples: Any, shared: Any) -> tuple[Array, Any]:
        return one_by_one(function, (0, 0, None))(xs, examples, shared)

    def forward(xs: Any, examples: Any, shared: Any) -> tuple[tuple[Array, Any], Any]:
        one = jax.value_and_grad(function, has_aux=True)
        out, gradients = one_by_one(one, (0, 0, None))(xs, examples, shared)
        return out, gradients

    def backward(gradients: Any, cotangents: tuple[Array, Any]) -> tuple[Any, None, None]:
        values, _ = cotangents

        def times(leaf: Array) -> Array:
            return leaf * values.reshape(-1, *[1] * (leaf.ndim - 1)).astype(leaf.dtype)

        return jax.tree.map(times, gradients), None, None

    mapped = jax.custom_vjp(whole)
    mapped.defvjp(forward, backward)
    return mapped


def mean_over(function: Callable[..., Array], x: Any, pieces: Any, shared: Any) -> Array:
    """The mean of `function(x, piece, shared)` over pieces, with the gradient to x summed as they go by.

    Args:
      function: to a scalar.
      x: what the gradient is taken by.
      pieces: arrays with a leading axis of pieces.
      shared: what else the function takes; no gradient goes there.
    """
    count = jax.tree.leaves(pieces)[0].shape[0]

    def whole(x: Any, pieces: Any, shared: Any) -> Array:
        return jnp.mean(jax.lax.map(lambda piece: function(x, piece, shared), pieces))

    def forward(x: Any, pieces: Any, shared: Any) -> tuple[Array, Any]:
        def add(carry: Any, piece: Any) -> tuple[Any, None]:
            value, gradient = jax.value_and_grad(function)(x, piece, shared)
            return jax.tree.map(lambda a, b: a + b / count, carry, (value, gradient)), None

        out = jax.eval_shape(function, x, jax.tree.map(lambda leaf: leaf[0], pieces), shared)
        nothing = (jnp.zeros((), out.dtype), jax.tree.map(jnp.zeros_like, x))
        return jax.lax.scan(add, nothing, pieces)[0]

    def backward(gradient: Any, cotangent: Array) -> tuple[Any, None, None]:
        return jax.tree.map(lambda leaf: leaf * cotangent.astype(leaf.dtype), gradient), None, None

    mapped = jax.custom_vjp(whole)
    mapped.defvjp(forward, backward)
    return mapped(x, pieces, shared)
