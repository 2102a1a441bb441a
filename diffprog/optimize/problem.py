"""A problem made ready to run: what moves, the compiled step, and the start's state; bad input is refused here.

Compiled steps are kept for the last few problems, by the cost and the method themselves: a second call with the same
two compiles nothing. Methods of this package are equal when their settings are; an optax method is equal to itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import DiffprogError, InvalidInput
from diffprog.optimize.method import Method, PyTree, scalar
from diffprog.optimize.step import State, initial, stepper
from diffprog.optimize.stopping import Stop
from diffprog.optimize.variable import Variable

KEPT = 16  # problems whose compiled steps are kept; each holds on to its cost and what that closes over


@dataclass
class Compiled:
    """The compiled parts of a problem.

    Attributes:
      step: (state, fixed, *args) -> (state, report); of a population, for all members at once.
      value: (moving, key, fixed, *args) -> the cost alone, likewise.
      cost: the cost as the method sees it, of what moves.
      checked: the shapes that the problem was looked at with.
    """

    step: Callable[..., Any]
    value: Callable[..., Array]
    cost: Callable[..., Any]
    checked: set[Any] = field(default_factory=set)


class Inner:
    """The cost as a function of what moves: `cost(moving, [key,] fixed, *args)`."""

    def __init__(self, cost: Callable[..., Any], variable: Variable, keyed: bool):
        self.cost, self.variable, self.keyed = cost, variable, keyed
        residuals = getattr(cost, "residuals", None)
        if residuals is not None:
            self.residuals = functools.partial(self._of, residuals)

    def __call__(self, moving: PyTree, *rest: Any) -> Any:
        return self._of(self.cost, moving, *rest)

    def _of(self, function: Callable[..., Any], moving: PyTree, *rest: Any) -> Any:
        keys, (fixed, *args) = rest[: self.keyed], rest[self.keyed :]
        return function(self.variable.whole(moving, fixed), *keys, *args)


def prepared(
    cost: Callable[..., Any], method: Any, keyed: bool, stop: Stop, variable: Variable, population: bool
) -> Compiled:
    """The compiled parts, kept if the cost and the method can be compared."""
    try:
        return _kept(cost, method, keyed, stop, variable, population)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        return _made(cost, method, keyed, stop, variable, population)


def _made(
    cost: Callable[..., Any], method: Method, keyed: bool, stop: Stop, variable: Variable, population: bool
) -> Compiled:
    inner = Inner(cost, variable, keyed)
    project = variable.project if variable.projects else None
    step = stepper(inner, method, keyed, stop, project, watch=True)

    def value(moving: PyTree, key: Array, *rest: Any) -> Array:
        out = inner(moving, *((key,) if keyed else ()), *rest)
        return scalar(out[0] if isinstance(out, tuple) else out)

    if not population:
        return Compiled(jax.jit(step), jax.jit(value), inner)

    def steps(states: State, *rest: Any) -> Any:
        return jax.vmap(lambda state: step(state, *rest))(states)

    def values(moving: PyTree, keys: Array, *rest: Any) -> Array:
        return jax.vmap(lambda one, key: value(one, key, *rest))(moving, keys)

    return Compiled(jax.jit(steps), jax.jit(values), inner)


_kept = functools.lru_cache(maxsize=KEPT)(_made)


def started(moving: PyTree, method: Method, key: Array, members: int | None) -> State:
    """The state at the start; of a population, of all members, each with its own key."""
    if members is None:
        return initial(moving, method, key, watch=True)
    keys = jax.random.split(key, members) if key.ndim == 0 else key
    return jax.vmap(lambda one, key: initial(one, method, key, watch=True))(moving, keys)


def members_of(moving: PyTree) -> int:
    """How many starts are stacked.

    Raises:
      InvalidInput: leaves without a leading axis, or with different ones.
    """
    lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(moving)}
    if len(lengths) != 1 or lengths == {()} or lengths == {(0,)}:
        raise InvalidInput(
            f"a population whose leaves begin with axes {sorted(lengths)}",
            "starts stacked along one leading axis, the same for all leaves that move",
            "jax.vmap(make_start)(jax.random.split(key, n))",
        )
    return int(lengths.pop()[0])


def check_cost(
    cost: Callable[..., Any], moving: PyTree, keys: tuple[Any, ...], rest: tuple[Any, ...]
) -> None:
    """Trace the cost once on the start and say what is wrong with it.

    Raises:
      InvalidInput: it fails on a pytree of the start's structure, cannot be traced, or is not a scalar.
    """
    try:
        out = jax.eval_shape(cost, moving, *keys, *rest)
    except DiffprogError:
        raise
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
        raise InvalidInput(
            f"a cost that JAX cannot trace: {_first_line(error)}",
            "a function of JAX arrays, without Python branches or numpy on them",
            "jnp in place of np, jax.lax.cond in place of `if`; or `external(cost)` with a black-box method",
        ) from error
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise InvalidInput(
            f"a cost that fails on the start: {type(error).__name__}: {_first_line(error)}",
            f"a cost of (value, {'key, ' if keys else ''}*args) for a value like {jax.tree.structure(moving)}",
            "a start of the structure the cost takes apart; without `key=`, a cost takes no key",
        ) from error
    loss = out[0] if isinstance(out, tuple) and len(out) == 2 else out
    if not hasattr(loss, "shape"):
        raise InvalidInput(
            f"a cost that returns {jax.tree.structure(out)}",
            "a scalar, or (scalar, record)",
            "one number of it",
        )
    jax.eval_shape(lambda: scalar(jnp.zeros(loss.shape, loss.dtype)))


def shapes_of(tree: PyTree) -> Any:
    """Structure, shapes and dtypes of a pytree, hashable: what a program is compiled for."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, *((jnp.shape(leaf), str(jnp.result_type(leaf))) for leaf in leaves)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]
