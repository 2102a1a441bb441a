"""Values and first derivatives: against the reference, against differences, and against each other."""

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
    inner,
    judge,
    norm,
    not_applicable,
    refused,
    value_and_pull,
)
from diffprog.rules.checks.inquiry import Inquiry
from diffprog.rules.checks.proof import Check
from diffprog.rules.checks.subject import cast, leafwise

NO_REFERENCE = "no reference that JAX can differentiate"


def value(q: Inquiry) -> Check:
    """x_out against the reference: bit for bit, or to rounding."""
    name = "value"
    if isinstance(q.x_out, Refusal):
        return refused(name, q.x_out, q.require_forward)
    if q.reference is None:
        return not_applicable(name, "no reference")
    expected = attempt(q.reference.value, q.arrays)
    if isinstance(expected, Refusal):
        return Check(name, False, detail=f"the reference {expected}")
    kinds = [[f"{y.dtype}{list(y.shape)}" for y in out] for out in (q.x_out, expected)]
    if kinds[0] != kinds[1]:
        return Check(name, False, detail=f"{', '.join(kinds[0])}, the reference gives {', '.join(kinds[1])}")
    if q.exact and all(np.array_equal(a, b, equal_nan=True) for a, b in zip(q.x_out, expected, strict=True)):
        return judge(name, 0.0, 0.0)
    return judge(name, error(q.x_out, expected), 0.0 if q.exact else q.subject.tolerance.value)


def shape_and_type(q: Inquiry) -> Check:
    """Every gradient has its argument's shape, dtype and strong type, in every precision; found without running."""
    name = "shape and type of gradients"
    pull = value_and_pull(q.subject, q.rule.call)
    for dtype in (jax.tree.leaves(q.x)[0].dtype, *q.dtypes):
        arrays, g_out = cast(q.arrays, dtype), cast(q.cotangents[0], dtype)
        out = attempt(jax.eval_shape, q.rule.call, arrays)
        if isinstance(out, Refusal):
            return Check(name, False, detail=f"{jnp.dtype(dtype)} {out}")
        g_out = [jnp.asarray(g, y.dtype) for g, y in zip(g_out, out, strict=True)]
        found = attempt(jax.eval_shape, pull, arrays, g_out)
        if isinstance(found, Refusal):
            return Check(name, False, detail=f"for {jnp.dtype(dtype)} {found}")
        pairs = zip(jax.tree.leaves(found[1]), jax.tree.leaves(q.subject.split(arrays)), strict=True)
        for got, arg in pairs:
            if (got.shape, got.dtype) != (arg.shape, arg.dtype) or getattr(got, "weak_type", False):
                weak = " weak" if getattr(got, "weak_type", False) else ""
                return Check(
                    name, False, detail=f"{got.dtype}{list(got.shape)}{weak} for {arg.dtype}{list(arg.shape)}"
                )
    return judge(name, 0.0, 0.0)


def value_while_differentiating(q: Inquiry, results: dict[str, Any]) -> Check:
    """x_out as vjp, value_and_grad, jvp and linearize return it: the value of the plain call."""
    name = "value while differentiating"
    found = {"vjp": error(q.pulls[0][0], q.x_out)}
    for way in ("jvp", "linearize"):
        if not isinstance(results[way], Refusal):
            found[way] = error(results[way][0], q.x_out)
    if not isinstance(results["value and gradient"], Refusal):
        size = max(abs(q.cost), NEGLIGIBLE * norm(q.x_out), 1e-300)
        found["value_and_grad"] = abs(float(results["value and gradient"][0]) - q.cost) / size / 100
    worst = max(found, key=lambda way: found[way])
    return judge(name, found[worst], q.subject.tolerance.value, f"in {worst}")


def against_autodiff(q: Inquiry) -> Check:
    """g_in against the gradient of the reference, argument by argument."""
    name = "gradient against autodiff"
    if q.expected is None:
        return not_applicable(name, NO_REFERENCE)
    by_argument = {}
    for i, position in enumerate(q.subject.differentiable):
        whole = NEGLIGIBLE * max(norm(e[1]) for e in q.expected)
        by_argument[q.subject.positions[position]] = max(
            error(f[1][i], e[1][i], whole) for f, e in zip(q.pulls, q.expected, strict=True)
        )
    worst = max(by_argument, key=lambda p: by_argument[p])
    return judge(name, by_argument[worst], q.subject.tolerance.autodiff, f"argument {worst}")


def against_differences(q: Inquiry) -> Check:
    """<g_in, v> against (phi(x + h v) - phi(x - h v)) / 2h, phi = <g_out, f>, one argument moving at a time.

    The error is relative to the norm of g_in: |<g_in, v>| has that size for a random v, however many entries it has.
    """
    name = "gradient against differences"
    gradients = [pull[1] for pull in q.pulls]
    measured, where = _differences(q, gradients)
    allowed = q.subject.tolerance.differences
    if measured > allowed and q.subject.stated and q.expected is not None:
        excused = against_autodiff(q).ok and _differences(q, [e[1] for e in q.expected])[0] > allowed
        if excused:
            return not_applicable(
                name, "the reference's own gradient is not its derivative here: by convention"
            )
    return judge(name, measured, allowed, where)


def _differences(q: Inquiry, gradients: list[Any]) -> tuple[float, str]:
    worst, where = 0.0, ""
    step = q.subject.tolerance.step
    total = NEGLIGIBLE * max(_scaled(q, g) for g in gradients)
    for i, position in enumerate(q.subject.differentiable):
        for v, w, g in zip(q.directions, q.cotangents, gradients, strict=True):
            only = tuple(d if j == i else leafwise(np.zeros_like, d) for j, d in enumerate(v))
            ahead, here, behind = (inner(w, q.rule.value(q.moved(only, h))) for h in (step, 0.0, -step))
            size = max(_scaled(q, g, i), total) or 1.0
            distance = abs((ahead - behind) / (2 * step) - inner(g[i], v[i])) / size
            if not distance <= worst:
                bend = abs(ahead - 2 * here + behind) / step / size
                worst, where = distance, f"argument {q.subject.positions[position]}"
                where += ", or a kink within reach" if bend > 1e-2 else ""
    return worst, where


def _scaled(q: Inquiry, gradient: Any, only: int | None = None) -> float:
    """The norm of a gradient in units of its arguments' length scales."""
    scaled = jax.tree.map(lambda g, s: np.asarray(g, np.float64) * s, gradient, q.scales)
    return norm(scaled if only is None else scaled[only])


def linear(q: Inquiry) -> Check:
    """J^T(a g + b g') = a J^T g + b J^T g', and J^T(c g) = c J^T g for c = 2^20 and 2^-20; J^T 0 = 0."""
    name = "linear in the cotangent"
    measured, where = _nonlinearity(q, q.rule.pull)
    allowed = q.subject.tolerance.autodiff
    if measured > allowed and q.subject.stated and q.expected is not None:
        assert q.reference is not None
        if against_autodiff(q).ok and _nonlinearity(q, q.reference.pull)[0] > allowed:
            return not_applicable(name, "the reference's own gradient is not linear: by convention")
    return judge(name, measured, allowed, where)


def _nonlinearity(q: Inquiry, pull: Callable[..., Any]) -> tuple[float, str]:
    w, other = q.cotangents[:2]
    g, g_other = pull(q.arrays, w)[1], pull(q.arrays, other)[1]
    mixtures = {
        "2.5 g - 1.5 g'": (2.5, -1.5),
        "2^20 g": (2.0**20, 0.0),
        "2^-20 g": (2.0**-20, 0.0),
        "0": (0, 0),
    }
    found = {}
    for mixture, (a, b) in mixtures.items():
        together = pull(q.arrays, combine(a, w, b, other))[1]
        # Where autodiff of a kink gives NaN, linearity says nothing about it.
        found[mixture] = error(together, combine(a, g, b, g_other), NEGLIGIBLE * abs(a) * norm(g))
    worst = max(found, key=lambda m: found[m])
    return found[worst], f"at {worst}"


def push_and_pull(q: Inquiry, results: dict[str, Any]) -> Check:
    """<J v, w> = <v, J^T w> for every pair of directions, relative to the size of J^T w."""
    name = "push is the transpose of pull"
    if isinstance(results["jvp"], Refusal):
        return refused(name, results["jvp"], q.require_forward)
    measured = 0.0
    for way in ("jvp", "linearize"):
        if isinstance(results[way], Refusal):
            return refused(name, results[way], q.require_forward)
        v = q.directions[0]
        for w, (_, g) in zip(q.cotangents, q.pulls, strict=True):
            size = max(_scaled(q, g), q.subject.tolerance.value)
            measured = max(measured, abs(inner(results[way][1], w) - inner(v, g)) / size)
    return judge(name, measured, q.subject.tolerance.autodiff, "<J v, w> and <v, J^T w> differ")


def one_argument(q: Inquiry, results: dict[str, Any]) -> Check:
    """Every gradient asked for alone is what it is when all are asked for together."""
    name = "one argument at a time"
    if len(q.x) == 1:
        return not_applicable(name, "there is only one")
    found = {}
    for i, position in enumerate(q.subject.differentiable):
        alone = results[f"alone {i}"]
        if isinstance(alone, Refusal):
            return refused(name, alone, q.require_forward)
        found[q.subject.positions[position]] = error(alone, q.gradient[i], NEGLIGIBLE * norm(q.gradient))
    worst = max(found, key=lambda p: found[p])
    return judge(name, found[worst], q.subject.tolerance.autodiff, f"argument {worst}")
