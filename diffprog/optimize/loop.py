"""The loop: move any pytree downhill on any scalar cost, and never lose what was reached.

One step is compiled once; everything it needs is an argument, so nothing large is baked into the program.
A cost or gradient that is not finite stops the run with the last good value kept; Ctrl-C returns what there
is. `stages` lets the cost change along the way (a different backward rule in the first steps, say).
First-order methods come from optax. Black-box and second-order methods are not here yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.optimize.progress import Progress, silent

PyTree = Any
Cost = Callable[..., Any]


class Stage(NamedTuple):
    """A step as `compiled` makes it, and how often to take it."""

    step: Callable[..., tuple[State, Report]]
    steps: int


class State(NamedTuple):
    """Everything a step needs and changes."""

    value: PyTree
    method: PyTree
    key: Array
    step: Array


class Report(NamedTuple):
    """What one step saw: the cost before it moved, the cost's record, and whether all was finite."""

    cost: Array
    record: PyTree
    finite: Array


class Result(NamedTuple):
    """Where a run ended.

    Attributes:
      value: the pytree reached, of the structure it started with.
      history: the cost before every step, [steps].
      records: what the cost reported before every step, stacked along a leading axis of length steps.
      steps: how many steps moved the value.
      stopped: 'finished', 'interrupted' or 'not finite'.
    """

    value: PyTree
    history: np.ndarray
    records: PyTree
    steps: int
    stopped: str


def optimize(
    cost: Cost | Sequence[Stage],
    start: PyTree,
    method: optax.GradientTransformation,
    *,
    steps: int | None = None,
    key: Array | None = None,
    args: tuple[Any, ...] = (),
    progress: Progress = silent,
) -> Result:
    """Minimize a scalar cost over a pytree of floating arrays.

    Args:
      cost: `cost(value, key, *args)`, or `cost(value, *args)` when no key is given, to a scalar or to
        (scalar, record). Or a list of `Stage`s, taken one after the other: give the same stages to
        several runs, and they are compiled once.
      start: any pytree of floating arrays.
      method: an optax gradient transformation.
      steps: how many steps to take; left out when stages say it.
      key: a PRNG key, folded with the step's number for every step; an array of keys is folded key by key.
      args: further arguments of the cost, passed on as they are (parameters, data).
      progress: told of every step; see `diffprog.optimize.progress`.

    Returns:
      A `Result`. A cost that is not finite, and Ctrl-C, end the run early and say so in `stopped`.

    Raises:
      InvalidInput: no steps, a cost that is not a scalar, a start that cannot be differentiated.

    Example:
      >>> import jax.numpy as jnp, optax
      >>> run = optimize(lambda w: (w - 3.0) ** 2, jnp.array(0.0), optax.sgd(0.25), steps=2)
      >>> float(run.value), run.history.tolist(), run.stopped
      (2.25, [9.0, 2.25], 'finished')
    """
    stages = _stages(cost, steps, method, key is not None)
    _check_start(start)
    state = initial(start, method, key)
    reports: list[Report] = []
    stopped = "finished"
    try:
        with progress(sum(stage.steps for stage in stages)) as told:
            for reached, report in _walk(stages, state, args):
                state = reached
                reports.append(report)
                # One step is always in flight: the report looked at is the one before it.
                looked_at = reports[max(0, len(reports) - 2)]
                if not bool(looked_at.finite):
                    break
                told(len(reports), looked_at)
    except KeyboardInterrupt:
        stopped = "interrupted"
    if reports and not bool(reports[-1].finite):
        stopped = "not finite"
    good = reports[: int(state.step)]
    history = np.array([np.asarray(report.cost) for report in good])
    records = jax.tree.map(lambda *rows: np.stack(rows), *(r.record for r in good)) if good else None
    return Result(state.value, history, records, len(good), stopped)


def initial(start: PyTree, method: optax.GradientTransformation, key: Array | None = None) -> State:
    """The state a run starts from."""
    value = jax.tree.map(jnp.asarray, start)
    key = jax.random.key(0) if key is None else key
    return State(value, method.init(value), key, jnp.zeros((), jnp.int32))


def stepper(
    cost: Cost, method: optax.GradientTransformation, keyed: bool = False
) -> Callable[..., tuple[State, Report]]:
    """One pure step `(state, *args) -> (state, report)`, to jit, scan or vmap as you like.

    A step whose cost or gradient is not finite leaves the state as it was.
    """
    method = optax.with_extra_args_support(method)

    def step(state: State, *args: Any) -> tuple[State, Report]:
        keys = (_folded(state.key, state.step),) if keyed else ()

        def scalar(value: PyTree) -> tuple[Array, PyTree]:
            out = cost(value, *keys, *args)
            loss, record = out if isinstance(out, tuple) else (out, None)
            return _scalar(loss), record

        (loss, record), gradient = jax.value_and_grad(scalar, has_aux=True)(state.value)
        updates, moved = method.update(
            gradient, state.method, state.value, value=loss, grad=gradient, value_fn=lambda v: scalar(v)[0]
        )
        finite = _all_finite((loss, gradient))
        moved_on = (optax.apply_updates(state.value, updates), moved, state.step + 1)
        stayed = (state.value, state.method, state.step)
        value, kept, number = jax.tree.map(lambda new, old: jnp.where(finite, new, old), moved_on, stayed)
        return State(value, kept, state.key, number), Report(loss, record, finite)

    return step


def compiled(
    cost: Cost, method: optax.GradientTransformation, keyed: bool = False
) -> Callable[..., tuple[State, Report]]:
    """The step of `stepper`, jitted, for a `Stage`."""
    return jax.jit(stepper(cost, method, keyed))


def _walk(stages: Sequence[Stage], state: State, args: tuple[Any, ...]) -> Iterator[tuple[State, Report]]:
    for stage in stages:
        for _ in range(stage.steps):
            state, report = stage.step(state, *args)
            yield state, report


def _scalar(loss: Any) -> Array:
    if jnp.shape(loss) != ():
        raise InvalidInput(
            f"a cost of shape {jnp.shape(loss)}", "a scalar, or (scalar, record)", "jnp.sum or jnp.mean of it"
        )
    return jnp.asarray(loss)


def _folded(key: Array, step: Array) -> Array:
    if key.ndim == 0:
        return jax.random.fold_in(key, step)
    return jax.vmap(_folded, (0, None))(key, step)


def _all_finite(tree: PyTree) -> Array:
    # A sum of squares is finite only if every term is, and is one pass that fuses; overflow of finite
    # gradients above 1e19 counts as not finite too.
    return jnp.isfinite(sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves(tree)))


def _stages(
    cost: Cost | Sequence[Stage], steps: int | None, method: optax.GradientTransformation, keyed: bool
) -> list[Stage]:
    if not callable(cost):
        return list(cost)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise InvalidInput(
            f"steps={steps!r}", "a whole number of steps, 0 or more", "optimize(..., steps=500)"
        )
    return [Stage(compiled(cost, method, keyed), steps)]


def _check_start(start: PyTree) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(start):
        dtype = jnp.result_type(leaf)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise InvalidInput(
                f"start{jax.tree_util.keystr(path)} of type {dtype}",
                "floating-point leaves, because only those have gradients",
                "convert it with jnp.asarray(leaf, jnp.float32), or keep it out of `start` and in `args`",
            )
