"""A cost along a line: what no derivative at one point can tell.

A direction is drawn once and for all, and the cost is evaluated at 64 points of the line through the point at hand,
as far to both sides as the variables are large.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

SAMPLES = 64


class Line(NamedTuple):
    """The cost along a line through the point: `point + t * step` for t between -1 and 1."""

    costs: np.ndarray
    length: float  # of the step

    @property
    def turns(self) -> int:
        """How often the cost turns from falling to rising or back; changes of the size of rounding do not count."""
        costs = self.costs[np.isfinite(self.costs)]
        if len(costs) < 3 or np.ptp(costs) <= 1e-5 * np.abs(costs).max():
            return 0
        changes = np.diff(costs)
        changes = changes[np.abs(changes) > 1e-4 * np.ptp(costs)]
        return int(np.sum(changes[1:] * changes[:-1] < 0))

    @property
    def range(self) -> float:
        """Largest minus smallest cost, of those that are finite."""
        costs = self.costs[np.isfinite(self.costs)]
        return float(np.ptp(costs)) if len(costs) else 0.0


def sample_line(cost: Callable[..., Any], at: Any, *fixed: Any) -> Line:
    """Evaluate a cost along one random direction, in each array as far as it is large (1 where it is all zeros).

    Args:
        cost: a function to a scalar, of a pytree of floating-point arrays and whatever else.
        at: the point.
        *fixed: the cost's further arguments.

    Example:
        >>> import jax.numpy as jnp
        >>> sample_line(lambda x: (x - 1) ** 2, jnp.float32(1.0)).turns
        1
        >>> sample_line(jnp.sin, jnp.float32(500.0)).turns > 20
        True
    """
    leaves, tree = jax.tree.flatten(at)
    random = np.random.default_rng(0)
    steps = [_direction(random, x) for x in leaves]
    # Not evenly spaced, so that no frequency of the cost falls into step with the samples.
    golden = np.arange(SAMPLES) * 0.6180339887498949 % 1
    ts = -1 + 2 * (np.arange(SAMPLES) + golden) / SAMPLES

    @jax.jit
    def costs(leaves: Any, steps: Any, ts: Any, *fixed: Any) -> Any:
        def at_t(t: Any) -> Any:
            moved = [x + t.astype(x.dtype) * step for x, step in zip(leaves, steps, strict=True)]
            return cost(jax.tree.unflatten(tree, moved), *fixed)

        return jax.lax.map(at_t, ts)

    found = np.asarray(costs([jnp.asarray(x) for x in leaves], steps, jnp.asarray(ts), *fixed), np.float64)
    return Line(found, float(np.sqrt(sum(float(np.sum(np.square(s, dtype=np.float64))) for s in steps))))


def _direction(random: np.random.Generator, x: Any) -> np.ndarray:
    """A random array with the norm of x, or with one entry's being 1 on average."""
    step = random.standard_normal(np.shape(x))
    length = np.linalg.norm(np.asarray(x, np.float64)) or np.sqrt(np.size(x))
    return (step * length / (np.linalg.norm(step) or 1.0)).astype(np.asarray(x).dtype)
