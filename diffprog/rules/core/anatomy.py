"""The anatomy of a rule: one operation, forward and backward.

    forward:   inputs        -> x_out
    backward:  saved, g_out  -> g_in        one for every input that can be differentiated

`operation` joins them to a function that every transformation of JAX passes through. What each backward formula
saves is its own choice, so that a gradient nobody asks for costs nothing, not even memory. The forward derivative,
x_dot -> J x_dot, is the transpose of the backward formula, taken by JAX; where writing it is faster, write it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from diffprog.rules.core.linear_map import linear_map
from diffprog.rules.core.placement import like


@dataclass(frozen=True)
class Backward:
    """The derivative of an operation with respect to one of its inputs.

    Attributes:
      save: `(inputs, x_out, extra, **static) -> saved`: what `pull` and `push` need, and no more.
      pull: J^T, `(saved, g_out, **static) -> g_in`: linear in g_out.
      push: J, `(saved, x_dot, **static) -> x_out_dot`; None: the transpose of `pull`, taken by JAX.
    """

    save: Callable[..., Any]
    pull: Callable[..., Any]
    push: Callable[..., Any] | None = None


@dataclass(frozen=True)
class _Bound:
    """A formula with its static arguments: hashable, and equal to the next one made of the same parts."""

    formula: Callable[..., Any]
    static: tuple[tuple[str, Any], ...]

    def __call__(self, saved: Any, x: Any) -> Any:
        return self.formula(saved, x, **dict(self.static))


@dataclass(frozen=True)
class _Pushed:
    """J from J^T: the transpose of a backward formula, whose cotangents look like `out`."""

    pull: _Bound
    out: jax.ShapeDtypeStruct

    def __call__(self, saved: Any, x_dot: Any) -> Any:
        (x_out_dot,) = jax.linear_transpose(lambda g_out: self.pull(saved, g_out), self.out)(x_dot)
        return x_out_dot


def operation(
    name: str,
    forward: Callable[..., Any],
    *backward: Backward | None,
    extra: Callable[..., Any] | None = None,
) -> Callable[..., Any]:
    """Join a forward computation and its backward formulas to one differentiable function.

    Args:
      name: what graphs and profiles call it.
      forward: `(*inputs, **static) -> x_out`, one array.
      *backward: one for every input, in order; None for an input without a derivative.
      extra: `(*inputs, **static) -> (x_out, extra)`: the forward computation when a derivative will be taken, with
        what only the backward formulas need.

    Returns:
      `(*inputs, **static) -> x_out`. Static arguments must be hashable.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> square = operation("square", lambda x: x * x, Backward(lambda i, *_: i[0], lambda x, g_out: 2 * x * g_out))
      >>> x = jnp.float32(3.0)
      >>> jax.grad(square)(x), jax.jvp(square, (x,), (jnp.ones_like(x),))[1]
      (Array(6., dtype=float32), Array(6., dtype=float32))
    """

    def call(static: tuple[tuple[str, Any], ...], *inputs: Any) -> Any:
        return forward(*inputs, **dict(static))

    call.__name__ = call.__qualname__ = name
    ruled = functools.partial(jax.custom_jvp, nondiff_argnums=(0,))(call)

    def jvp(static: tuple[tuple[str, Any], ...], inputs: Any, tangents: Any) -> tuple[Any, Any]:
        settings = dict(static)
        # The operation itself, not its formula: whoever differentiates once more meets the rule again.
        x_out, beside = extra(*inputs, **settings) if extra else (ruled(static, *inputs), None)
        total = None
        for rule, x_dot in zip(backward, tangents, strict=True):
            if rule is None or isinstance(x_dot, SymbolicZero):
                continue
            saved = rule.save(inputs, x_out, beside, **settings)
            pull = _Bound(rule.pull, static)
            out = like(x_out)
            push = _Bound(rule.push, static) if rule.push else _Pushed(pull, out)
            change = linear_map(push, pull, saved, x_dot, out)
            total = change if total is None else total + change
        return x_out, jnp.zeros_like(x_out) if total is None else total

    ruled.defjvp(jvp, symbolic_zeros=True)

    @functools.wraps(forward)
    def apply(*inputs: Any, **static: Any) -> Any:
        return ruled(tuple(sorted(static.items())), *inputs)

    return apply
