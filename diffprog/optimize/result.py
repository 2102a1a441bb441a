"""Where a run ended, what it cost, and in words why it ended."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from diffprog.optimize.method import Counts, PyTree
from diffprog.optimize.stopping import Reason


class Population(NamedTuple):
    """All members of a population.

    Attributes:
      values: stacked along a leading axis of length n.
      costs: of these values, [n]; not finite where a member has no finite cost.
      best: the number of the lowest.
      stopped: why each member stopped, as `Result.stopped` says it.
    """

    values: PyTree
    costs: np.ndarray
    best: int
    stopped: tuple[str, ...]


class Result(NamedTuple):
    """Where a run ended.

    Attributes:
      value: the pytree reached, of the structure it started with; of a population, the best member's.
      history: the cost before every step, [steps], or [steps, n] of a population.
      records: what the cost reported before every step, stacked along a leading axis of length steps.
      steps: how many steps moved the value.
      stopped: 'finished', 'interrupted', 'callback', 'not finite', 'diverged', 'gradient norm', 'change', 'target' or
        'evaluations'.
      cost: the last cost seen. It is that of `value` itself when a rule stopped the run, or it diverged; of a
        population it is the best member's; otherwise it is the cost before the last step.
      counts: what was asked of the cost, of all members together.
      why: `stopped` in a sentence, with what to try where something went wrong.
      population: all members, or None.
    """

    value: PyTree
    history: np.ndarray
    records: PyTree
    steps: int
    stopped: str
    cost: float = float("nan")
    counts: Counts = Counts()
    why: str = ""
    population: Population | None = None


def explained(reason: Reason, steps: int, history: np.ndarray, last: Any) -> str:
    """The sentence for `Result.why`."""
    after = f"after {steps} steps"
    first = f"{float(history[0]):.3g}" if len(history) else f"{float(last):.3g}"
    return {
        Reason.NOT_FINITE: f"{after} the cost or its gradient was not finite; the value before that is kept. "
        "Try a smaller learning rate, or ask `diagnose` where it comes from.",
        Reason.DIVERGED: f"{after} the cost had risen from {first} to {float(last):.3g}; the value of the lowest cost "
        "seen is kept. Try a smaller learning rate (gradient descent needs less than 2 / the largest curvature).",
        Reason.GRADIENT: f"{after} the gradient was as small as asked.",
        Reason.CHANGE: f"{after} the next step would have moved less than asked.",
        Reason.TARGET: f"{after} the cost was as low as asked.",
        Reason.EVALUATIONS: f"{after} all evaluations were used.",
    }.get(reason, f"{after}.")
