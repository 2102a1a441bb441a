"""Where a value parts: branches, and parameters that several places share.

    branch:       x_out_k = x_in                   g_in = sum_k g_out_k        fan-out sums gradients

Sharing a parameter is branching it: every use gets a copy, and the gradients of all uses add up. JAX does this by
itself; here it is said aloud, as functions of their own. All are linear: nothing is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules.core.linear_map import LinearIn, linear_map
from diffprog.rules.core.record import Case, Rule

# ---- branch: x_out_k = x_in,  g_in = sum_k g_out_k ----------------------------------------------------------


def branch(x: Any, ways: int = 2) -> tuple[Any, ...]:
    """The same value for several consumers; their gradients add up.

    Args:
      x: pytree of arrays; those that are not floating-point are copied without a gradient.
      ways: how many copies.

    Returns:
      A tuple of `ways` pytrees.

    Raises:
      InvalidInput: fewer than one way.

    Example:
      >>> import jax
      >>> def f(x):
      ...     left, right = branch(x)
      ...     return 2.0 * left + 3.0 * right
      >>> jax.grad(f)(1.0)
      Array(5., dtype=float32, weak_type=True)
    """
    if ways < 1:
        raise InvalidInput(f"{ways} ways", "at least one consumer", "branch(x, 2)")
    leaves, tree = jax.tree.flatten(x)
    ways_of = [_copied(leaf, ways) for leaf in leaves]
    return tuple(jax.tree.unflatten(tree, [leaf[way] for leaf in ways_of]) for way in range(ways))


def _copied(leaf: Any, ways: int) -> tuple[Any, ...]:
    if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
        return (leaf,) * ways
    return tuple(linear_map(copies(ways), total, (), leaf))


@cache
def copies(ways: int) -> LinearIn:
    return lambda _, x: (x,) * ways


def total(_: Any, xs: Sequence[Array]) -> Array:
    return reduce(add, xs)


def shared(function: Callable[..., Any], parameters: Any, *inputs: Any) -> tuple[Any, ...]:
    """One layer used at several places: `function(parameters, x)` for every x.

        dJ/dW = sum over the uses of g_W at that use

    Args:
      function: `(parameters, x) -> x_out`.
      parameters: pytree, shared by all uses.
      *inputs: what every use is given.

    Returns:
      The output of every use.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> scale = lambda W, x: W * x
      >>> jax.grad(lambda W: sum(shared(scale, W, 2.0, 5.0)))(1.0)
      Array(7., dtype=float32, weak_type=True)
    """
    uses = branch(parameters, len(inputs))
    return tuple(function(use, x) for use, x in zip(uses, inputs, strict=True))


# ---- record -------------------------------------------------------------------------------------------------


def normal(*shapes: tuple[int, ...]) -> Any:
    """Arguments of these shapes."""

    def make(key: Array, dtype: Any) -> tuple[Array, ...]:
        keys = jax.random.split(key, len(shapes))
        return tuple(jax.random.normal(k, shape, dtype) for k, shape in zip(keys, shapes, strict=True))

    return make


def _branched(x: Array) -> Array:
    left, right = branch(x)
    return left * jnp.sin(right)


def _siamese(W: Array, x: Array, y: Array) -> Array:
    left, right = shared(lambda W, x: jnp.tanh(x @ W), W, x, y)  # (B, n) (n, m) -> (B, m)
    return left - right


RULES = (
    Rule(
        name="branch",
        function=_branched,
        reference=lambda x: x * jnp.sin(x),
        forward=r"x_{out,k} = x_{in}",
        backward=r"g_{in} = \sum_k g_{out,k}",
        saved="nothing: the map is linear",
        source="lecture, slide on sharing",
        cases=(Case("two ways", normal((3, 4))),),
    ),
    Rule(
        name="shared parameters",
        function=_siamese,
        reference=lambda W, x, y: jnp.tanh(x @ W) - jnp.tanh(y @ W),
        forward=r"x_{out,k} = f(W, x_{in,k})",
        backward=r"g_W = \sum_k g_{W,k}",
        saved="nothing of its own",
        source="lecture, slide on sharing",
        differentiable=(0, 1, 2),
        cases=(Case("two uses of a layer", normal((3, 2), (4, 3), (4, 3))),),
    ),
)
