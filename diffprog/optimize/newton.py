"""Level three with the whole Hessian: Newton's method, damped, with a line search or a trust region, safe at saddles.

The Hessian's eigenvalues are at hand (n is small here; see `newton_cg` for large n), so both searches are exact. The
line search goes along -(|H| + damping)^-1 g, where |H| has the eigenvalues' absolute values: towards minima and away
from saddles, which plain Newton is attracted to. The trust region minimizes the quadratic model within a radius,
also where the gradient has no part along the most negative curvature (the "hard case"). At a saddle itself, where the
gradient is zero, both leave along the most negative curvature.

Source: Nocedal and Wright, "Numerical Optimization", chapters 3 and 4; Dauphin et al. 2014 (|H|).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from diffprog.errors import InvalidInput
from diffprog.optimize.curvature import check_curved, hessian
from diffprog.optimize.method import Oracle, PyTree, Seen, counted
from diffprog.optimize.search import backtrack, judged

SEARCHES = ("none", "line", "trust region")
ESCAPE = (
    1e-2  # how far, relative to 1 + |w|, to leave along negative curvature that the gradient does not show
)


@dataclass(frozen=True)
class Newton:
    """Newton's method on the eigenvalues of the Hessian; made by `newton`."""

    damping: float
    search: str
    radius: float

    def check(self, cost: Any, value: PyTree, rest: tuple[Any, ...]) -> None:
        """Refuse costs without curvature."""
        check_curved(cost, value, rest)

    def init(self, value: PyTree) -> PyTree:
        """The radius of the trust region."""
        return jnp.asarray(self.radius, ravel_pytree(value)[0].dtype)

    def step(self, oracle: Oracle, value: PyTree, state: PyTree) -> tuple[PyTree, PyTree, Seen]:
        """One gradient, one Hessian, and the values that the search takes."""
        w, whole = ravel_pytree(value)
        loss, record, gradient = oracle.gradient(value)
        g = ravel_pytree(gradient)[0]
        H = hessian(lambda w: oracle.value(whole(w)), w)
        # eigh of what is not finite is not finite, and then the step is not taken.
        curvatures, Q = jnp.linalg.eigh(H)  # (n,) rising, (n, n)
        slopes = Q.T @ g  # (n, n) (n,) -> (n,)

        def cost_at(p: Array) -> Array:
            return oracle.value(whole(w + Q @ p))

        if self.search == "trust region":
            p = within(slopes, curvatures + self.damping, state)
            p, state, asked = judged(cost_at, loss, p, slopes @ p + p @ (curvatures * p) / 2, state)
        else:
            p = self._direction(slopes, curvatures, jnp.linalg.norm(w))
            asked = jnp.int32(0)
            if self.search == "line":
                p, asked = backtrack(cost_at, loss, p, slopes @ p, p @ (curvatures * p))
        return (
            whole(w + Q @ p),
            state,
            Seen(loss, record, gradient, counted(values=asked, gradients=1, hessians=1)),
        )

    def _direction(self, slopes: Array, curvatures: Array, size: Array) -> Array:
        floor = jnp.finfo(slopes.dtype).eps * jnp.max(jnp.abs(curvatures))
        p = -slopes / jnp.maximum(jnp.abs(curvatures) + self.damping, jnp.where(floor == 0, 1, floor))
        if self.search != "line":
            return p
        least = ESCAPE * (1 + size)
        hidden = (curvatures[0] < -1e3 * floor) & (jnp.abs(p[0]) < least)
        return p.at[0].set(jnp.where(hidden, jnp.where(slopes[0] > 0, -least, least), p[0]))


def newton(damping: float = 0.0, search: str = "line", radius: float = 1.0) -> Newton:
    """Newton's method, w <- w - t (|H| + damping)^-1 g, for up to a few hundred variables.

    Args:
      damping: added to every curvature; 0 is Newton's step.
      search: 'line' halves t from 1 until the cost falls enough, 'trust region' minimizes the model within a radius
        that follows how well the model did, 'none' takes t = 1 unseen.
      radius: the first radius of the trust region.

    Raises:
      InvalidInput: another search, damping below 0, a radius not above 0.

    Example:
      >>> from diffprog.optimize import optimize
      >>> run = optimize(lambda w: jnp.sum(jnp.array([1.0, 100.0]) * w**2), jnp.ones(2), newton(), steps=1)
      >>> bool(abs(run.value).max() < 1e-6), run.counts.hessians
      (True, 1)
    """
    if search not in SEARCHES:
        raise InvalidInput(f"search={search!r}", f"one of {', '.join(map(repr, SEARCHES))}", "search='line'")
    if not damping >= 0 or not radius > 0:
        raise InvalidInput(f"damping={damping}, radius={radius}", "damping >= 0 and radius > 0", "newton()")
    return Newton(float(damping), search, float(radius))


def within(slopes: Array, curvatures: Array, radius: Array) -> Array:
    """argmin over |p| <= radius of slopes.p + p.(curvatures p)/2, exactly, in the eigenvectors' coordinates.

    The minimum is p = -slopes / (curvatures + shift), with the least shift >= 0 for which all curvatures + shift >= 0
    and |p| <= radius; |p| falls with the shift, which bisection finds. In the hard case |p| is too short for every
    shift allowed, and the rest goes along the lowest curvature.

    Args:
      slopes: [n], the gradient in the basis of eigenvectors.
      curvatures: [n], eigenvalues, rising.
      radius: a scalar.
    """
    length = jnp.linalg.norm(slopes)
    least = jnp.maximum(0, -curvatures[0])
    tiny = jnp.finfo(slopes.dtype).tiny

    def at(shift: Array) -> Array:
        below = curvatures + shift
        return jnp.where(slopes == 0, 0.0, -slopes / jnp.maximum(below, tiny))

    def halve(_: Any, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) / 2
        long = jnp.linalg.norm(at(middle)) > radius
        return jnp.where(long, middle, low), jnp.where(long, high, middle)

    steps = 2 * jnp.finfo(slopes.dtype).nmant  # halvings until the shift is exact
    bounds = jax.lax.fori_loop(0, steps, halve, (least, least + length / radius))
    free = (curvatures[0] > 0) & (jnp.linalg.norm(at(jnp.zeros_like(least))) <= radius)
    p = at(jnp.where(free, 0.0, bounds[1]))
    missing = jnp.sqrt(jnp.maximum(radius**2 - p @ p, 0))
    hard = (curvatures[0] < 0) & (missing > 1e-3 * radius)
    return p.at[0].add(jnp.where(hard, jnp.where(slopes[0] > 0, -missing, missing), 0.0))
