"""An operation whose gradients to several inputs share their work.

Where one expensive quantity serves every gradient, one formula gives them all, (g_1, g_2, ...) = J^T g_out, and is
a linear map of all inputs at once. In `anatomy` each input has a formula of its own, which suits all operations whose
shared parts XLA finds by itself; it cannot look into two loops and see that they compute the same.
Which gradients are asked for is known when the formula is traced, so the others cost nothing here either.
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
class _Some:
    """A joint formula as seen from those inputs that have a derivative now: hashable."""

    pull: Callable[..., Any]
    push: Callable[..., Any]
    moving: tuple[bool, ...]
    static: tuple[tuple[str, Any], ...]

    def to_inputs(self, saved: Any, g_out: Any) -> list[Any]:
        every = self.pull(saved, g_out, wanted=self.moving, **dict(self.static))
        return [g for g, moves in zip(every, self.moving, strict=True) if moves]

    def from_inputs(self, saved: Any, dots: list[Any]) -> Any:
        given = iter(dots)
        return self.push(
            saved, *(next(given) if moves else None for moves in self.moving), **dict(self.static)
        )


@dataclass(frozen=True)
class _Method:
    """A bound method that equals the next one made of the same parts, by value."""

    some: _Some
    name: str

    def __call__(self, saved: Any, x: Any) -> Any:
        return getattr(self.some, self.name)(saved, x)


def joint_operation(
    name: str,
    forward: Callable[..., Any],
    save: Callable[..., Any],
    pull: Callable[..., Any],
    push: Callable[..., Any],
    count: int,
) -> Callable[..., Any]:
    """Join a forward computation and one backward formula for its first `count` inputs.

    Args:
      name: what graphs and profiles call it.
      forward: `(*inputs, **static) -> (x_out, extra)`.
      save: `(inputs, x_out, extra, **static) -> saved`.
      pull: J^T, `(saved, g_out, wanted, **static) -> (g_1, ..., g_count)`; `wanted` holds a boolean for each of them,
        and where it is False anything may be returned.
      push: J, `(saved, *dots, **static) -> x_out_dot`; a dot is None where an input does not change.
      count: how many of the inputs, the first ones, have a derivative.

    Returns:
      `(*inputs, **static) -> x_out`. Static arguments must be hashable.
    """

    def call(static: tuple[tuple[str, Any], ...], *inputs: Any) -> Any:
        return forward(*inputs, **dict(static))[0]

    call.__name__ = call.__qualname__ = name
    ruled = functools.partial(jax.custom_jvp, nondiff_argnums=(0,))(call)

    def jvp(static: tuple[tuple[str, Any], ...], inputs: Any, tangents: Any) -> tuple[Any, Any]:
        x_out, extra = forward(*inputs, **dict(static))
        moving = tuple(not isinstance(d, SymbolicZero) for d in tangents[:count])
        if not any(moving):
            return x_out, jnp.zeros_like(x_out)
        some = _Some(pull, push, moving, static)
        dots = [d for d, moves in zip(tangents, moving, strict=False) if moves]
        saved = save(inputs, x_out, extra, **dict(static))
        change = linear_map(
            _Method(some, "from_inputs"), _Method(some, "to_inputs"), saved, dots, like(x_out)
        )
        return x_out, change

    ruled.defjvp(jvp, symbolic_zeros=True)

    @functools.wraps(forward)
    def apply(*inputs: Any, **static: Any) -> Any:
        return ruled(tuple(sorted(static.items())), *inputs)

    return apply
