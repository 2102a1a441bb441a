"""Derivatives of derivatives, in every order of the two modes, against the reference or against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from diffprog.rules.checks.evidence import (
    Refusal,
    attempt,
    combine,
    error,
    judge,
    norm,
    not_applicable,
    refused,
    run,
)
from diffprog.rules.checks.inquiry import Inquiry
from diffprog.rules.checks.proof import Check
from diffprog.rules.checks.subject import Arrays, Flat

Probe = Callable[..., Any]
SECOND = ("forward over reverse", "reverse over reverse", "reverse over forward")


def scalar(call: Flat, w: Any, u: Any) -> Callable[[Arrays], Any]:
    """cost(x) = <w, f(x)> + <u, f(x)^2> / 2."""
    return lambda arrays: sum(
        jnp.sum(a * y + 0.5 * b * y * y) for a, b, y in zip(w, u, call(arrays), strict=True)
    )


def dot(a: Any, b: Any) -> Any:
    """<a, b> over all leaves, traced."""
    return sum(jnp.sum(x * y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def probes(q: Inquiry, call: Flat, orders: int) -> dict[str, Probe]:
    """Hessian-vector products three ways and, for the third order, the gradient of v^T H v two ways."""

    def cost(arrays: Arrays, w: Any, u: Any) -> Callable[[Arrays], Any]:
        whole = scalar(call, w, u)
        return lambda x: whole(q.subject.join(x, arrays))

    def fr(arrays: Arrays, w: Any, u: Any, v: Any, *_: Any) -> Any:
        return jax.jvp(jax.grad(cost(arrays, w, u)), (q.subject.split(arrays),), (v,))[1]

    def rr(arrays: Arrays, w: Any, u: Any, v: Any, *_: Any) -> Any:
        return jax.grad(lambda x: dot(jax.grad(cost(arrays, w, u))(x), v))(q.subject.split(arrays))

    def rf(arrays: Arrays, w: Any, u: Any, v: Any, *_: Any) -> Any:
        return jax.grad(lambda x: jax.jvp(cost(arrays, w, u), (x,), (v,))[1])(q.subject.split(arrays))

    def over(second: Probe) -> Probe:
        def third(arrays: Arrays, w: Any, u: Any, v: Any, *_: Any) -> Any:
            return jax.grad(lambda x: dot(second(q.subject.join(x, arrays), w, u, v), v))(
                q.subject.split(arrays)
            )

        return third

    found: dict[str, Probe] = {}
    if orders >= 2:
        found |= dict(zip(SECOND, (fr, rr) if q.quick else (fr, rr, rf), strict=False))
    if orders >= 3:
        found |= {"third": over(fr)}
    return found


def checks(q: Inquiry, results: dict[str, Any]) -> list[Check]:
    """The second order three ways, and the third."""
    if q.orders < 2:
        return []
    data = (q.arrays, q.cotangents[0], q.curvature, q.directions[0])
    wanted = _reference(q, data)
    found = [
        _compare(q, f"second order, {way}", results[way], wanted.get("second"), 2)
        for way in SECOND
        if way in results
    ]
    if q.orders >= 3:
        third = results["third"]
        if isinstance(third, Refusal) and third.forward_mode:
            third = _all_reverse(q, data)
        found.append(_compare(q, "third order", third, wanted.get("third"), 3))
    return found


def _reference(q: Inquiry, data: tuple[Any, ...]) -> dict[str, Any]:
    """The reference's derivatives, as far as JAX can take them."""
    if q.expected is not None and q.reference is not None:
        every = probes(q, q.reference.call, q.orders)
        some = {"second": every["forward over reverse"]} | (
            {"third": every["third"]} if q.orders >= 3 else {}
        )
        found = run(some, *data)
        if not isinstance(found["second"], Refusal):
            return {name: value for name, value in found.items() if not isinstance(value, Refusal)}
    return {}


def _compare(q: Inquiry, name: str, found: Any, expected: Any, order: int) -> Check:
    if isinstance(found, Refusal):
        return refused(name, found, q.require_forward)
    floor = 1e-3 * norm(q.gradient)  # a Hessian that is 0 is so only to the gradient's rounding
    if expected is not None:
        return judge(name, error(found, expected, floor), q.subject.tolerance.autodiff * 10 ** (order - 1))
    if order > 2:
        return not_applicable(name, "no reference that JAX can differentiate that often")
    step = q.subject.tolerance.step
    ahead, behind = (q.cost_gradient(q.moved(q.directions[0], h)) for h in (step, -step))
    differences = combine(0.5 / step, ahead, -0.5 / step, behind)
    allowed = 10 * q.subject.tolerance.differences
    return judge(name, error(found, differences, floor), allowed, "against differences of the gradient")


def _all_reverse(q: Inquiry, data: tuple[Any, ...]) -> Any:
    """The third order without forward mode, for functions that refuse it."""
    again = probes(q, q.rule.call, 2)["reverse over reverse"]

    def third(arrays: Arrays, w: Any, u: Any, v: Any, *_: Any) -> Any:
        return jax.grad(lambda x: dot(again(q.subject.join(x, arrays), w, u, v), v))(q.subject.split(arrays))

    return attempt(jax.jit(third), *data)
