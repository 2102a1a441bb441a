"""Level three by products alone: Newton's method with conjugate gradients, for many variables.

The system H p = -g is solved by conjugate gradients, whose only question is H v, as far as it pays: loosely far from
the minimum and tightly near it. A trust region bounds the step, and a direction of negative curvature is followed to
its border. At a saddle where the gradient is exactly zero there is no direction to begin with, and it stays: start
beside it, or use `newton`.

Source: Hestenes and Stiefel 1952; Steihaug 1983; Nocedal and Wright, algorithm 7.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from diffprog.errors import InvalidInput
from diffprog.optimize.curvature import check_curved, hvp
from diffprog.optimize.method import Oracle, PyTree, Seen, counted
from diffprog.optimize.search import judged


class Solved(NamedTuple):
    """What conjugate gradients found: the step, what the model promises of it, and how many products it took."""

    step: Array
    promised: Array
    products: Array


def conjugate_gradients(
    product: Callable[[Array], Array],
    g: Array,
    radius: Any = jnp.inf,
    steps: int | None = None,
    tolerance: Any = 0.0,
) -> Solved:
    """Minimize g.p + p.Hp/2 from p = 0; in exact arithmetic done after n products for a positive definite H [n, n].

    Args:
      product: v -> H v.
      g: [n].
      radius: the step may not be longer; on reaching it, or on a direction of negative curvature, stop there.
      steps: products at most; n if left out.
      tolerance: stop where the residual |H p + g| is this or less.

    Example:
      >>> found = conjugate_gradients(lambda v: jnp.array([1.0, 4.0]) * v, jnp.array([1.0, 4.0]))
      >>> found.step.round(5).tolist(), int(found.products)
      ([-1.0, -1.0], 2)
    """
    steps = g.size if steps is None else steps
    zero = jnp.zeros_like(g)

    def onward(state: Any) -> Any:
        p, Hp, r, d, done, _ = state
        Hd = product(d)
        bend, rr = d @ Hd, r @ r
        t = rr / jnp.where(bend > 0, bend, 1)
        out = (bend <= 0) | (jnp.linalg.norm(p + t * d) >= radius)
        t = jnp.where(out, to_border(p, d, radius), t)
        p, Hp, r = p + t * d, Hp + t * Hd, r + t * Hd
        d = -r + (r @ r) / rr * d
        return p, Hp, r, d, done + 1, out | (jnp.linalg.norm(r) <= tolerance)

    start = (zero, zero, g, -g, jnp.int32(0), jnp.linalg.norm(g) <= tolerance)
    p, Hp, _, _, done, _ = jax.lax.while_loop(lambda s: (s[4] < steps) & ~s[5], onward, start)
    return Solved(p, g @ p + p @ Hp / 2, done)


def to_border(p: Array, d: Array, radius: Any) -> Array:
    """t >= 0 with |p + t d| = radius."""
    a, b, c = d @ d, p @ d, jnp.minimum(radius, 1e18) ** 2 - p @ p
    return (jnp.sqrt(b**2 + a * jnp.maximum(c, 0)) - b) / jnp.where(a > 0, a, 1)


@dataclass(frozen=True)
class NewtonCG:
    """Trust-region Newton by conjugate gradients; made by `newton_cg`."""

    radius: float
    products: int | None
    tolerance: float | None

    def check(self, cost: Any, value: PyTree, rest: tuple[Any, ...]) -> None:
        """Refuse costs without curvature."""
        check_curved(cost, value, rest)

    def init(self, value: PyTree) -> PyTree:
        """The radius of the trust region."""
        return jnp.asarray(self.radius, ravel_pytree(value)[0].dtype)

    def step(self, oracle: Oracle, value: PyTree, state: PyTree) -> tuple[PyTree, PyTree, Seen]:
        """One gradient, some products, one value."""
        w, whole = ravel_pytree(value)
        loss, record, gradient = oracle.gradient(value)
        g = ravel_pytree(gradient)[0]
        size = jnp.linalg.norm(g)
        # min(1/2, sqrt|g|) |g| makes the steps converge superlinearly without solving early systems for nothing.
        tolerance = (jnp.minimum(0.5, jnp.sqrt(size)) if self.tolerance is None else self.tolerance) * size
        solved = conjugate_gradients(
            lambda v: hvp(lambda w: oracle.value(whole(w)), w, v), g, state, self.products, tolerance
        )
        p, state, asked = judged(
            lambda p: oracle.value(whole(w + p)), loss, solved.step, solved.promised, state
        )
        counts = counted(values=asked, gradients=1, products=solved.products)
        return whole(w + p), state, Seen(loss, record, gradient, counts)


def newton_cg(radius: float = 1.0, products: int | None = None, tolerance: float | None = None) -> NewtonCG:
    """Newton's method for many variables, by products with the Hessian.

    Args:
      radius: the first radius of the trust region.
      products: at most this many in a step; the number of variables if left out.
      tolerance: solve until the residual is this share of the gradient; by default looser far from the minimum.

    Raises:
      InvalidInput: a radius not above 0, or no products.

    Example:
      >>> from diffprog.optimize import optimize
      >>> run = optimize(lambda w: jnp.sum(jnp.array([1.0, 9.0]) * w**2), jnp.ones(2), newton_cg(100.0), steps=5)
      >>> bool(abs(run.value).max() < 1e-5), run.counts.hessians
      (True, 0)
    """
    if not radius > 0 or (products is not None and products < 1):
        raise InvalidInput(f"radius={radius}, products={products}", "both above 0", "newton_cg()")
    return NewtonCG(float(radius), products, tolerance)
