"""Weights of the regularizers that asked to be balanced, found before the first step.

    w = share * sum |g_objective| / sum |g_regularizer|,        for every picture by itself

Weights of the others are 1: they carry their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.vision.recipes import Recipe
from diffprog.vision.regularizers import Balanced


def weights(
    recipe: Recipe, cost: Callable[..., Any], start: Any, keys: Array, args: tuple[Any, ...]
) -> Array:
    """The weights of a recipe's regularizers for every picture: [pictures, regularizers].

    Args:
      recipe: whose regularizers.
      cost: `(params, keys, *args, progress) -> (scalar, record)`, where the last of args is the weights.
      start: parameters of the first pictures.
      keys: of the pictures.
      args: of the cost, with weights of 1.

    Raises:
      InvalidInput: a regularizer to balance whose gradient is 0 at the start.
    """
    *rest, found = args
    balanced = {i: one for i, one in enumerate(recipe.regularizers) if isinstance(one, Balanced)}
    if not balanced:
        return found
    gradient = jax.jit(lambda w: jax.grad(cost, has_aux=True)(start, keys, *rest, w, 0.0)[0])
    together = hasattr(recipe.canvas, "init_all")
    nothing = jnp.zeros_like(found)
    bare = gradient(nothing)
    for i, one in balanced.items():
        # The cost is linear in its weights: the difference is the regularizer's gradient alone.
        both = gradient(nothing.at[:, i].set(1.0))
        pull = _pull(jax.tree.map(jnp.subtract, both, bare), together)
        if not bool(jnp.all(pull > 0)):
            raise InvalidInput(
                f"{one} of a picture on which it does not pull at the start",
                "a regularizer with a gradient there, to compare with the objective's",
                f"{one.regularizer} with a weight of your own",
            )
        found = found.at[:, i].set(one.share * _pull(bare, together) / pull)
    return found


def _pull(gradient: Any, together: bool) -> Array:
    """The sum of the absolute gradient: [pictures], or [1] where pictures share parameters."""
    leaves = jax.tree.leaves(gradient)
    if together:
        return sum((jnp.sum(jnp.abs(g)) for g in leaves), jnp.zeros(1))
    return sum((jnp.sum(jnp.abs(g).reshape(len(g), -1), 1) for g in leaves), jnp.zeros(()))
