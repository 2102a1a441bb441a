"""Give a computation another backward, and keep its forward to the last bit.

    x_out = forward(x_in)        g_in = whatever the override says

Three ways: the derivative of another function (forward and reverse, any order), another linear map x_in_dot ->
x_out_dot of one array (the same; with `rules.cotangent` in it, also what is not linear in g_out), and a bare
formula for g_in (reverse mode only).
All are found again under the operation's own name when what they are in is traced once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from diffprog.errors import InvalidInput
from diffprog.graph.overriding.recognize import Operation

Forward = Callable[..., Sequence[Any]]
Settings = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Override:
    """A backward rule to put in place of others.

    Attributes:
      name: what messages call it.
      kinds: the operations it is meant for; empty: any.
      replace: an operation to what is computed in its place, operands to a sequence of results; None leaves it.
      required: whether a program in which it replaces nothing is a mistake.
    """

    name: str
    kinds: tuple[str, ...]
    replace: Callable[[Operation], Forward | None]
    required: bool = True


def with_derivative_of(operation: Operation, rule: Callable[..., Any], **settings: Any) -> Forward:
    """The operation's values, the derivative of `rule(*inputs, **settings)`; one result.

    `rule` is a function of a module and the settings are hashable, so that nothing compiles anew when it comes again.
    """
    this = jax.custom_jvp(_one(operation))
    static = tuple(sorted(settings.items()))

    @partial(this.defjvp, symbolic_zeros=True)
    def jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
        moving = tuple(i for i, dot in enumerate(tangents) if not isinstance(dot, SymbolicZero))
        return this(*primals), _tangent(primals, [tangents[i] for i in moving], rule, static, moving)

    return lambda *inputs: [this(*inputs)]


@partial(jax.jit, static_argnums=(2, 3, 4))
def _tangent(
    primals: tuple[Any, ...],
    dots: list[Any],
    rule: Callable[..., Any],
    static: Settings,
    moving: tuple[int, ...],
) -> Any:
    """The rule's derivative; compiled, so that the value it computes beside is dropped, outside of `jit` too."""

    def along(*some: Any) -> Any:
        full = list(primals)
        for i, value in zip(moving, some, strict=True):
            full[i] = value
        return rule(*full, **dict(static))

    return jax.jvp(along, [primals[i] for i in moving], dots)[1]


def with_tangent(operation: Operation, tangent: Callable[[Any, Any], Any]) -> Forward:
    """The operation's values, with `tangent(x_in, x_in_dot)`, linear in x_in_dot, for its derivative; one operand."""
    this = jax.custom_jvp(_one(operation))

    @this.defjvp
    def jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
        return this(*primals), tangent(*primals, *tangents)

    return lambda x_in: [this(x_in)]


def with_backward(operation: Operation, backward: Callable[..., Any]) -> Forward:
    """The operation's values, `backward(inputs, x_out, g_out)` for the gradient of its operands."""
    single = len(operation.results) == 1
    forward = _one(operation) if single else _named(operation, operation.forward)
    this = jax.custom_vjp(forward)

    def save(*inputs: Any) -> tuple[Any, Any]:
        x_out = this(*inputs)
        return x_out, (inputs, x_out)

    def pull(saved: tuple[Any, Any], g_out: Any) -> tuple[Any, ...]:
        inputs, x_out = saved
        return _checked(operation, inputs, backward(inputs, x_out, g_out))

    this.defvjp(save, pull)
    return lambda *inputs: [this(*inputs)] if single else this(*inputs)


def _one(operation: Operation) -> Callable[..., Any]:
    return _named(operation, lambda *inputs: operation.forward(*inputs)[0])


def _named(operation: Operation, function: Callable[..., Any]) -> Callable[..., Any]:
    """With the operation's name, which is what a second trace finds it by."""
    function.__name__ = function.__qualname__ = operation.kind
    return function


def _checked(operation: Operation, inputs: tuple[Any, ...], g_in: Any) -> tuple[Any, ...]:
    gradients = tuple(g_in) if isinstance(g_in, tuple | list) else (g_in,)
    got = [None if g is None else jnp.shape(g) for g in gradients]
    shapes = [jnp.shape(x) for x in inputs]
    fits = len(got) == len(shapes) and all(g is None or g == s for g, s in zip(got, shapes, strict=True))
    if not fits:
        raise InvalidInput(
            got=f"a backward of {operation.path!r} that returns gradients of shapes {got}",
            expected=f"one gradient of the shape of every operand: {shapes}; None where there is none",
            remedy="backward(inputs, x_out, g_out): sum over the axes that were broadcast",
        )
    return tuple(
        None if g is None else jnp.asarray(g, jnp.result_type(x))
        for g, x in zip(gradients, inputs, strict=True)
    )
