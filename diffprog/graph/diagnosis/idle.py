"""Findings: units that pass no gradient, or next to none, for any example at hand.

A unit is one entry of the last axis; everything before it (examples, positions) is the batch. A unit is dead if
its ReLU is off for the whole batch; a healthy one is off for half of it, and many rest when there are few examples,
so a layer is sick only if nearly all its units are dead. An entry is saturated if the slope of its tanh or sigmoid
is below a hundredth of the largest; a layer is sick if nearly all its entries are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diffprog.graph.diagnosis.findings import Finding, percent
from diffprog.graph.diagnosis.view import View, is_heavy
from diffprog.graph.node import Node

SICK = 0.9  # share of units from which a layer is reported as sick
FEW = 8  # examples, below which healthy units may well all rest but a few; then only a whole layer counts
WORTH_A_NOTE = 0.5
FLAT = 0.01  # of the largest slope: tanh beyond 3, sigmoid beyond 6
ONE_HOT = 0.999  # a softmax with this much on one entry
_DEAD = "a smaller step, a positive start of the bias, He initialization, normalization, a leaky ReLU"
_SATURATED = "a smaller initial scale, normalization before it, standardized inputs, or another activation"
_SHARP = "dividing its operand by a temperature, or by sqrt(d) as attention does; normalization"


def idle(view: View) -> Iterator[Finding]:
    """Layers of units that are dead, saturated or one-hot."""
    for number, node, _ in view.active():
        off = _off(view, node)
        slope = _slope(view, node)
        if off is not None:
            yield from _units(view, node, off, "dead units", _DEAD)
        elif slope is not None and not _gates_itself(view, node):
            yield from _units(view, node, slope < FLAT, "saturated units", _SATURATED)
        elif _is_softmax(view, node):
            yield from _one_hot(view, number, node)


def _off(view: View, node: Node) -> np.ndarray | None:
    """Where a ReLU, however it is written, or a bound passes nothing."""
    x = view.value(node.inputs[0])
    if node.operation in ("relu", "relu6") and len(node.inputs) == 1:
        return (x <= 0) | (x >= (6 if node.operation == "relu6" else np.inf))
    if node.primitive in ("max", "min") and len(node.inputs) == 2:
        for k in (0, 1):
            bound = view.constant(node.inputs[1 - k])
            if bound is not None and node.inputs[k] in view.reach.active:
                x = view.value(node.inputs[k])
                return x < bound if node.primitive == "max" else x > bound
    return None


def _slope(view: View, node: Node) -> np.ndarray | None:
    """Slope of a saturating function over its largest slope."""
    x, out = view.value(node.inputs[0]), view.value(node.outputs[0])
    if len(node.inputs) != 1 or x.shape != out.shape:
        return None
    if node.operation == "tanh":
        return 1 - out**2
    if node.operation in ("logistic", "sigmoid"):
        return 4 * out * (1 - out)
    if node.operation == "erf":
        return np.exp(-np.minimum(x**2, 80.0))
    return None


def _units(view: View, node: Node, flat: np.ndarray, kind: str, remedy: str) -> Iterator[Finding]:
    units = flat.reshape(-1, flat.shape[-1]).all(axis=0) if flat.ndim > 1 else flat.ravel()
    if not units.size:
        return
    dead, entries = float(units.mean()), float(flat.mean())
    share = dead if kind == "dead units" else entries
    if share < (WORTH_A_NOTE if flat.size > units.size else SICK):
        return
    few = kind == "dead units" and (flat.ndim < 2 or len(flat) < FEW)
    sick = share >= (1 if few else SICK) and _inside(view, node)
    sentence = f"{percent(dead).capitalize()} of its {units.size} units are {_state(kind, flat)}."
    if dead < 1:
        sentence += f" Of the single entries, {percent(entries)} are."
    advice = remedy if sick else "more examples, to see whether these units are off for good"
    yield Finding(kind, "warning" if sick else "note", node.name, node.source, sentence, advice, share)


def _state(kind: str, flat: np.ndarray) -> str:
    for_all = (
        "" if flat.ndim < 2 else " for every example and position" if flat.ndim > 2 else " for every example"
    )
    return (
        f"off{for_all}, so no gradient passes"
        if kind == "dead units"
        else f"flat{for_all}, with next to no slope"
    )


def _inside(view: View, node: Node) -> bool:
    """Whether weights come after it: a hidden layer, not a hinge loss that is satisfied or a clipped result."""
    return any(is_heavy(later) for later in view.downstream(node.outputs[0], lambda _: True)) or (
        view.graph.values[node.outputs[0]].shape != () and node.operation not in ("max", "min", "relu")
    )


def _gates_itself(view: View, node: Node) -> bool:
    """Whether the result multiplies what it was computed from, as in GELU and SiLU, which pass gradients when open."""
    before: set[int] = set()
    waiting = [node.inputs[0]]
    while waiting:
        i = waiting.pop()
        producer = view.producers.get(i)
        if i not in before:
            before.add(i)
            if producer is not None and view.same_shape(producer):
                waiting += producer.inputs
    active = before & view.reach.active
    products = view.downstream(
        node.outputs[0], lambda later: view.same_shape(later) and later.primitive != "mul"
    )
    second = [
        later
        for product in products
        if product.primitive == "mul"
        for later in (product, *_next(view, product))
    ]
    return any(active.intersection(product.inputs) for product in second if product.primitive == "mul")


def _next(view: View, node: Node) -> list[Node]:
    return view.consumers.get(node.outputs[0], [])


def _is_softmax(view: View, node: Node) -> bool:
    if node.operation == "softmax":
        return True
    if node.primitive != "div":
        return False
    above, below = (view.producers.get(view.origin(i)) for i in node.inputs)
    return (
        above is not None
        and below is not None
        and above.primitive == "exp"
        and below.primitive == "reduce_sum"
        and below.inputs[0] == above.outputs[0]
    )


def _one_hot(view: View, number: int, node: Node) -> Iterator[Finding]:
    out = view.value(node.outputs[0])
    below = view.graph.values[node.inputs[-1]].shape if node.primitive == "div" else (1,)
    axis = next((k for k in range(-1, -len(below) - 1, -1) if below[k] == 1 and out.shape[k] > 1), -1)
    rows = out.max(axis=axis) > ONE_HOT
    share = float(rows.mean()) if rows.size else 0.0
    whole = view.downstream(node.outputs[0], lambda later: not is_heavy(later))
    if share <= WORTH_A_NOTE or out.shape[axis] < 2 or any(later.primitive == "log" for later in whole):
        return  # the logarithm of a softmax has a slope however sharp the softmax is
    sentence = (
        f"Of its {rows.size} distributions over {out.shape[axis]} entries, {percent(share)} have more than "
        f"{ONE_HOT} on one entry, where softmax has next to no slope."
    )
    yield Finding("saturated softmax", "warning", node.name, node.source, sentence, _SHARP, share)
