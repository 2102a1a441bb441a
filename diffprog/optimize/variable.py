"""What moves: which leaves, and in which set each must stay.

A `Variable` stands between the value that the cost sees and the part of it that a method moves. Leaves that stay are
taken out (None in their place, so names and structure remain) and go to the compiled step as data, whatever their
type. A constrained leaf is projected after every step, or replaced by a free parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.optimize.method import PyTree
from diffprog.optimize.sets import Set

SETS = ("project", "inside", "outside")


@dataclass(frozen=True)
class Constraint:
    """Sets for the leaves, as `projected` and `reparameterized` make it."""

    sets: Any
    free: bool


def projected(sets: Any) -> Constraint:
    """Keep leaves in sets by going to the nearest point after every step.

    Args:
      sets: one set for all leaves that move, or a pytree of sets (None: anywhere) that is a prefix of the start.

    Example:
      >>> from diffprog.optimize import Box, gradient_descent, optimize
      >>> run = optimize(lambda w: (w - 3.0) ** 2, 0.0, gradient_descent(0.25), steps=9,
      ...                constraint=projected(Box(-1.0, 1.0)))
      >>> float(run.value)
      1.0
    """
    return Constraint(sets, free=False)


def reparameterized(sets: Any) -> Constraint:
    """Keep leaves in sets by moving a free parameter that is mapped into them; sets as in `projected`."""
    return Constraint(sets, free=True)


@dataclass(frozen=True)
class Variable:
    """What moves of a pytree of one structure; hashable, so that compiled steps can be kept by it.

    Attributes:
      structure: of the whole value.
      moves: for every leaf, whether it moves.
      sets: for every leaf, where it must stay; None is anywhere.
      free: whether constrained leaves are reparameterized.
    """

    structure: Any
    moves: tuple[bool, ...]
    sets: tuple[Set | None, ...]
    free: bool

    def split(self, value: PyTree) -> tuple[PyTree, PyTree]:
        """(what a method moves, what stays), each with None where the other has a leaf."""
        leaves = [jnp.asarray(leaf, jnp.result_type(leaf)) for leaf in self.structure.flatten_up_to(value)]
        moving = [self._enter(*pair) for pair in zip(leaves, self.sets, strict=True)]
        return self._where(moving, True), self._where(leaves, False)

    def whole(self, moving: PyTree, fixed: PyTree) -> PyTree:
        """The value as the cost sees it."""
        ours, theirs = self.structure.flatten_up_to(moving), self.structure.flatten_up_to(fixed)
        leaves = [
            self._leave(m, s) if own else f
            for m, f, own, s in zip(ours, theirs, self.moves, self.sets, strict=True)
        ]
        return self.structure.unflatten(leaves)

    def whole_all(self, moving: PyTree, fixed: PyTree) -> PyTree:
        """The same for a population: leaves that stay are the same for all and keep no leading axis."""
        members = self.structure.flatten_up_to(jax.vmap(lambda one: self.whole(one, fixed))(moving))
        theirs = self.structure.flatten_up_to(fixed)
        leaves = [leaf if own else kept for leaf, kept, own in zip(members, theirs, self.moves, strict=True)]
        return self.structure.unflatten(leaves)

    @property
    def projects(self) -> bool:
        """Whether a step must be followed by a projection."""
        return not self.free and any(self.sets)

    def project(self, moving: PyTree) -> PyTree:
        """The nearest value within the sets."""
        leaves = [
            s.project(leaf) if own and s is not None else leaf
            for leaf, own, s in zip(self.structure.flatten_up_to(moving), self.moves, self.sets, strict=True)
        ]
        return self.structure.unflatten(leaves)

    def _enter(self, leaf: Array, of: Set | None) -> Array:
        if of is None:
            return leaf
        return of.outside(leaf) if self.free else of.project(leaf)

    def _leave(self, leaf: Array, of: Set | None) -> Array:
        return of.inside(leaf) if self.free and of is not None else leaf

    def _where(self, leaves: list[Any], moves: bool) -> PyTree:
        kept = [leaf if own == moves else None for leaf, own in zip(leaves, self.moves, strict=True)]
        return self.structure.unflatten(kept)


def variable(start: PyTree, mask: PyTree = None, constraint: Constraint | None = None) -> Variable:
    """What moves of a start.

    Args:
      start: the pytree.
      mask: a pytree of truth values that is a prefix of the start: True moves. None moves all.
      constraint: from `projected` or `reparameterized`.

    Raises:
      InvalidInput: a mask or sets of another structure, nothing that moves, or leaves without gradients that move.
    """
    structure = jax.tree.structure(start)
    moves = _spread("mask", True if mask is None else mask, start, _is_flag)
    sets = _spread("constraint", constraint.sets if constraint else None, start, _is_set)
    if not any(moves):
        got = "an empty pytree" if not moves else "a mask that lets no leaf move"
        raise InvalidInput(
            got, "at least one array to optimize", "a start with arrays, and True for one of them"
        )
    sets = [of if own else None for of, own in zip(sets, moves, strict=True)]
    return Variable(structure, tuple(map(bool, moves)), tuple(sets), bool(constraint and constraint.free))


def check_start(start: PyTree, moves: tuple[bool, ...] | None = None) -> None:
    """Refuse leaves that should move and have no gradient.

    Raises:
      InvalidInput: naming the leaf.
    """
    leaves = jax.tree_util.tree_leaves_with_path(start)
    if not sum(np.size(leaf) for _, leaf in leaves):
        raise InvalidInput(
            "a start without a single number", "at least one to optimize", "arrays with entries"
        )
    for number, (path, leaf) in enumerate(leaves):
        dtype = _type_of(leaf)
        if (moves is None or moves[number]) and not _is_floating(dtype):
            raise InvalidInput(
                f"start{jax.tree_util.keystr(path)} of type {dtype}",
                "floating-point leaves, because only those have gradients",
                "convert it with jnp.asarray(leaf, jnp.float32), keep it out of `start` and in `args`, "
                "or let it rest with `mask`",
            )


def _type_of(leaf: Any) -> Any:
    try:
        return jnp.result_type(leaf)
    except (TypeError, ValueError):  # no array, nor anything that could be one
        return type(leaf)


def _spread(what: str, prefix: Any, start: PyTree, is_leaf: Any) -> list[Any]:
    """One entry of a prefix for every leaf of the start."""
    found: list[Any] = []

    def spread(entry: Any, part: PyTree) -> None:  # a part of None has no leaves
        found.extend([entry] * len(jax.tree.leaves(part)))

    try:
        jax.tree.map(spread, prefix, start, is_leaf=is_leaf)
    except (ValueError, TypeError) as error:
        found = []
        text = str(error).splitlines()[0]
    else:
        text = "another number of entries than leaves"
    if len(found) != len(jax.tree.leaves(start)) or not all(map(is_leaf, found)):
        raise InvalidInput(
            f"a {what} that does not fit the start: {text if not found else 'entries of the wrong type'}",
            f"one entry for all leaves, or a prefix of {jax.tree.structure(start)}",
            "the start's own structure, with one entry in place of each array",
        )
    return found


def _is_floating(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and jnp.issubdtype(dtype, jnp.floating)


def _is_flag(entry: Any) -> bool:
    return isinstance(entry, bool | np.bool_)


def _is_set(entry: Any) -> bool:
    return entry is None or all(hasattr(entry, name) for name in SETS)
