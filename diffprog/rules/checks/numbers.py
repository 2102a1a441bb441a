"""Numbers out of the ordinary: zeros, saturation, the other sign, NaN, infinity, and lower precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.rules.checks.evidence import Refusal, attempt, error, judge, norm, not_applicable
from diffprog.rules.checks.inquiry import Inquiry
from diffprog.rules.checks.proof import Check
from diffprog.rules.checks.subject import Arrays, cast, leafwise

NO_REFERENCE = "no reference that JAX can differentiate"


def _at(q: Inquiry, x: Any) -> Arrays:
    return q.subject.join(x, q.arrays)


def _zeros(q: Inquiry) -> Iterator[tuple[str, Arrays]]:
    """All arguments 0, and each alone; only the first entry 0."""
    zeros = leafwise(np.zeros_like, q.x)
    yield "0", _at(q, zeros)
    first = [jax.tree.map(lambda a: _put(a, 0.0, 0), part) for part in q.x]
    yield "a 0 among others", _at(q, tuple(first))
    for i, position in enumerate(q.subject.differentiable if len(q.x) > 1 else ()):
        one = tuple(zeros[j] if j == i else part for j, part in enumerate(q.x))
        yield f"argument {q.subject.positions[position]} = 0", _at(q, one)


def _put(leaf: Any, value: float, place: int) -> Any:
    numbers = np.array(leaf)
    if numbers.size:
        numbers.reshape(-1)[place] = value
    return jnp.asarray(numbers, leaf.dtype)


def finite(q: Inquiry) -> Check:
    """At zeros and where functions saturate, value and gradient are finite wherever the reference's are."""
    name = "finite"
    if q.expected is None or q.reference is None or not q.elsewhere:
        parts = jax.tree.leaves(q.pulls[0])
        return judge(
            name, float(sum((~np.isfinite(p)).sum() for p in parts)), 0, "entries, at the given arguments"
        )
    points = dict(_zeros(q)) | {f"{by} times the arguments": q.scaled(by) for by in (1e3, -1e3)}
    lost, where = 0, ""
    for point, arrays in points.items():
        expected, found = (side.pull(arrays, q.cotangents[0]) for side in (q.reference, q.rule))
        if isinstance(expected, Refusal):
            continue
        if isinstance(found, Refusal):
            return Check(name, False, detail=f"at {point}: {found}")
        pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
        missing = sum(int((np.isfinite(e) & ~np.isfinite(f)).sum()) for f, e in pairs)
        if missing > lost:
            lost, where = missing, f"entries, at {point}"
    return judge(name, lost, 0, where)


def other_points(q: Inquiry) -> Check:
    """Value and gradient against the reference at -x, 30 x and x / 1000, where that is finite."""
    name = "other points"
    if q.expected is None or q.reference is None:
        return not_applicable(name, NO_REFERENCE)
    worst, where = 0.0, ""
    for by in (-1.0, 30.0, 1e-3):
        arrays = q.scaled(by)
        expected, found = (side.pull(arrays, q.cotangents[0]) for side in (q.reference, q.rule))
        if isinstance(expected, Refusal) or isinstance(found, Refusal):
            continue
        known = jax.tree.map(lambda f, e: np.where(np.isfinite(e), f, e), found, expected)
        # Where a function saturates its gradient is rounding: small against the gradient at the point itself.
        distance = max(
            error(known[0], expected[0], 1e-3 * norm(q.x_out)), error(known[1], expected[1], 1e-3 * q.size)
        )
        if not distance <= worst:
            worst, where = distance, f"at {by:g} times the arguments"
    return judge(name, worst, 1e4 * q.subject.tolerance.autodiff, where)


def not_a_number(q: Inquiry) -> Check:
    """NaN and infinity in one entry come out where the reference lets them out; NaN in g_out is not lost."""
    name = "NaN and infinity"
    if q.expected is None or q.reference is None:
        return not_applicable(name, NO_REFERENCE)
    for i, position in enumerate(q.subject.differentiable):
        for value in (np.nan, np.inf, -np.inf):
            arrays = _spoiled(q, i, value)
            expected, found = (attempt(side.value, arrays) for side in (q.reference, q.rule))
            if isinstance(expected, Refusal):
                continue
            where = f"{value} in argument {q.subject.positions[position]}"
            if isinstance(found, Refusal):
                return Check(name, False, detail=f"{where}: {found}")
            same = np.isnan if np.isnan(value) else (lambda y: ~np.isfinite(y))
            masks = [(same(f), same(e)) for f, e in zip(found, expected, strict=True)]
            differ = sum(int((f != e).sum()) for f, e in masks)
            if differ:
                reached = _reached(q, i)
                differ = sum(int(((f != e) & r).sum()) for (f, e), r in zip(masks, reached, strict=True))
            if differ:
                return judge(name, differ, 0, f"entries of the value differ, with {where}")
    return _in_the_cotangent(q, name)


def _in_the_cotangent(q: Inquiry, name: str) -> Check:
    """NaN in one entry of g_out reaches those entries of the gradients that depend on it, as in the reference."""
    assert q.reference is not None

    def pull(side: Any, value: float) -> Any:
        return side.pull(q.arrays, [_put(w, value, w.size // 2) for w in q.cotangents[0]])

    expected, found, high, low = (
        pull(q.reference, np.nan), pull(q.rule, np.nan), pull(q.rule, 1e3), pull(q.rule, -1e3)
    )  # fmt: skip
    if isinstance(expected, Refusal) or isinstance(found, Refusal):
        return judge(name, 0, 0)
    wrong = 0
    for f, e, a, b in zip(*(jax.tree.leaves(side[1]) for side in (found, expected, high, low)), strict=True):
        reached = np.asarray(a) != np.asarray(b)
        wrong += int(((np.isnan(f) != np.isnan(e)) & reached).sum())
    return judge(name, wrong, 0, "entries of a gradient differ, with nan in g_out")


def _reached(q: Inquiry, argument: int) -> list[Any]:
    """Which entries of the value depend on the spoiled one.

    Elsewhere either program may have NaN of its own, since 0 NaN = NaN: XLA's from one group of a convolution to all,
    a sum of shifted products from a weight to where it multiplies padding.
    """
    high, low = (q.rule.value(_spoiled(q, argument, value)) for value in (1e3, -7e2))
    sides = zip(high, low, q.x_out, strict=True)
    return [(np.asarray(a) != np.asarray(b)) | (np.asarray(a) != np.asarray(c)) for a, b, c in sides]


def _spoiled(q: Inquiry, argument: int, value: float) -> Arrays:
    parts = list(q.x)
    leaves, tree = jax.tree.flatten(parts[argument])
    leaves[0] = _put(leaves[0], value, leaves[0].size // 2)
    parts[argument] = jax.tree.unflatten(tree, leaves)
    return _at(q, tuple(parts))


def precision(q: Inquiry, dtype: Any) -> Check:
    """In `dtype`: value and gradient are of that type and as near to the exact ones as the reference's are.

    Exact means computed in the precision of the proof, at the same rounded arguments.
    """
    name = jnp.dtype(dtype).name
    low, g_out = cast(q.arrays, dtype), q.cotangents[0]
    exact = q.rule.pull(
        tuple(_back(a, b) for a, b in zip(low, q.arrays, strict=True)), _back(cast(g_out, dtype), g_out)
    )
    found = _in(q, q.rule, low, dtype)
    if isinstance(found, Refusal):
        return Check(name, False, detail=str(found))
    if isinstance(exact, Refusal):
        return Check(name, False, detail=f"at rounded arguments {exact}")
    allowed = 32.0 * float(jnp.finfo(dtype).eps)
    if q.expected is not None and q.reference is not None:
        expected = _in(q, q.reference, low, dtype)
        if not isinstance(expected, Refusal):
            kinds = [[str(y.dtype) for y in jax.tree.leaves(side)] for side in (found, expected)]
            if kinds[0] != kinds[1]:
                return Check(name, False, detail=f"{kinds[0]}, the reference gives {kinds[1]}")
            allowed = max(8.0 * float(jnp.finfo(dtype).eps), 4 * _distance(expected, exact))
    return judge(name, _distance(found, exact), allowed, "from the exact value and gradient")


def _in(q: Inquiry, side: Any, low: Arrays, dtype: Any) -> Any:
    out = attempt(jax.eval_shape, side.call, low)
    if isinstance(out, Refusal):
        return out
    return side.pull(low, [jnp.asarray(w, y.dtype) for w, y in zip(q.cotangents[0], out, strict=True)])


def _back(low: Any, exact: Any) -> Any:
    return leafwise(lambda _, a: a, exact, low)


def _distance(found: Any, exact: Any) -> float:
    """Of the whole value, or the whole gradient: a small part of it may be all rounding."""
    finite = [jax.tree.map(lambda f, e: np.where(np.isfinite(e), np.asarray(f, np.float64) - e, 0), *pair)
              for pair in zip(found, exact, strict=True)]  # fmt: skip
    return max(norm(d) / (norm(e) or 1.0) for d, e in zip(finite, exact, strict=True))
