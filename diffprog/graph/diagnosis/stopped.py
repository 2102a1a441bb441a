"""Findings: arguments that get no gradient, and why.

Three ways to get none: the cost does not use the argument; every path is cut by an operation whose derivative is
zero or does not exist by its kind; or a path exists and every number on it happens to be zero.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diffprog.graph.diagnosis.findings import Finding, Severity, listed
from diffprog.graph.diagnosis.reach import Reach, ancestors
from diffprog.graph.diagnosis.view import View
from diffprog.graph.names import is_floating
from diffprog.graph.node import Node
from diffprog.graph.program import Graph

_STEPS = "is a step: its derivative is 0 wherever it exists"
_THROUGH = "a straight-through estimator, x + stop_gradient({name}(x) - x), or a smooth surrogate"
_WHY = {
    "round": (_STEPS, _THROUGH.format(name="round")),
    "floor": (_STEPS, _THROUGH.format(name="floor")),
    "ceil": (_STEPS, _THROUGH.format(name="ceil")),
    "sign": (_STEPS, "tanh(k x), or a straight-through estimator, x + stop_gradient(sign(x) - x)"),
    "argmax": (
        "gives an index, and an index has no derivative",
        "softmax, or logsumexp for the largest value",
    ),
    "argmin": ("gives an index, and an index has no derivative", "softmax of the negative"),
    "stop_gradient": (
        "stops the gradient, by its author's wish",
        "leaving it out, unless this is on purpose",
    ),
    "convert_element_type": (
        "converts to integers or truth values, which have no derivative",
        "staying in floating point; a straight-through estimator, x + stop_gradient(cast(x) - x)",
    ),
}
_COMPARISON = (
    "compares, and the outcome of a comparison is a step: its derivative is 0 wherever it exists",
    "a smooth surrogate: sigmoid(k (a - b)) in place of a > b, with a k to be raised slowly",
)
_COMPARISONS = ("gt", "ge", "lt", "le", "eq", "ne", "is_finite", "and", "or", "not")
_OTHER = ("has no derivative in JAX", "a differentiable operation, or a custom derivative (jax.custom_jvp)")


def structural(graph: Graph, reach: Reach) -> Iterator[Finding]:
    """Arguments whose gradient is zero whatever the numbers."""
    labels = dict(zip(graph.inputs, graph.input_names, strict=True))
    if not any(is_floating(graph.values[i]) for i in graph.inputs):
        yield Finding(
            "no gradient",
            "error",
            "output",
            None,
            "No argument is made of floating-point numbers, so there is nothing to take a derivative in.",
            "passing what is to be optimized as a floating-point argument",
        )
    unused = [i for i, cuts in reach.cuts.items() if not cuts and not _is_result(graph, i)]
    whole = [i for i in unused if _argument_of(graph, i) <= {*unused}]
    yield from _unused([labels[i] for i in whole], "warning", "using it, or leaving it out of the arguments")
    parts = [labels[i] for i in unused if i not in whole]
    yield from _unused(parts, "note", "nothing where it is meant, as with running averages in training")
    together: dict[tuple[Node, ...], list[str]] = {}
    for i, cuts in reach.cuts.items():
        if cuts:
            together.setdefault(cuts, []).append(labels[i])
    for cuts, names in together.items():
        yield _cut(cuts, names)


def _unused(names: list[str], severity: Severity, remedy: str) -> Iterator[Finding]:
    if names:
        sentence = f"The cost does not depend on {listed(names)} at all, so the gradient is 0 there."
        yield Finding("unused argument", severity, ", ".join(names), None, sentence, remedy)


def _argument_of(graph: Graph, i: int) -> set[int]:
    """The floating-point leaves of the argument that a leaf belongs to."""
    start = 0
    for tree in graph.in_tree.children():
        leaves = graph.inputs[start : start + tree.num_leaves]
        if i in leaves:
            return {leaf for leaf in leaves if is_floating(graph.values[leaf])}
        start += tree.num_leaves
    return {i}


def _is_result(graph: Graph, i: int) -> bool:
    return i in ancestors(graph, graph.outputs)


def _cut(cuts: tuple[Node, ...], names: list[str]) -> Finding:
    first = cuts[0]
    why, remedy = _reason(first)
    others = [f"{node.name} ({node.source})" if node.source else node.name for node in cuts[1:]]
    also = f" The other paths end at {listed(others)}." if others else ""
    sentence = (
        f"Every path from {listed(names)} to the cost is cut, so the gradient is 0 there whatever the numbers: "
        f"{first.operation} {why}.{also}"
    )
    return Finding("no gradient", "warning", first.name, first.source, sentence, remedy)


def _reason(node: Node) -> tuple[str, str]:
    if node.primitive in _COMPARISONS:
        return _COMPARISON
    if node.primitive in ("scan", "while", "cond") or node.operation not in (node.primitive, *_WHY):
        return (
            "holds a step, an integer or a stop_gradient through which all of it goes",
            "looking inside for round, sign, comparisons, integer conversions and stop_gradient",
        )
    return _WHY.get(node.primitive, _OTHER)


def numerical(view: View, others: list[Finding]) -> Iterator[Finding]:
    """Arguments whose gradient is all zeros here although a path exists, unless another finding explains it."""
    known = [i for i in view.graph.inputs if i in view.seen.cotangents and view.seen.cotangents[i].size]
    zero = [view.labels[i] for i in known if not np.any(view.seen.cotangents[i])]
    explained = any(f.severity != "note" for f in others) or any(f.kind == "conditioning" for f in others)
    if not zero or explained:
        return
    node = view.cost_node
    yield Finding(
        "zero gradient",
        "warning" if len(zero) == len(known) else "note",
        node.name if node else "output",
        node.source if node else None,
        f"The gradient with respect to {listed(zero)} is exactly 0 at these values, although a path exists.",
        "another starting point, if this is no minimum; operations that are not flat in place of those that are",
    )
