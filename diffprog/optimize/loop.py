"""The loop: move any pytree downhill on any scalar cost, and never lose what was reached.

One call for all three levels of knowledge: a method asks the cost for values, for gradients, or for second
derivatives, and the result says how often. One step is compiled once; everything it needs is an argument, so nothing
large is baked into the program. A cost or gradient that is not finite, or a cost that rises without end, stops the
run with the last good value kept; Ctrl-C returns what there is. `Stage`s let the cost change along the way (a
different backward rule in the first steps, say).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.optimize.checkpoint import Checkpoint
from diffprog.optimize.method import PyTree, as_method
from diffprog.optimize.outcome import gathered, outcome
from diffprog.optimize.problem import Compiled, check_cost, members_of, prepared, shapes_of, started
from diffprog.optimize.progress import Progress, silent
from diffprog.optimize.result import Result
from diffprog.optimize.run import Callback, Stage, take
from diffprog.optimize.step import Cost, State, initial
from diffprog.optimize.stopping import Stop
from diffprog.optimize.variable import Constraint, Variable, check_start, variable


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
        return outcome(take(list(cost), state, args, progress, callback, checkpoint))
    count, chosen = _count(steps), as_method(method)
    what = variable(start, mask, constraint)
    check_start(start, what.moves)
    moving, fixed = what.split(start)
    made = prepared(cost, chosen, key is not None, stop or Stop(), what, population)
    given = jax.random.key(seed) if key is None else key
    state = started(moving, chosen, given, members_of(moving) if population else None)
    _check(made, chosen, state, key is not None, fixed, args, population)
    run = take([Stage(made.step, count)], state, (fixed, *args), progress, callback, checkpoint)
    return _whole(what, fixed, gathered(run, made, (fixed, *args)) if population else outcome(run))


def _whole(what: Variable, fixed: PyTree, result: Result) -> Result:
    """The result with the leaves that stayed put back beside those that moved."""
    if result.population is None:
        return result._replace(value=what.whole(result.value, fixed))
    members = result.population._replace(values=what.whole_all(result.population.values, fixed))
    return result._replace(value=what.whole(result.value, fixed), population=members)


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
    shapes = shapes_of((state.value, fixed, args))
    if shapes in made.checked:
        return
    one = jax.tree.map(lambda leaf: leaf[0], state) if population else state
    keys = (one.key,) if keyed else ()
    check_cost(made.cost, one.value, keys, (fixed, *args))
    check = getattr(method, "check", None)
    if check is not None:
        check(made.cost, one.value, (*keys, fixed, *args))
    made.checked.add(shapes)


def _count(steps: int | None) -> int:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise InvalidInput(
            f"steps={steps!r}", "a whole number of steps, 0 or more", "optimize(..., steps=500)"
        )
    return steps
