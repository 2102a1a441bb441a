"""What a run comes to: the value it reached, its history and counts, and why it ended, in words.

A population's result is that of its best member, with all members beside it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.optimize.method import Counts
from diffprog.optimize.problem import Compiled
from diffprog.optimize.result import Population, Result, explained
from diffprog.optimize.run import Run
from diffprog.optimize.stopping import Reason


def outcome(run: Run) -> Result:
    """The result of one start."""
    state, reason = run.state, Reason(int(run.state.reason))
    steps = int(state.step)
    good = run.rows[:steps]
    history = np.array([row.cost for row in good])
    records = jax.tree.map(lambda *rows: np.stack(rows), *(row.record for row in good)) if good else None
    last = run.rows[min(steps, len(run.rows) - 1)].cost if run.rows else float("nan")
    counts = Counts(*np.asarray(state.counts).tolist())
    if reason == Reason.GOING_ON:
        return Result(
            state.value, history, records, steps, run.ended, float(last), counts, f"after {steps} steps."
        )
    if reason == Reason.NOT_FINITE and steps == 0 and state.best:
        refuse_start(run.rows[0].cost)
    why = explained(reason, steps, history, last)
    if reason == Reason.DIVERGED:
        return Result(
            state.best.value, history, records, steps, reason.words, float(state.best.cost), counts, why
        )
    return Result(state.value, history, records, steps, reason.words, float(last), counts, why)


def gathered(run: Run, made: Compiled, args: tuple[Any, ...]) -> Result:
    """The result of a population: the member of the lowest cost where it ended."""
    state = run.state
    diverged = np.asarray(state.reason) == Reason.DIVERGED

    def kept(now: Array, best: Array) -> Array:
        return jnp.where(diverged.reshape(-1, *[1] * (now.ndim - 1)), best, now)

    values = jax.tree.map(kept, state.value, state.best.value)
    costs = np.asarray(made.value(values, state.key, *args))
    best = int(np.argmin(np.where(np.isfinite(costs), costs, np.inf)))
    reasons = [Reason(int(code)) for code in np.asarray(state.reason)]
    if run.rows and not np.any(np.asarray(state.step)) and set(reasons) == {Reason.NOT_FINITE}:
        refuse_start(run.rows[0].cost[best])
    words = tuple(run.ended if r == Reason.GOING_ON else r.words for r in reasons)
    steps = int(np.max(np.asarray(state.step)))
    good = run.rows[:steps]
    history = np.array([row.cost for row in good]).reshape(steps, len(costs))
    records = jax.tree.map(lambda *rows: np.stack(rows), *(row.record for row in good)) if good else None
    counts = Counts(*np.asarray(state.counts).sum(0).tolist())
    counts = counts._replace(values=counts.values + len(costs))
    value = jax.tree.map(lambda leaf: leaf[best], values)
    why = f"member {best} of {len(costs)} is best: {explained(reasons[best], steps, history[:, best], costs[best])}"
    members = Population(values, costs, best, words)
    return Result(value, history, records, steps, words[best], float(costs[best]), counts, why, members)


def refuse_start(cost: Any) -> None:
    """Say that nothing can be done from a start whose cost, or else gradient, is not finite.

    Raises:
      InvalidInput: always.
    """
    what = f"a cost of {float(cost)}" if not np.isfinite(cost) else "a gradient that is not finite"
    raise InvalidInput(
        f"{what} at the start",
        "a start where the cost and its gradient are finite",
        "another start; a root, logarithm or division at 0 is the usual reason",
    )
