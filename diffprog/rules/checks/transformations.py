"""What must not change a rule's numbers: vmap over anything, jit, scan, checkpoint, jvp and linearize."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.rules.checks.evidence import (
    NEGLIGIBLE,
    Refusal,
    attempt,
    combine,
    error,
    judge,
    norm,
    not_applicable,
    refused,
    value_and_pull,
)
from diffprog.rules.checks.higher_order import scalar
from diffprog.rules.checks.inquiry import Inquiry
from diffprog.rules.checks.proof import Check
from diffprog.rules.checks.subject import Arrays

SHRINK = (1.0, 15 / 16)  # what the two turns of the scan scale the arguments by


def probes(q: Inquiry) -> dict[str, Callable[..., Any]]:
    """Everything that is compiled with the rule: `(arrays, w, u, v, neighbour, w') -> results`."""
    call, split, join = q.rule.call, q.subject.split, q.subject.join

    def cost(arrays: Arrays, w: Any, u: Any, wrap: Any = lambda f: f) -> Callable[[Arrays], Any]:
        return lambda x: scalar(wrap(call), w, u)(join(x, arrays))

    def scanned(arrays: Arrays, w: Any, u: Any, *_: Any) -> Any:
        def total(x: Arrays) -> Any:
            def step(done: Any, by: Any) -> tuple[Any, None]:
                return done + cost(arrays, w, u)(jax.tree.map(lambda a: a * by.astype(a.dtype), x)), None

            start = jnp.zeros((), jax.eval_shape(cost(arrays, w, u), x).dtype)
            return jax.lax.scan(step, start, jnp.asarray(SHRINK, start.dtype))[0]

        return jax.grad(total)(split(arrays))

    def push(arrays: Arrays, v: Any) -> Any:
        return jax.jvp(lambda x: call(join(x, arrays)), (split(arrays),), (v,))

    def linearize(arrays: Arrays, w: Any, u: Any, v: Any, *_: Any) -> Any:
        x_out, J = jax.linearize(lambda x: call(join(x, arrays)), split(arrays))
        return x_out, J(v)

    def alone(i: int) -> Callable[..., Any]:
        def gradient(arrays: Arrays, w: Any, u: Any, *_: Any) -> Any:
            x = split(arrays)
            return jax.grad(lambda x_i: cost(arrays, w, u)((*x[:i], x_i, *x[i + 1 :])))(x[i])

        return gradient

    found = {
        "value and gradient": lambda a, w, u, *_: jax.value_and_grad(cost(a, w, u))(split(a)),
        "jvp": lambda a, w, u, v, *_: push(a, v),
        "linearize": linearize,
        "scan": scanned,
        "checkpoint": lambda a, w, u, *_: jax.grad(cost(a, w, u, jax.checkpoint))(split(a)),
        "push over tangents": lambda a, w, u, v, *_: jax.vmap(push, (None, 0))(a, _stack(v, _twice(v))),
    }
    if len(q.x) > 1:
        found |= {f"alone {i}": alone(i) for i in range(len(q.x))}
    return found | _mapped(q)


# ---- vmap: over every array alone, over the cotangent alone, over all of them ---------------------------------


def _twice(tree: Any) -> Any:
    return jax.tree.map(lambda a: 2 * a, tree)


def _stack(a: Any, b: Any, axis: int = 0) -> Any:
    return jax.tree.map(lambda p, q: jnp.stack([p, q], axis), a, b)


def _choices(q: Inquiry) -> dict[str, tuple[tuple[int, ...], bool]]:
    """What is mapped over: which arrays, and whether the cotangent is."""
    every = tuple(range(len(q.arrays)))
    alone = () if q.quick else every
    found = {f"argument {q.subject.positions[i]}": ((i,), False) for i in alone}
    return found | {"the cotangent": ((), True), "everything": (every, True)}


def _mapped(q: Inquiry) -> dict[str, Callable[..., Any]]:
    once = value_and_pull(q.subject, q.rule.call)

    def over(which: tuple[int, ...], cotangent: bool) -> Callable[..., Any]:
        def mapped(arrays: Arrays, w: Any, u: Any, v: Any, others: Arrays, w_other: Any) -> Any:
            # Every second argument has its batch axis last: a rule may not count axes from the end either.
            axes = [None if i not in which else -1 if i % 2 else 0 for i in range(len(arrays))]
            batch = tuple(
                a if axis is None else _stack(a, b, axis)
                for a, b, axis in zip(arrays, others, axes, strict=True)
            )
            g_out = _stack(w, w_other) if cotangent else w
            return jax.vmap(once, (tuple(axes), 0 if cotangent else None))(batch, g_out)

        return mapped

    return {f"vmap over {name}": over(*choice) for name, choice in _choices(q).items()}


def vmap(q: Inquiry, results: dict[str, Any]) -> Check:
    """Values and gradients of a batch are those of a loop over it."""
    worst, where = 0.0, ""
    for name, (which, cotangent) in _choices(q).items():
        found = results[f"vmap over {name}"]
        if isinstance(found, Refusal):
            return Check("vmap", False, detail=f"over {name}: {found}")
        second = tuple(
            b if i in which else a for i, (a, b) in enumerate(zip(q.arrays, q.neighbour, strict=True))
        )
        loop = [
            q.rule.pull(q.arrays, q.cotangents[0]),
            q.rule.pull(second, q.cotangents[1 if cotangent else 0]),
        ]
        if any(isinstance(turn, Refusal) for turn in loop):
            continue
        distance = error(found, jax.tree.map(lambda a, b: np.stack([a, b]), *loop))
        if not distance <= worst:
            worst, where = distance, f"over {name}"
    tangents, one = results["push over tangents"], results["jvp"]
    if isinstance(one, Refusal):
        return judge("vmap", worst, q.subject.tolerance.autodiff, where)
    if isinstance(tangents, Refusal):
        return Check("vmap", False, detail=f"over the tangent: {tangents}")
    distance = error(tangents[1], jax.tree.map(lambda a: np.stack([a, 2 * np.asarray(a)]), one[1]))
    if not distance <= worst:
        worst, where = distance, "over the tangent"
    return judge("vmap", worst, q.subject.tolerance.autodiff, where)


# ---- jit, scan, checkpoint ------------------------------------------------------------------------------------


def eager(q: Inquiry) -> Check:
    """Value and gradient of the uncompiled call are those of the compiled one."""
    name = "jit equals eager"
    found = attempt(value_and_pull(q.subject, q.rule.call), q.arrays, q.cotangents[0])
    if isinstance(found, Refusal):
        return refused(name, found, q.require_forward)
    return judge(name, error(found, q.pulls[0]), q.subject.tolerance.autodiff)


def sharded(q: Inquiry) -> Check:
    """Value and gradient of arguments that lie on two devices, half of each leading axis on either."""
    name = "sharded"
    devices = jax.local_devices()[:2]
    if len(devices) < 2:
        return not_applicable(name, "there is only one device")
    mesh = jax.sharding.Mesh(np.array(devices), ("half",))

    def place(leaf: Any) -> Any:
        halves = leaf.ndim > 0 and leaf.shape[0] > 0 and leaf.shape[0] % 2 == 0
        spec = jax.sharding.PartitionSpec("half") if halves else jax.sharding.PartitionSpec()
        return jax.device_put(leaf, jax.sharding.NamedSharding(mesh, spec))

    arrays, g_out = jax.tree.map(place, (q.arrays, q.cotangents[0]))
    found = q.rule.pull(arrays, g_out)
    if isinstance(found, Refusal):
        return refused(name, found, q.require_forward)
    return judge(name, error(found, q.pulls[0]), q.subject.tolerance.autodiff, "over two devices")


def scan(q: Inquiry, results: dict[str, Any]) -> Check:
    """The gradient through a scan of two turns, with the arguments shared by both, is the sum over a loop."""
    if isinstance(results["scan"], Refusal):
        return refused("scan", results["scan"], q.require_forward)
    turns = []
    for by in SHRINK:
        turns.append(q.cost_gradient(q.scaled(by)))
    expected = combine(SHRINK[0], turns[0], SHRINK[1], turns[1])
    return judge(
        "scan", error(results["scan"], expected), q.subject.tolerance.autodiff, "grad of a scan of two"
    )


def checkpoint(q: Inquiry, results: dict[str, Any]) -> Check:
    """The gradient through `jax.checkpoint` is the gradient, and the value beside a gradient changes nothing."""
    for way in ("checkpoint", "value and gradient"):
        if isinstance(results[way], Refusal):
            return refused("checkpoint", results[way], q.require_forward)
    floor = NEGLIGIBLE * norm(q.gradient)
    worst = error(results["checkpoint"], q.gradient, floor)
    return judge("checkpoint", worst, q.subject.tolerance.autodiff, "grad of a checkpoint")
