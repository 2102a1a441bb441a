"""A population as one variable: every member moves by the same method on its own, and what was best is remembered.

`optimize` sees one pytree with a leading axis of members and one cost, the sum of theirs. The method here takes the
sum apart again: each member has its own state of the inner method, its own running average, its own best latent by the
score without augmentation, and its own end: a member whose cost or gradient is not finite moves no more,
and the others go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.guide.priors import FREE, Prior
from diffprog.optimize import Oracle, Seen, counted


class Members(NamedTuple):
    """What is optimized, and what is remembered on the way; every leaf begins with the axis of members.

    Attributes:
      latents: where the members are.
      average: the running average of that, not yet divided by what its weights sum to.
      best: where the plain score was highest.
      score: that score, [n].
    """

    latents: Any
    average: Any
    best: Any
    score: Array


class Look(NamedTuple):
    """What a step saw of every member, all [n].

    Attributes:
      cost: what it minimizes: minus `augmented`, plus `price`.
      plain: the score of the picture as it is.
      augmented: the mean score under random views.
      price: of the prior.
      frames: pictures for a trajectory, uint8 [n, h, w, 3], or None.
    """

    cost: Array
    plain: Array
    augmented: Array
    price: Array
    frames: Array | None = None


class Moved(NamedTuple):
    """State of the method: the inner method's for every member, steps taken, and who has stopped [n]."""

    inner: Any
    steps: Array
    stopped: Array


def started(latents: Any) -> Members:
    """A population before its first step."""
    count = jax.tree.leaves(latents)[0].shape[0]
    nothing = jax.tree.map(jnp.zeros_like, latents)
    return Members(latents, nothing, latents, jnp.full((count,), -jnp.inf, jnp.float32))


def averaged(members: Members, steps: Array | int, decay: float) -> Any:
    """The running average, divided by what its weights sum to; the latents themselves where there is none."""
    weight = 1 - decay ** jnp.asarray(steps, jnp.float32)
    if not decay:
        return members.latents
    return jax.tree.map(
        lambda mean, now: jnp.where(weight > 0, mean / jnp.maximum(weight, 1e-12), now),
        members.average,
        members.latents,
    )


@dataclass(frozen=True)
class OnEach:
    """The method of `guide`: an optax transformation on each member, a projection, an average, the best.

    Attributes:
      transformation: how one member moves.
      prior: whose `project` follows every move.
      decay: of the running average; 0 keeps none.

    Raises:
      InvalidInput: not an optax transformation.
    """

    transformation: Any
    prior: Prior = FREE
    decay: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.transformation, optax.GradientTransformation):
            raise InvalidInput(
                f"a method of type {type(self.transformation).__name__}",
                "an optax transformation, which every member of a population can take by itself",
                "method=optax.adam(0.05); methods without gradients go with diffprog.optimize",
            )
        if not 0 <= self.decay < 1:
            raise InvalidInput(f"ema={self.decay}", "from 0 (none) to below 1", "ema=0.9")

    def init(self, value: Members) -> Moved:
        """The inner method's state for every member."""
        count = value.score.shape[0]
        inner = jax.vmap(self.transformation.init)(value.latents)
        return Moved(inner, jnp.zeros((), jnp.int32), jnp.zeros((count,), bool))

    def step(self, oracle: Oracle, value: Members, state: Moved) -> tuple[Members, Moved, Seen]:
        """Look once, remember the best, move those that can still move."""
        _, look, gradient = oracle.gradient(value)
        g = gradient.latents
        stopped = state.stopped | ~_finite(look.cost, g)
        going = ~stopped
        updates, inner = jax.vmap(self.transformation.update)(g, state.inner, value.latents)
        moved = jax.vmap(self.prior.project)(optax.apply_updates(value.latents, updates))
        latents = _where(going, moved, value.latents)
        better = (look.plain > value.score) & jnp.isfinite(look.plain)
        average = jax.tree.map(
            lambda mean, z: self.decay * mean + (1 - self.decay) * z, value.average, latents
        )
        members = Members(
            latents,
            average,
            _where(better, value.latents, value.best),
            jnp.where(better, look.plain, value.score),
        )
        # The loop stops where a cost or a gradient is not finite; it must hear of it only when nobody goes on.
        cost = jnp.where(stopped.all(), jnp.nan, jnp.sum(jnp.where(going, look.cost, 0)))
        heard = gradient._replace(latents=_where(going, g, jax.tree.map(jnp.zeros_like, g)))
        kept = Moved(_where(going, inner, state.inner), state.steps + 1, stopped)
        return members, kept, Seen(cost, look, heard, counted(gradients=1))


def _finite(costs: Array, gradients: Any) -> Array:
    """For every member whether its cost and all of its gradient are finite: [n]."""
    parts = [jnp.isfinite(leaf).reshape(len(costs), -1).all(1) for leaf in jax.tree.leaves(gradients)]
    return jnp.stack([jnp.isfinite(costs), *parts]).all(0)


def _where(which: Array, yes: Any, no: Any) -> Any:
    """Member by member."""
    return jax.tree.map(lambda a, b: jnp.where(which.reshape(-1, *[1] * (a.ndim - 1)), a, b), yes, no)
