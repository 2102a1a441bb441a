"""How far to go along a step: halve it until the cost falls, or judge the quadratic model by what came of it."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

ENOUGH = 1e-4  # the share of the promised decrease that is asked for
HALVINGS = 40  # then the step is below the rounding of the value
WIDEST = 1e6  # a trust region's largest radius

At = Callable[[Array], Array]


def backtrack(cost_at: At, cost: Array, p: Array, slope: Array, bend: Array) -> tuple[Array, Array]:
    """t p for the first t of 1, 1/2, 1/4, ... with cost(t p) <= cost + ENOUGH x what the model promises.

    Args:
      cost_at: the cost at a step from here.
      cost: the cost here.
      p: the step, [n].
      slope: g.p.
      bend: p.Hp; only a negative one counts, which promises a decrease where the slope promises none.

    Returns:
      The step taken, zero if none is good, and how many values were asked for.
    """
    bend = jnp.minimum(bend, 0)
    rounding = 4 * jnp.finfo(cost.dtype).eps * jnp.abs(cost)

    def good(t: Array) -> Array:
        reached = cost_at(t * p)
        # Rounding of the cost near a minimum must not forbid the last step; a flat step is as good there.
        return reached <= cost + ENOUGH * (t * slope + t**2 * bend / 2) + rounding

    def halve(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        t, asked, _ = state
        return t / 2, asked + 1, good(t / 2)

    one = jnp.ones((), cost.dtype)
    t, asked, found = jax.lax.while_loop(
        lambda state: ~state[2] & (state[1] < HALVINGS), halve, (one, jnp.int32(1), good(one))
    )
    return jnp.where(found, t, 0) * p, asked


def judged(cost_at: At, cost: Array, p: Array, promised: Array, radius: Array) -> tuple[Array, Array, Array]:
    """A step within a trust region, taken if the cost falls, and the next radius.

    Args:
      cost_at: the cost at a step from here.
      cost: the cost here.
      p: the step, [n].
      promised: the model's change of the cost, negative.
      radius: of the region.

    Returns:
      The step taken (p or zero), the next radius, and how many values were asked for: one.
    """
    # Near a minimum both changes are rounding; the same small amount added to both makes their ratio 1 there.
    rounding = 10 * jnp.finfo(cost.dtype).eps * jnp.maximum(jnp.abs(cost), jnp.finfo(cost.dtype).tiny)
    change = cost_at(p) - cost
    ratio = jnp.where(jnp.isfinite(change), (change - rounding) / (promised - rounding), -1.0)
    length = jnp.linalg.norm(p)
    wider = (ratio > 0.75) & (length > 0.99 * radius)
    radius = jnp.where(ratio < 0.25, length / 4, jnp.where(wider, jnp.minimum(2 * radius, WIDEST), radius))
    return jnp.where(ratio > ENOUGH, p, 0.0), radius, jnp.int32(1)
