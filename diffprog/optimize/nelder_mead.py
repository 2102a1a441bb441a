"""Level one: the simplex of Nelder and Mead, which only compares values, for a handful of variables.

A simplex of d + 1 points moves its worst point through the others' mean: reflected, twice as far, half as far, or,
if nothing helps, all points halfway to the best. The steps and the first simplex are those of SciPy, so that runs
agree; the first step here only evaluates the first simplex.

Source: Nelder and Mead 1965; Lagarias et al. 1998 (the order of the comparisons).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from diffprog.errors import InvalidInput
from diffprog.optimize.method import Oracle, PyTree, Seen, counted

AT_ZERO = 0.00025  # how far a coordinate that is 0 is moved for the first simplex, as in SciPy


@dataclass(frozen=True)
class NelderMead:
    """The simplex method; made by `nelder_mead`."""

    spread: float

    def init(self, value: PyTree) -> PyTree:
        """(points [d + 1, d], their values [d + 1], whether those are known)."""
        x, _ = ravel_pytree(value)
        moved = jnp.where(x == 0, AT_ZERO, (1 + self.spread) * x)
        points = jnp.concatenate([x[None], jnp.where(jnp.eye(x.size, dtype=bool), moved, x)])
        return points, jnp.full(x.size + 1, jnp.inf, x.dtype), jnp.zeros((), bool)

    def step(self, oracle: Oracle, value: PyTree, state: PyTree) -> tuple[PyTree, PyTree, Seen]:
        """Evaluate the simplex, or move its worst point; at the best point is where the run is."""
        _, whole = ravel_pytree(value)

        def cost(x: Array) -> Array:
            return oracle.value(whole(x))

        points, values, known = state

        def first(_: Any) -> Any:
            # One after the other: a cost that calls out may not be asked for many at once.
            found = jax.lax.map(cost, points)
            return *_sorted(points, found), jnp.int32(len(points)), found[0]

        def later(_: Any) -> Any:
            new_points, new_values, asked = _moved(cost, points, values)
            return *_sorted(new_points, new_values), asked, values[0]

        points, values, asked, loss = jax.lax.cond(known, later, first, None)
        state = (points, values, jnp.ones((), bool))
        return whole(points[0]), state, Seen(loss, None, None, counted(values=asked))


def nelder_mead(spread: float = 0.05) -> NelderMead:
    """The simplex of Nelder and Mead.

    Args:
      spread: the first simplex moves each coordinate by this share of itself.

    Raises:
      InvalidInput: no spread.

    Example:
      >>> from diffprog.optimize import optimize
      >>> run = optimize(lambda w: jnp.abs(w[0] - 1) + jnp.abs(w[1]), jnp.array([2.0, 2.0]), nelder_mead(), steps=80)
      >>> bool(jnp.abs(run.value - jnp.array([1.0, 0.0])).max() < 1e-2)
      True
    """
    if spread == 0:
        raise InvalidInput("spread=0", "a simplex that is not flat", "spread=0.05")
    return NelderMead(float(spread))


def _sorted(points: Array, values: Array) -> tuple[Array, Array]:
    order = jnp.argsort(values, stable=True)
    return points[order], values[order]


def _moved(cost: Any, points: Array, values: Array) -> tuple[Array, Array, Array]:
    """One iteration on a sorted simplex: points, values, and how many values were asked for."""
    center, worst = jnp.mean(points[:-1], 0), points[-1]

    def at(t: float) -> Array:
        return (1 + t) * center - t * worst

    reflected = at(1.0)
    there = cost(reflected)

    def replaced(x: Array, f: Array, asked: int) -> Any:
        return points.at[-1].set(x), values.at[-1].set(f), jnp.int32(asked)

    def expand(_: Any) -> Any:
        beyond = cost(at(2.0))
        better = beyond < there
        return replaced(jnp.where(better, at(2.0), reflected), jnp.minimum(beyond, there), 2)

    def keep(_: Any) -> Any:
        return replaced(reflected, there, 1)

    def contract(_: Any) -> Any:
        outside = there < values[-1]
        x = jnp.where(outside, at(0.5), at(-0.5))
        f = cost(x)
        good = jnp.where(outside, f <= there, f < values[-1])
        return jax.lax.cond(good, lambda _: replaced(x, f, 2), shrink, None)

    def shrink(_: Any) -> Any:
        nearer = points[0] + 0.5 * (points[1:] - points[0])
        found = jax.lax.map(cost, nearer)
        asked = jnp.int32(2 + len(nearer))
        return jnp.concatenate([points[:1], nearer]), jnp.concatenate([values[:1], found]), asked

    case = jnp.where(there < values[0], 0, jnp.where(there < values[-2], 1, 2))
    return jax.lax.switch(case, [expand, keep, contract], None)
