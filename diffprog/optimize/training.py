"""Training as people know it: epochs of shuffled batches, metrics every so often, checkpoints to go on from.

The step is the one of `optimize`, with the batch as its argument; what is added here is where batches come from, and
what is looked at between steps. Everything that decides the result is in the state, the key and the data, so a run
that was interrupted and resumed ends in the same numbers, bit for bit, as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax import Array

from diffprog.errors import BadFile, InvalidInput
from diffprog.optimize.outcome import refuse_start
from diffprog.optimize.problem import check_cost, shapes_of
from diffprog.optimize.progress import Progress, silent
from diffprog.optimize.result import explained
from diffprog.optimize.saved import load_tree, read_file, save_tree
from diffprog.optimize.shuffling import batches, examples
from diffprog.optimize.step import Cost, Settle, State, compiled, initial
from diffprog.optimize.stopping import Reason
from diffprog.optimize.variable import check_start

PyTree = Any
Evaluate = Callable[[PyTree], Mapping[str, Any]]
FORM = "diffprog training 2"


class Metrics(NamedTuple):
    """What an evaluation found after so many steps, as numbers by name."""

    step: int
    epoch: float
    values: dict[str, float]


class Trained(NamedTuple):
    """Where a training ended.

    Attributes:
      value: the parameters reached.
      history: the cost of every batch before its step, [steps], from the very beginning also after a resumption.
      metrics: every evaluation, in order.
      steps: how many steps moved the parameters.
      stopped: 'finished', 'interrupted', 'not finite' or 'diverged'; of the last the value is that before the batch of
        the lowest cost.
      why: `stopped` in a sentence, with what to try where something went wrong.
    """

    value: PyTree
    history: np.ndarray
    metrics: tuple[Metrics, ...]
    steps: int
    stopped: str
    why: str = ""


class _Plan(NamedTuple):
    """What does not change during a run."""

    epoch: int
    steps: int
    every: int
    mark: str
    checkpoint: Path | None
    evaluate: Evaluate | None


def train(
    cost: Cost,
    start: PyTree,
    method: optax.GradientTransformation,
    data: PyTree,
    *,
    batch: int,
    epochs: float,
    key: Array,
    keyed: bool = False,
    settle: Settle | None = None,
    evaluate: Evaluate | None = None,
    every: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Trained:
    """Minimize the mean cost of batches of data.

    Args:
      cost: `cost(params, batch)`, or `cost(params, key, batch)` if `keyed`, to a scalar or to (scalar, record); the
        batch has the structure of the data.
      start: the parameters, any pytree of floating arrays.
      method: an optax gradient transformation.
      data: pytree of arrays with one leading axis of examples.
      batch: how many examples a step sees; all of them is gradient descent.
      epochs: how often every example is seen; may be a fraction.
      key: of the order of the examples, and of the cost.
      keyed: whether the cost takes a key (augmentation, dropout), another one in every step.
      settle: `(params, record) -> params` after every step, for numbers that the cost moves and reports in place of
        the method: `blocks.with_averages`, with a cost to (scalar, parameters as `Block.training` leaves them).
      evaluate: `params -> {name: number}`, called every so often and at the end.
      every: steps between evaluations, and between checkpoints; an epoch when left out.
      checkpoint: a file that is written every so often and at the end. If it is there, the run goes on from it.
      progress: told of every step; see `diffprog.optimize.progress`.

    Returns:
      `Trained`. A cost that is not finite or rises without end, and Ctrl-C, end the run early with the last good
      parameters.

    Raises:
      InvalidInput: batches that do not fit the data, no epochs, a cost that is not a scalar or not finite at the
        start, a start that is empty or cannot be differentiated.
      BadFile: a checkpoint of another problem, or a damaged one.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> x = jnp.linspace(-1, 1, 64)
      >>> cost = lambda w, batch: jnp.mean((batch[0] * w - batch[1]) ** 2)
      >>> run = train(cost, jnp.array(0.0), optax.sgd(0.5), (x, 3 * x), batch=16, epochs=10, key=jax.random.key(0))
      >>> round(float(run.value), 3), run.steps, run.stopped
      (3.0, 40, 'finished')
    """
    count = examples(data, batch)
    order_key, step_key = jax.random.split(key)
    check_start(start)
    state, one = initial(start, method, step_key, watch=True), next(batches(data, batch, order_key))
    step, checked = _step(cost, method, keyed, settle)
    shapes = shapes_of((state.value, one))
    if shapes not in checked:
        check_cost(cost, state.value, (key,) if keyed else (), (one,))
        checked.add(shapes)
    mark = "" if checkpoint is None else _mark(step.lower(state, one).as_text(), (start, data, key), batch)
    plan = _plan(count // batch, epochs, every, mark, checkpoint, evaluate)
    run = _Run(plan, *_resumed(plan, state))
    interrupted = run.go(step, batches(data, batch, order_key, len(run.costs)), progress)
    return run.ended(interrupted)


class _Run:
    """A training under way: what was reached, and what every batch cost."""

    def __init__(self, plan: _Plan, state: State, costs: list[float], metrics: list[Metrics]) -> None:
        self.plan, self.state, self.costs, self.metrics = plan, state, costs, metrics
        self.reports: list[Any] = []  # costs on the device, of steps since `costs` ends

    def go(self, step: Any, feed: Iterator[PyTree], progress: Progress) -> bool:
        """Take the steps that are left; returns whether Ctrl-C ended them."""
        plan, first = self.plan, len(self.costs)
        try:
            with progress(plan.steps) as told:
                for done, one in zip(range(first + 1, plan.steps + 1), feed, strict=False):
                    self.state, report = step(self.state, one)
                    self.reports.append(report.cost)
                    told(done, report)
                    if done % plan.every == 0 or done == plan.steps:
                        # A step that is not finite, or diverged, has left the value as it was.
                        if int(self.state.reason):
                            break
                        self.costs += _numbers(self.reports)
                        self.metrics += _evaluated(plan, self.state)
                        _keep(plan, self.state, self.costs, self.metrics)
        except KeyboardInterrupt:
            return True
        return False

    def ended(self, interrupted: bool) -> Trained:
        """What the caller gets, and a last checkpoint if the end came between two."""
        plan, state = self.plan, self.state
        seen, reason = self.costs + _numbers(self.reports), Reason(int(state.reason))
        costs = seen[: int(state.step)]
        last = seen[min(len(costs), len(seen) - 1)] if seen else float("nan")
        if reason != Reason.GOING_ON and not costs:
            refuse_start(last)
        if len(costs) % plan.every and len(costs) < plan.steps:
            _keep(plan, state, costs, self.metrics)
        stopped = "interrupted" if interrupted else "finished"
        return Trained(
            value=state.best.value if reason == Reason.DIVERGED else state.value,
            history=np.array(costs),
            metrics=tuple(self.metrics),
            steps=len(costs),
            stopped=stopped if reason == Reason.GOING_ON else reason.words,
            why=explained(reason, len(costs), np.array(costs), last),
        )


@lru_cache(maxsize=16)
def _step(
    cost: Cost, method: optax.GradientTransformation, keyed: bool, settle: Settle | None
) -> tuple[Any, set[Any]]:
    """Compiled once for a cost and a method, also over several runs; and the shapes that it was checked with."""
    return compiled(cost, method, keyed, settle, watch=True), set()


def _numbers(reports: list[Any]) -> list[float]:
    """The costs on the host, waited for together; the list is emptied."""
    found = [float(cost) for cost in reports]
    reports.clear()
    return found


def _evaluated(plan: _Plan, state: State) -> list[Metrics]:
    if plan.evaluate is None:
        return []
    values = {name: float(number) for name, number in plan.evaluate(state.value).items()}
    return [Metrics(int(state.step), int(state.step) / plan.epoch, values)]


def _plan(
    epoch: int,
    epochs: float,
    every: int | None,
    mark: str,
    checkpoint: str | os.PathLike[str] | None,
    evaluate: Evaluate | None,
) -> _Plan:
    if not epochs >= 0:
        raise InvalidInput(f"epochs={epochs!r}", "a number of at least 0", "epochs=10")
    if every is not None and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
        raise InvalidInput(f"every={every!r}", "a whole number of steps, 1 or more", f"every={epoch}")
    path = None if checkpoint is None else Path(checkpoint)
    return _Plan(epoch, round(epochs * epoch), every or epoch, mark, path, evaluate)


def _mark(program: str, problem: PyTree, batch: int) -> str:
    """A fingerprint by which a checkpoint knows its problem: the step's program, start, data, key and batches."""
    digest = hashlib.sha256(f"{FORM} {batch} {program}".encode())
    for path, leaf in _leaves(problem):
        array = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _leaves(problem: PyTree) -> Iterator[tuple[Any, Any]]:
    for path, leaf in jax.tree_util.tree_leaves_with_path(problem):
        is_key = hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        yield path, jax.random.key_data(leaf) if is_key else leaf


def _keep(plan: _Plan, state: State, costs: list[float], metrics: list[Metrics]) -> None:
    if plan.checkpoint is not None:
        rows = json.dumps([metric._asdict() for metric in metrics])
        about = {"form": FORM, "problem": plan.mark, "metrics": rows}
        save_tree(plan.checkpoint, {"state": state, "costs": np.array(costs, np.float64)}, about)


def _resumed(plan: _Plan, state: State) -> tuple[State, list[float], list[Metrics]]:
    if plan.checkpoint is None or not plan.checkpoint.exists():
        return state, [], []
    arrays, about = read_file(plan.checkpoint)
    costs = arrays.get("costs", np.zeros(0))
    if about.get("form") != FORM or about.get("problem") != plan.mark or len(costs) > plan.steps:
        raise BadFile(
            f"the checkpoint {plan.checkpoint} is of another training",
            "one of this cost, method, start, data, key and batch size, of no more epochs",
            "another path for this run, or remove the file to begin anew",
        )
    kept = load_tree(plan.checkpoint, {"state": state, "costs": costs})
    metrics = [Metrics(**row) for row in json.loads(about["metrics"])]
    return kept["state"], costs.tolist(), metrics
