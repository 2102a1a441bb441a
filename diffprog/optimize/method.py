"""A method: how to move. `init` and `step`, the same two functions at all three levels of knowledge.

An optax transformation sees a gradient; a method sees an `Oracle`, which it may ask for values, gradients,
products with the Hessian, or residuals, and it says how often it asked. So a black-box search, gradient descent and
Newton's method are the same kind of thing, and any optax transformation is a method unchanged (`as_method`).
What is asked is counted by the method itself, because a line search on the device asks a number of times that only
the device knows. Tests hold the counts against those of a cost that counts its own calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import optax
from jax import Array

from diffprog.errors import InvalidInput

PyTree = Any


class Counts(NamedTuple):
    """How often a cost was asked. A gradient brings its value along, which is not counted again.

    Attributes:
      values: evaluations of the cost alone.
      gradients: gradients with their values.
      products: products with the Hessian, or with the Jacobian of residuals or its transpose.
      hessians: whole Hessians; each costs about as many products as there are variables.
    """

    values: int = 0
    gradients: int = 0
    products: int = 0
    hessians: int = 0


def counted(values: Any = 0, gradients: Any = 0, products: Any = 0, hessians: Any = 0) -> Array:
    """Counts as one array of int32 [4], in the order of `Counts`; the entries may be traced."""
    return jnp.stack([jnp.asarray(n, jnp.int32) for n in (values, gradients, products, hessians)])


class Oracle(NamedTuple):
    """What a step may ask of the cost. One key holds for the whole step, so that all answers fit together.

    Attributes:
      value: value -> scalar.
      gradient: value -> (scalar, record, gradient).
      residuals: value -> pytree of residuals, for costs made by `half_squares`; otherwise None.
      key: for the method's own draws.
    """

    value: Callable[[PyTree], Array]
    gradient: Callable[[PyTree], tuple[Array, PyTree, PyTree]]
    residuals: Callable[[PyTree], PyTree] | None
    key: Array


class Seen(NamedTuple):
    """What a step learned.

    Attributes:
      cost: at the value before the step; of methods that sample, at the best value so far.
      record: what the cost reported with it, or None.
      gradient: at the value before the step, or None where the method knows none.
      counts: what was asked in this step, as `counted` makes it.
    """

    cost: Array
    record: PyTree
    gradient: PyTree
    counts: Array


@runtime_checkable
class Method(Protocol):
    """How to move: a frozen record with the pure functions `init` and `step`."""

    def init(self, value: PyTree, /) -> PyTree:
        """The state the method starts with."""

    def step(self, oracle: Oracle, value: PyTree, state: PyTree, /) -> tuple[PyTree, PyTree, Seen]:
        """One step: (next value, next state, what was seen)."""


class FromOptax:
    """An optax transformation as a method. Equal transformations make equal methods."""

    def __init__(self, transformation: optax.GradientTransformation):
        self.transformation = transformation
        self.inner = optax.with_extra_args_support(transformation)

    def __hash__(self) -> int:
        return hash(self.transformation)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FromOptax) and self.transformation == other.transformation

    def init(self, value: PyTree) -> PyTree:
        """The transformation's state."""
        return self.inner.init(value)

    def step(self, oracle: Oracle, value: PyTree, state: PyTree) -> tuple[PyTree, PyTree, Seen]:
        """One gradient, one update. The line search of `optax.lbfgs` is counted by its own count."""
        loss, record, gradient = oracle.gradient(value)
        updates, moved = self.inner.update(
            gradient, state, value, value=loss, grad=gradient, value_fn=oracle.value
        )
        searched = optax.tree.get(moved, "num_linesearch_steps", 0)
        seen = Seen(loss, record, gradient, counted(gradients=1 + searched))
        return optax.apply_updates(value, updates), moved, seen


def as_method(method: Any) -> Method:
    """The method itself, or an optax transformation made into one.

    Raises:
      InvalidInput: what is neither.

    Example:
      >>> as_method(optax.sgd(0.1)).init(jnp.zeros(2))
      (EmptyState(), EmptyState())
    """
    if isinstance(method, optax.GradientTransformation):
        return FromOptax(method)
    if isinstance(method, Method) and not isinstance(method, type):
        return method
    raise InvalidInput(
        f"a method of type {type(method).__name__}",
        "an optax transformation, or a record with `init(value)` and `step(oracle, value, state)`",
        "optax.adam(1e-2), or gradient_descent(0.1), newton(), nelder_mead() of diffprog.optimize",
    )


def scalar(loss: Any) -> Array:
    """A cost's result as one number.

    Raises:
      InvalidInput: it has a shape, or is not a real floating-point number.
    """
    if jnp.shape(loss) != ():
        raise InvalidInput(
            f"a cost of shape {jnp.shape(loss)}", "a scalar, or (scalar, record)", "jnp.sum or jnp.mean of it"
        )
    if not jnp.issubdtype(jnp.result_type(loss), jnp.floating):
        raise InvalidInput(
            f"a cost of type {jnp.result_type(loss)}",
            "a real floating-point number, because only that has a gradient",
            "jnp.asarray(cost, jnp.float32) for a whole number, jnp.abs(cost) ** 2 for a complex one",
        )
    return jnp.asarray(loss)


def oracle(cost: Callable[..., Any], keys: tuple[Array, ...], args: tuple[Any, ...], key: Array) -> Oracle:
    """The oracle of one step of a cost `cost(value, *keys, *args)`."""

    def both(value: PyTree) -> tuple[Array, PyTree]:
        out = cost(value, *keys, *args)
        loss, record = out if isinstance(out, tuple) and len(out) == 2 else (out, None)
        return scalar(loss), record

    def gradient(value: PyTree) -> tuple[Array, PyTree, PyTree]:
        (loss, record), g = jax.value_and_grad(both, has_aux=True)(value)
        return loss, record, g

    residuals = getattr(cost, "residuals", None)
    ask = None if residuals is None else (lambda value: residuals(value, *keys, *args))
    return Oracle(lambda value: both(value)[0], gradient, ask, key)
