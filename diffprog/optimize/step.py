"""One step, as a pure function of state and data: ask the cost, move, and obey the rules of stopping.

A step that meets a rule, or whose cost or gradient is not finite, leaves everything as it was and says why; so does
every step after it. Nothing here runs a loop: jit, scan or vmap a step as you like.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.optimize.method import PyTree, Seen, as_method, counted, oracle
from diffprog.optimize.stopping import Reason, Stop

Cost = Callable[..., Any]
Projection = Callable[[PyTree], PyTree]
Settle = Callable[[PyTree, PyTree], PyTree]

RISE = 1e6  # a cost this many times the first one (or 1) above the lowest one seen is not coming back
OWN = 0xFFFFFFFE  # folded into the step's key for the method's own draws, so that they are not the cost's


class State(NamedTuple):
    """Everything a step needs and changes.

    Attributes:
      value: where the run is.
      method: what the method remembers.
      key: the run's key, or one key for every independent part of the value.
      step: how many steps moved the value.
      counts: what was asked of the cost so far, int32 [4] in the order of `Counts`.
      reason: a `Reason`; 0 while the run goes on.
      best: the best value so far, where a run watches for divergence; otherwise ().
    """

    value: PyTree
    method: PyTree
    key: Array
    step: Array
    counts: Array
    reason: Array
    best: Any


class Best(NamedTuple):
    """The lowest cost seen, where it was, and the first cost."""

    value: PyTree
    cost: Array
    first: Array


class Report(NamedTuple):
    """What one step saw: the cost before it moved, the cost's record, and the `Reason` why it did not move, or 0."""

    cost: Array
    record: PyTree
    reason: Array


def initial(start: PyTree, method: Any, key: Array | None = None, watch: bool = False) -> State:
    """The state a run starts from; `watch` as given to `stepper`."""
    value = jax.tree.map(strong, start)
    key = jax.random.key(0) if key is None else key
    number = jnp.zeros((), jnp.int32)
    unseen = jnp.full((), jnp.inf, jnp.result_type(*jax.tree.leaves(value), jnp.float32))
    best = Best(value, unseen, unseen) if watch else ()
    return State(
        value,
        jax.tree.map(strong, as_method(method).init(value)),
        key,
        number,
        counted(),
        jnp.zeros((), jnp.int8),
        best,
    )


def strong(leaf: Any) -> Array:
    """The leaf as an array of a firm type; the weak one of a Python number would change in a step and compile anew."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return leaf
    return jnp.asarray(leaf, jnp.result_type(leaf))


def stepper(
    cost: Cost,
    method: Any,
    keyed: bool = False,
    stop: Stop | None = None,
    project: Projection | None = None,
    watch: bool = False,
    settle: Settle | None = None,
) -> Callable[..., tuple[State, Report]]:
    """One pure step `(state, *args) -> (state, report)`, to jit, scan or vmap as you like.

    Args:
      cost: `cost(value, *args)`, or `cost(value, key, *args)` if `keyed`.
      method: an optax transformation or a `Method`.
      keyed: whether the cost takes a key.
      stop: rules of stopping.
      project: applied to the value after every move.
      settle: `(value, record) -> value` after every move, for what the cost itself moves (running averages).
      watch: remember the best value, and stop where the cost rises a million times above it.
    """
    method, stop = as_method(method), stop or Stop()

    def step(state: State, *args: Any) -> tuple[State, Report]:
        key = _folded(state.key, state.step)
        own = _folded(key, jnp.uint32(OWN))
        asked = oracle(cost, (key,) if keyed else (), args, own)
        value, kept, seen = method.step(asked, state.value, state.method)
        value = settle(value, seen.record) if settle else value
        value = project(value) if project else value
        # Where a method knows no gradient, the move itself says whether all was well.
        finite = _all_finite((seen.cost, value if seen.gradient is None else seen.gradient))
        best = _better(state, seen.cost, finite) if watch else ()
        reason = _verdict(stop, state, best, value, seen, finite, project)
        counts = state.counts + seen.counts
        moved = (value, kept, state.step + 1, counts)
        stayed = (
            state.value,
            state.method,
            state.step,
            jnp.where(_asked(state.reason, reason), counts, state.counts),
        )
        going = reason == Reason.GOING_ON
        value, kept, number, counts = jax.tree.map(lambda new, old: jnp.where(going, new, old), moved, stayed)
        report = Report(seen.cost, seen.record, reason)
        return State(value, kept, state.key, number, counts, reason, best), report

    return step


def compiled(
    cost: Cost, method: Any, keyed: bool = False, settle: Settle | None = None, watch: bool = False
) -> Callable[..., tuple[State, Report]]:
    """The step of `stepper`, jitted, for a `Stage`."""
    return jax.jit(stepper(cost, method, keyed, settle=settle, watch=watch))


def _verdict(
    stop: Stop, state: State, best: Any, value: PyTree, seen: Seen, finite: Array, project: Projection | None
) -> Array:
    """The first rule that is met; a run that has stopped stays stopped."""
    met: list[tuple[Reason, Array]] = []
    if stop.evaluations is not None:
        met.append((Reason.EVALUATIONS, jnp.sum(state.counts) >= stop.evaluations))
    met.append((Reason.NOT_FINITE, ~finite))
    if best:
        risen = seen.cost > best.cost + RISE * jnp.maximum(jnp.abs(best.first), 1)
        met.append((Reason.DIVERGED, risen))
    if stop.gradient_norm is not None and seen.gradient is not None:
        met.append((Reason.GRADIENT, _slope(state.value, seen.gradient, project) <= stop.gradient_norm))
    if stop.target is not None:
        met.append((Reason.TARGET, seen.cost <= stop.target))
    if stop.change is not None:
        met.append((Reason.CHANGE, _distance(value, state.value) <= stop.change))
    reason = state.reason
    for code, holds in met:
        reason = jnp.where((reason == Reason.GOING_ON) & holds, jnp.int8(code), reason)
    return reason


def _asked(before: Array, now: Array) -> Array:
    """Whether the questions of a step that did not move still count: those of the step that met a rule do."""
    return (before == Reason.GOING_ON) & (now != Reason.EVALUATIONS)


def _better(state: State, cost: Array, finite: Array) -> Best:
    cost = cost.astype(state.best.cost.dtype)
    lower = finite & (cost < state.best.cost) & (state.reason == Reason.GOING_ON)
    value = jax.tree.map(lambda new, old: jnp.where(lower, new, old), state.value, state.best.value)
    first = jnp.where(state.step == 0, cost, state.best.first)
    return Best(value, jnp.where(lower, cost, state.best.cost), first)


def _slope(value: PyTree, gradient: PyTree, project: Projection | None) -> Array:
    if project is None:
        return _distance(gradient)
    return _distance(value, project(jax.tree.map(jnp.subtract, value, gradient)))


def _distance(a: PyTree, b: PyTree | None = None) -> Array:
    difference = a if b is None else jax.tree.map(jnp.subtract, a, b)
    return jnp.sqrt(sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves(difference)))


def _folded(key: Array, number: Array) -> Array:
    if key.ndim == 0:
        return jax.random.fold_in(key, number)
    return jax.vmap(_folded, (0, None))(key, number)


def _all_finite(tree: PyTree) -> Array:
    # A sum of squares is finite only if every term is, and is one pass that fuses; overflow of finite
    # gradients above 1e19 counts as not finite too.
    return jnp.isfinite(sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves(tree)))
