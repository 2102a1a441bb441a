"""Findings: points at which a derivative does not exist, and what JAX takes in its place.

A kink is met exactly or not at all, so a ReLU between random numbers has none. Only entries count that a cotangent
arrives at. What JAX takes is measured, not looked up: the share of the cotangent that went on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diffprog.graph.diagnosis.findings import Finding, Severity
from diffprog.graph.diagnosis.view import View, wide
from diffprog.graph.node import Node

MUCH = 0.5  # with fewer entries at the kink, the others still say where to go
_CORNER = "a smooth form, such as sqrt(x ** 2 + eps); or nothing, if this is where the cost should be least"
_RELU = "nothing; softplus or a small offset if the first steps must move these units"
_TIES = "logsumexp(k x) / k, which spreads the gradient smoothly; or nothing, if either may be followed"


def kinks(view: View) -> Iterator[Finding]:
    """Nodes with entries exactly at a kink."""
    for number, node, g_out in view.active():
        found = _at_kink(view, node)
        if found is None:
            continue
        at, what, remedy = found
        hit = at & (g_out != 0)
        if not hit.any():
            continue
        share = float(hit.mean())
        severity: Severity = (
            "warning" if share >= MUCH and node.operation not in ("relu", "relu6") else "note"
        )
        sentence = (
            f"The derivative of {node.operation} is undefined {what}, and {_how_many(hit)} "
            f"there. {_convention(view, number, node, g_out, hit)}"
        )
        yield Finding("undefined derivative", severity, node.name, node.source, sentence, remedy, share)


def _at_kink(view: View, node: Node) -> tuple[np.ndarray, str, str] | None:
    """Which entries of the result lie at a kink, where the kink is, and what to do about it."""
    x = view.value(node.inputs[0])
    out = view.value(node.outputs[0])
    if node.primitive == "abs":
        return x == 0, "at 0", _CORNER
    if node.operation in ("relu", "relu6") and x.shape == out.shape:
        return (x == 0) | ((x == 6) & (node.operation == "relu6")), "at its corner", _RELU
    if node.primitive in ("max", "min") and len(node.inputs) == 2:
        other = view.value(node.inputs[1])
        return np.broadcast_to(x == other, out.shape), "where its two operands are equal", _TIES
    if node.primitive in ("reduce_max", "reduce_min"):
        return _ties(x, out), "where the extreme entry is not the only one", _TIES
    if node.primitive == "clamp":
        low, middle, high = (view.value(i) for i in node.inputs)
        return (middle == low) | (middle == high), "at the bounds", _CORNER
    return None


def _ties(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Where more than one entry of x is the extreme one, for reductions over any axes."""
    axes = _reduced(x.shape, out.shape)
    if axes is None:
        return np.zeros(out.shape, bool)
    return (x == np.expand_dims(out, axes)).sum(axis=axes) > 1


def _reduced(whole: tuple[int, ...], rest: tuple[int, ...]) -> tuple[int, ...] | None:
    """The axes of `whole` that are missing in `rest`; None where equal lengths leave it open."""
    if not rest:
        return tuple(range(len(whole)))
    for axes in (range(len(whole) - len(rest), len(whole)), range(len(whole) - len(rest))):
        if tuple(n for k, n in enumerate(whole) if k not in axes) == rest:
            return tuple(axes)
    return None


def _how_many(hit: np.ndarray) -> str:
    if hit.size == 1:
        return "it is"
    if hit.all():
        return f"all of its {hit.size} entries lie"
    return f"{int(hit.sum())} of its {hit.size} entries lie{'s' if hit.sum() == 1 else ''}"


def _convention(view: View, number: int, node: Node, g_out: np.ndarray, hit: np.ndarray) -> str:
    """What JAX does there, in words, from what it did here."""
    if node.primitive in ("reduce_max", "reduce_min"):
        return "JAX shares the gradient equally among the tied entries."
    for k, i in enumerate(node.inputs):
        g_in = view.seen.sent.get((number, k))
        if g_in is not None and g_in.shape == g_out.shape and view.constant(i) is None:
            slopes = np.unique(np.round(wide(g_in)[hit] / g_out[hit], 6))
            if len(slopes) == 1:
                return f"JAX takes the derivative {slopes[0]:g}."
    return "JAX takes one of the derivatives beside it."
