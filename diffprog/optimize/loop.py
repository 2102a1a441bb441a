"""The loop: move any pytree downhill on any scalar cost, and never lose what was reached.

One call for all three levels of knowledge: a method asks the cost for values, for gradients, or for second
derivatives, and the result says how often. One step is compiled once; everything it needs is an argument, so nothing
large is baked into the program. A cost or gradient that is not finite, or a cost that rises without end, stops the
run with the last good value kept; Ctrl-C returns what there is. `Stage`s let the cost change along the way (a
different backward rule in the first steps, say).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.optimize import checkpoint as checkpoints
from diffprog.optimize.checkpoint import Checkpoint
from diffprog.optimize.method import Counts, PyTree, as_method
from diffprog.optimize.problem import Compiled, check_cost, members_of, prepared, started
from diffprog.optimize.progress import Progress, silent
from diffprog.optimize.result import Population, Result, explained
from diffprog.optimize.step import Cost, Report, State, initial
from diffprog.optimize.stopping import Reason, Stop
from diffprog.optimize.variable import Constraint, check_start, variable

Callback = Callable[[int, PyTree, Report], bool | None]

LOOK_SECONDS = (
    0.002  # waiting for the device costs some 50 microseconds: not after every step of a small problem
)


class Stage(NamedTuple):
    """A step as `compiled` makes it, and how often to take it."""

    step: Callable[..., tuple[State, Report]]
    steps: int


class _Halt(Exception):
    """A callback asked to stop."""


def optimize(
    cost: Cost | Sequence[Stage],
    start: PyTree,
    method: Any,
    *,
    steps: int | None = None,
    key: Array | None = None,
    args: tuple[Any, ...] = (),
    stop: Stop | None = None,
    mask: PyTree = None,
    constraint: Constraint | None = None,
    population: bool = False,
    seed: int = 0,
    progress: Progress = silent,
    callback: Callback | None = None,
    checkpoint: Checkpoint | None = None,
) -> Result:
    """Minimize a scalar cost over a pytree of floating arrays.

    Args:
      cost: `cost(value, key, *args)`, or `cost(value, *args)` when no key is given, to a scalar or to
        (scalar, record). Or a list of `Stage`s, taken one after the other: give the same stages to
        several runs, and they are compiled once. Stages take no stop, mask, constraint or population.
      start: any pytree of floating arrays.
      method: an optax gradient transformation, or a `Method`: `momentum(0.1)`, `newton()`, `nelder_mead()`.
      steps: how many steps to take at most; left out when stages say it.
      key: a PRNG key for the cost, folded with the step's number for every step; an array of keys is folded key by
        key.
      args: further arguments of the cost, passed on as they are (parameters, data).
      stop: rules that end the run early.
      mask: which leaves move: truth values in a prefix of the start's structure.
      constraint: where leaves must stay: `projected(Box(0, 1))`, `reparameterized(Sphere())`.
      population: whether the leaves of `start` that move carry a leading axis of independent starts. All run in one
        compiled step, each with its own key; the best is returned, and all are in `Result.population`.
      seed: for the own draws of a method that samples, where the cost takes no key.
      progress: told of every step; see `diffprog.optimize.progress`.
      callback: called as `callback(steps taken, value, report)` after every step; True ends the run. It waits for
        the device, which costs small problems some speed. With a mask or a constraint, the value is what moves.
      checkpoint: where to keep the run; if the file is there, the run goes on from it.

    Returns:
      A `Result`. A cost that is not finite, one that rises without end, and Ctrl-C end the run early and say so in
      `stopped` and `why`.

    Raises:
      InvalidInput: no steps, a cost that is not a scalar or not finite at the start, a start that is empty or
        cannot be differentiated, a mask or constraint that does not fit it.
      BadFile: a checkpoint of another problem, or a damaged one.

    Example:
      >>> import jax.numpy as jnp, optax
      >>> run = optimize(lambda w: (w - 3.0) ** 2, jnp.array(0.0), optax.sgd(0.25), steps=2)
      >>> float(run.value), run.history.tolist(), run.stopped, run.counts.gradients
      (2.25, [9.0, 2.25], 'finished', 2)
    """
    if not callable(cost):
        if stop or mask is not None or constraint or population:
            raise InvalidInput(
                "stages together with a rule of stopping, a mask, a constraint or a population",
                "stages as `compiled` makes them, which know none of these",
                "a cost in place of stages",
            )
        check_start(start)
        state = initial(start, method, key)
        return _outcome(_run(list(cost), state, args, progress, callback, checkpoint))
    stages_steps = _count(steps)
    chosen = as_method(method)
    what = variable(start, mask, constraint)
    check_start(start, what.moves)
    moving, fixed = what.split(start)
    members = members_of(moving) if population else None
    made = prepared(cost, chosen, key is not None, stop or Stop(), what, population)
    given = jax.random.key(seed) if key is None else key
    state = started(moving, chosen, given, members)
    _check(made, chosen, state, key is not None, fixed, args, population)
    run = _run([Stage(made.step, stages_steps)], state, (fixed, *args), progress, callback, checkpoint)
    result = _gathered(run, made, (fixed, *args)) if population else _outcome(run)
    return result._replace(value=_whole(what, result.value, fixed))._replace(
        population=result.population
        and result.population._replace(values=_whole_all(what, result.population.values, fixed))
    )


def _whole(what: Any, moving: PyTree, fixed: PyTree) -> PyTree:
    return what.whole(moving, fixed)


def _whole_all(what: Any, moving: PyTree, fixed: PyTree) -> PyTree:
    """The members' values; leaves that stay are the same for all and keep no leading axis."""
    shared = jax.vmap(lambda one: what.whole(one, fixed))(moving)
    return what.structure.unflatten(
        [
            leaf if own else kept
            for leaf, kept, own in zip(
                what.structure.flatten_up_to(shared),
                what.structure.flatten_up_to(fixed),
                what.moves,
                strict=True,
            )
        ]
    )


class _Run(NamedTuple):
    """A run as it ended: the last state, what every step saw, and whether someone ended it."""

    state: State
    rows: list[Any]
    last: Report | None
    ended: str


def _run(
    stages: Sequence[Stage],
    state: State,
    args: tuple[Any, ...],
    progress: Progress,
    callback: Callback | None,
    checkpoint: Checkpoint | None,
) -> _Run:
    keeper = _Keeper(checkpoint, stages, state, args)
    state, reports, ended = keeper.state, list[Report](), "finished"
    done = len(keeper.rows)
    looked = time.monotonic()
    try:
        with progress(sum(stage.steps for stage in stages)) as told:
            for reached, report in _walk(stages, state, args, done):
                state = reached
                reports.append(report)
                # One step is always in flight: the report looked at is the one before it.
                looked_at = reports[-1 if callback or len(reports) == 1 else -2]
                if callback or time.monotonic() - looked > LOOK_SECONDS:
                    if np.all(np.asarray(looked_at.reason)):
                        break
                    looked = time.monotonic()
                told(done + len(reports), looked_at)
                if callback and callback(done + len(reports), state.value, report):
                    raise _Halt
                keeper.now_and_then(state, reports)
    except KeyboardInterrupt:
        ended = "interrupted"
    except _Halt:
        ended = "callback"
    keeper.finish(state, reports)
    return _Run(state, keeper.rows + _fetched(reports), reports[-1] if reports else None, ended)


class _Keeper:
    """Writes checkpoints, and begins from one; without a checkpoint it does nothing."""

    def __init__(
        self, checkpoint: Checkpoint | None, stages: Sequence[Stage], state: State, args: tuple[Any, ...]
    ):
        self.state, self.rows, self.checkpoint = state, list[Any](), checkpoint
        self.fetched: list[Any] = []
        if checkpoint is None:
            return
        self.path = Path(checkpoint.path)
        self.mark = checkpoints.fingerprint([stage.step for stage in stages], state, args)
        if self.path.exists():
            _, report = jax.eval_shape(stages[0].step, state, *args)
            self.state, rows = checkpoints.read(self.path, self.mark, state, report[:2])
            going = jnp.zeros_like(
                self.state.reason
            )  # a run stopped by rule stops again; one out of steps goes on
            self.state = self.state._replace(reason=going)
            self.rows = [Report(cost, record, going) for cost, record in rows]

    def now_and_then(self, state: State, reports: list[Report]) -> None:
        """Write after every so many steps."""
        if self.checkpoint is not None and len(reports) % self.checkpoint.every == 0:
            self._write(state, reports)

    def finish(self, state: State, reports: list[Report]) -> None:
        """Write what a run ended with."""
        if self.checkpoint is not None:
            self._write(state, reports)

    def _write(self, state: State, reports: list[Report]) -> None:
        self.fetched += _fetched(reports[len(self.fetched) :])
        rows = (self.rows + self.fetched)[: int(np.max(np.asarray(state.step)))]
        checkpoints.write(self.path, self.mark, state, [row[:2] for row in rows])


def _walk(
    stages: Sequence[Stage], state: State, args: tuple[Any, ...], done: int
) -> Iterator[tuple[State, Report]]:
    for stage in stages:
        for _ in range(max(0, stage.steps - done)):
            state, report = stage.step(state, *args)
            yield state, report
        done = max(0, done - stage.steps)


def _fetched(reports: list[Any]) -> list[Any]:
    """The reports on the host; array by array, which takes a fifth of the time of `jax.device_get`."""
    return [r._replace(cost=np.asarray(r.cost), record=jax.tree.map(np.asarray, r.record)) for r in reports]


def _outcome(run: _Run) -> Result:
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
        _refuse_start(run.rows[0])
    why = explained(reason, steps, history, last)
    if reason == Reason.DIVERGED:
        return Result(
            state.best.value, history, records, steps, reason.words, float(state.best.cost), counts, why
        )
    return Result(state.value, history, records, steps, reason.words, float(last), counts, why)


def _gathered(run: _Run, made: Compiled, args: tuple[Any, ...]) -> Result:
    """The result of a population: the member of the lowest cost where it ended."""
    state = run.state
    diverged = np.asarray(state.reason) == Reason.DIVERGED

    def kept(now: Array, best: Array) -> Array:
        return jnp.where(diverged.reshape(-1, *[1] * (now.ndim - 1)), best, now)

    values = jax.tree.map(kept, state.value, state.best.value)
    costs = np.asarray(made.value(values, state.key, *args))
    best = int(np.argmin(np.where(np.isfinite(costs), costs, np.inf)))
    reasons = [Reason(int(code)) for code in np.asarray(state.reason)]
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


def _check(
    made: Compiled,
    method: Any,
    state: State,
    keyed: bool,
    fixed: PyTree,
    args: tuple[Any, ...],
    population: bool,
) -> None:
    """Look at the problem once, before its first step is compiled."""
    if made.checked:
        return
    one = jax.tree.map(lambda leaf: leaf[0], state) if population else state
    keys = (one.key,) if keyed else ()
    check_cost(made.cost, one.value, keys, (fixed, *args))
    check = getattr(method, "check", None)
    if check is not None:
        check(made.cost, one.value, (*keys, fixed, *args))
    made.checked = True


def _refuse_start(row: Any) -> None:
    what = f"a cost of {float(row.cost)}" if not np.isfinite(row.cost) else "a gradient that is not finite"
    raise InvalidInput(
        f"{what} at the start",
        "a start where the cost and its gradient are finite",
        "another start; a root, logarithm or division at 0 is the usual reason",
    )


def _count(steps: int | None) -> int:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise InvalidInput(
            f"steps={steps!r}", "a whole number of steps, 0 or more", "optimize(..., steps=500)"
        )
    return steps
