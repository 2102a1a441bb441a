"""A linear map whose transpose is written by hand, and through which every transformation of JAX passes.

Differentiation, forward or reverse, only ever asks one thing of an operation: the linear map J that takes a small
change of its input to the change of its output, and the transpose J^T that takes a cotangent back. So one primitive
is enough for every rule: `linear_map(J, JT, saved, x)` computes J(saved, x), and to JAX its transpose is
J^T(saved, .), which is a linear map again with J as its transpose. Evaluation, jvp, transposition, batching and
lowering are all it takes; grad, vjp, jvp, hessian, vmap, jit, scan and remat follow, in any order and depth.

A `jax.custom_vjp` would refuse forward mode, and with it `jvp`, `jacfwd` and `jax.hessian`.
This file and `cotangent.py`, which changes gradients on purpose, are the only ones of the rules that speak to
`jax.interpreters`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from diffprog.errors import InvalidInput
from diffprog.rules.core.placement import alike, is_placed

LinearIn = Callable[[Any, Any], Any]  # (saved, x) -> y, linear in x


def linear_map(forward: LinearIn, transpose: LinearIn, saved: Any, x: Any, out: Any = None) -> Any:
    """Compute `forward(saved, x)`; its derivative in x is itself, and its transpose is `transpose(saved, .)`.

    Args:
      forward: J, `(saved, x) -> y`, linear in x. Hashable, and equal to itself in the next call, or every call
        compiles anew.
      transpose: J^T, `(saved, g) -> g_in`, linear in g; g has the structure and shapes of y, g_in those of x.
      saved: pytree of arrays that both need. Derivatives in it are taken through `forward` and `transpose`.
      x: pytree of arrays.
      out: shapes and dtypes of y, a pytree of `jax.ShapeDtypeStruct`; None traces `forward` to find them.

    Returns:
      y, a pytree of arrays.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> double = lambda saved, x: saved * x
      >>> f = lambda x: linear_map(double, double, jnp.float32(2.0), x)
      >>> jax.grad(f)(3.0), jax.jvp(f, (3.0,), (1.0,))[1]
      (Array(2., dtype=float32), Array(2., dtype=float32))
    """
    kept, saved_tree = jax.tree.flatten(saved)
    leaves, in_tree = jax.tree.flatten(x)
    shapes, out_tree = jax.tree.flatten(jax.eval_shape(forward, saved, x) if out is None else out)
    operands = alike([*kept, *leaves], shapes)
    spec = _Spec(
        forward,
        transpose,
        saved_tree,
        in_tree,
        out_tree,
        tuple(map(_shaped, leaves)),
        tuple(map(_shaped, shapes)),
    )
    return jax.tree.unflatten(out_tree, linear_map_p.bind(*operands, spec=spec))


Shaped = tuple[tuple[int, ...], Any]


def _shaped(x: Any) -> Shaped:
    return jnp.shape(x), jnp.result_type(x)


def _listed(shapes: Iterable[Shaped]) -> str:
    return ", ".join(f"{dtype}{list(shape)}" for shape, dtype in shapes)


@dataclass(frozen=True)
class _Spec:
    """What is static about one linear map; equal specs share compiled code."""

    forward: LinearIn
    transpose: LinearIn
    saved_tree: Any
    in_tree: Any
    out_tree: Any
    ins: tuple[Shaped, ...]
    outs: tuple[Shaped, ...]

    @property
    def kept(self) -> int:
        """How many leading operands are saved arrays."""
        return int(self.saved_tree.num_leaves)

    @property
    def transposed(self) -> _Spec:
        """The transpose's own spec."""
        return _Spec(
            self.transpose, self.forward, self.saved_tree, self.out_tree, self.in_tree, self.outs, self.ins
        )

    def batched(self, axes: tuple[int | None, ...], size: int) -> _Spec:
        """The spec over batches of `size`; saved operands have a batch axis where `axes` is 0."""
        over = partial(_Batched, axes=axes, saved_tree=self.saved_tree)
        ins, outs = (tuple(((size, *shape), d) for shape, d in some) for some in (self.ins, self.outs))
        return _Spec(
            over(self.forward), over(self.transpose), self.saved_tree, self.in_tree, self.out_tree, ins, outs
        )

    def __call__(self, *operands: Any) -> list[Any]:
        """Evaluate on flat operands."""
        saved = jax.tree.unflatten(self.saved_tree, operands[: self.kept])
        x = jax.tree.unflatten(self.in_tree, operands[self.kept :])
        found = jax.tree.leaves(self.forward(saved, x))
        if tuple(map(_shaped, found)) != self.outs:
            raise InvalidInput(
                f"a rule whose formula {self.forward} gives {_listed(map(_shaped, found))}",
                f"{_listed(self.outs)}: a change of the output looks like the output, a gradient like its input",
                "x.astype, or the sum over the axes that were broadcast",
            )
        return found


@dataclass(frozen=True)
class _Batched:
    """A map over batches: every operand whose entry in `axes` is 0 carries a leading batch axis; x and y always do."""

    map: LinearIn
    axes: tuple[int | None, ...]
    saved_tree: Any

    def __call__(self, saved: Any, x: Any) -> Any:
        return jax.vmap(self.map, in_axes=(jax.tree.unflatten(self.saved_tree, self.axes), 0))(saved, x)


linear_map_p = Primitive("linear_map")
linear_map_p.multiple_results = True


@partial(jax.jit, static_argnames="spec")
def _evaluate(*operands: Any, spec: _Spec) -> list[Any]:
    return spec(*operands)


def _abstract(*operands: Any, spec: _Spec) -> list[Any]:
    if any(map(is_placed, operands)):
        # Only the formula knows where its results lie.
        return list(jax.make_jaxpr(spec)(*operands).out_avals)
    return [jax.core.ShapedArray(shape, dtype) for shape, dtype in spec.outs]


def _jvp(primals: Any, tangents: Any, *, spec: _Spec) -> tuple[list[Any], list[Any]]:
    """d J(s, x) = J(s, dx) + (dJ/ds . ds)(x): the map itself, and whatever changes in the map."""
    out = linear_map_p.bind(*primals, spec=spec)
    saved, x = primals[: spec.kept], primals[spec.kept :]
    d_saved, d_x = tangents[: spec.kept], tangents[spec.kept :]
    total: list[Any] = [ad.Zero(jax.typeof(y).to_tangent_aval()) for y in out]
    if any(type(d) is not ad.Zero for d in d_x):
        d_x = [ad.instantiate_zeros(d) for d in d_x]
        total = linear_map_p.bind(*saved, *d_x, spec=spec)
    moving = [i for i, d in enumerate(d_saved) if type(d) is not ad.Zero]
    if moving:

        def along(*some: Any) -> list[Any]:
            full = list(saved)
            for i, value in zip(moving, some, strict=True):
                full[i] = value
            return spec(*full, *x)

        _, change = jax.jvp(along, [saved[i] for i in moving], [d_saved[i] for i in moving])
        total = [ad.add_tangents(a, b) for a, b in zip(total, change, strict=True)]
    return out, total


def _transpose(cotangents: Any, *operands: Any, spec: _Spec) -> list[Any]:
    saved, x = operands[: spec.kept], operands[spec.kept :]
    nothing = [None] * spec.kept
    if all(type(g) is ad.Zero for g in cotangents):
        return [*nothing, *(ad.Zero(v.aval) if ad.is_undefined_primal(v) else None for v in x)]
    g_out = [ad.instantiate_zeros(g) for g in cotangents]
    return [*nothing, *linear_map_p.bind(*saved, *g_out, spec=spec.transposed)]


def _batch(operands: Any, dims: Any, *, spec: _Spec) -> tuple[list[Any], list[int]]:
    size = next(v.shape[d] for v, d in zip(operands, dims, strict=True) if d is not None)
    moved = [v if d is None else jnp.moveaxis(v, d, 0) for v, d in zip(operands, dims, strict=True)]
    saved, x = moved[: spec.kept], moved[spec.kept :]
    # An x without the axis gets one: the transpose of this broadcast is the sum that its cotangent needs.
    x = [
        v if d is not None else jnp.broadcast_to(v, (size, *v.shape))
        for v, d in zip(x, dims[spec.kept :], strict=True)
    ]
    axes = tuple(None if d is None else 0 for d in dims[: spec.kept])
    out = linear_map_p.bind(*saved, *x, spec=spec.batched(axes, size))
    return out, [0] * len(out)


linear_map_p.def_impl(_evaluate)
linear_map_p.def_abstract_eval(_abstract)
ad.primitive_jvps[linear_map_p] = _jvp
ad.primitive_transposes[linear_map_p] = _transpose
batching.primitive_batchers[linear_map_p] = _batch
mlir.register_lowering(linear_map_p, mlir.lower_fun(lambda *v, spec: spec(*v), multiple_results=True))
