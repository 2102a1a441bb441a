"""A place in a program where the gradient is changed on its way back, by any function of it.

    x_out = x_in        x_out_dot = x_in_dot        g_in = change(g_out)

A backward rule is the transpose of a linear map, and so is linear in g_out; `linear_map` relies on it. Clipping or
normalizing a gradient is not linear, so it is no rule of anything, but an intervention, and has a primitive of its
own: to forward mode it is the identity, and to reverse mode `change`, traced as ordinary code. A second derivative,
forward or reverse over reverse, is that of the changed gradient; `vmap` changes every example's gradient by itself;
and `jvp`, which has no gradient to change, passes. What does not hold is <J v, g> = <v, J^T g>: `jax.jvp` and
`jax.grad` of a program that intervenes disagree, on purpose. `jax.custom_vjp` would refuse forward mode instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from diffprog.rules.core.placement import alike

Change = Callable[..., Any]  # (g_out, *settings) -> g_in, of the same structure and shapes


def with_cotangent(change: Change, x: Any, *settings: Any) -> Any:
    """x as it is; the gradient that comes back through it becomes `change(g_out, *settings)`.

    Args:
      change: any differentiable function. Hashable, and the same in the next call, or every call compiles anew.
      x: pytree of floating-point arrays.
      settings: arrays or numbers that `change` needs; no gradient flows to them.

    Returns:
      x.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> f = lambda x: with_cotangent(jnp.tanh, x) ** 2
      >>> jax.grad(f)(3.0) == jnp.tanh(6.0), jax.jvp(f, (3.0,), (1.0,))[1]
      (Array(True, dtype=bool), Array(6., dtype=float32, weak_type=True))
    """
    leaves, tree = jax.tree.flatten(x)
    settings = tuple(jax.lax.stop_gradient(jnp.asarray(setting)) for setting in settings)
    out = cotangent_p.bind(*alike([*settings, *leaves]), change=_OfLeaves(change, tree), kept=len(settings))
    return jax.tree.unflatten(tree, out)


@dataclass(frozen=True)
class _OfLeaves:
    """A change as a function of flat operands: settings, then the leaves of g_out."""

    change: Change
    tree: Any

    def __call__(self, settings: Any, leaves: Any) -> list[Any]:
        return jax.tree.leaves(self.change(jax.tree.unflatten(self.tree, leaves), *settings))


@dataclass(frozen=True)
class _Batched:
    """A change of every example of a batch by itself; settings may be shared."""

    change: Any
    axes: tuple[int | None, ...]

    def __call__(self, settings: Any, leaves: Any) -> list[Any]:
        return jax.vmap(self.change, in_axes=(self.axes, 0))(tuple(settings), list(leaves))


cotangent_p = Primitive("cotangent")
cotangent_p.multiple_results = True


def _identity(*operands: Any, change: Any, kept: int) -> list[Any]:
    return list(operands[kept:])


def _abstract(*operands: Any, change: Any, kept: int) -> list[Any]:
    return [x.strip_weak_type() for x in operands[kept:]]


def _jvp(primals: Any, tangents: Any, *, change: Any, kept: int) -> tuple[list[Any], list[Any]]:
    """The value passes as it is: a gradient of a gradient comes back through it, and is not changed once more."""
    moved = (ad.instantiate_zeros(d) for d in tangents[kept:])
    return list(primals[kept:]), cotangent_p.bind(*primals[:kept], *moved, change=change, kept=kept)


def _transpose(cotangents: Any, *operands: Any, change: Any, kept: int) -> list[Any]:
    nothing: list[Any] = [None] * kept
    if all(type(g) is ad.Zero for g in cotangents):
        return [*nothing, *(ad.Zero(x.aval) for x in operands[kept:])]
    g_in = change(operands[:kept], [ad.instantiate_zeros(g) for g in cotangents])
    return [*nothing, *g_in]


def _batch(operands: Any, dims: Any, *, change: Any, kept: int) -> tuple[list[Any], list[int]]:
    size = next(x.shape[d] for x, d in zip(operands, dims, strict=True) if d is not None)
    moved = [x if d is None else jnp.moveaxis(x, d, 0) for x, d in zip(operands, dims, strict=True)]
    # An x that the batch shares is used by every example: each gets its own copy, whose gradient is changed alone.
    leaves = [
        x if d is not None else jnp.broadcast_to(x, (size, *x.shape))
        for x, d in zip(moved[kept:], dims[kept:], strict=True)
    ]
    each = _Batched(change, tuple(None if d is None else 0 for d in dims[:kept]))
    out = cotangent_p.bind(*moved[:kept], *leaves, change=each, kept=kept)
    return out, [0] * len(out)


cotangent_p.def_impl(_identity)
cotangent_p.def_abstract_eval(_abstract)
ad.primitive_jvps[cotangent_p] = _jvp
ad.primitive_transposes[cotangent_p] = _transpose
batching.primitive_batchers[cotangent_p] = _batch
mlir.register_lowering(cotangent_p, mlir.lower_fun(_identity, multiple_results=True))
