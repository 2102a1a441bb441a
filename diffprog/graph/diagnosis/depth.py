"""Findings: cotangents that vanish or explode on their way back through many layers.

The longest path from the arguments to the cost is followed; its layers are products of matrices and convolutions,
or where there are few of those, all operations that compute. The rate is the median factor by which the norm of
the total cotangent changes from one layer to the one before, so that one pooling or one mean does not count. A
skip connection is in these norms: they are of all that arrives at a value.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diffprog.graph.diagnosis.findings import Finding
from diffprog.graph.diagnosis.view import COPIES, View, is_heavy, norm
from diffprog.graph.node import Node

FEWEST = {True: 5, False: 8}  # layers from which there is a depth to speak of: heavy ones, or any
TOTAL = 1e4  # factor between the first and the last layer from which it is reported
RATE = 1.4  # and the factor a layer that goes with it
_SHAPING = (
    *COPIES,
    "slice",
    "concatenate",
    "pad",
    "rev",
    "gather",
    "dynamic_slice",
    "reduce_sum",
    "neg",
    "select_n",
)
_VANISHING = (
    "residual connections, normalization, ReLU in place of sigmoid, initial weights of a scale that keeps variances "
    "(He for ReLU, Glorot for tanh)"
)
_EXPLODING = (
    "normalization, a smaller initial scale, gradient clipping (optax.clip_by_global_norm), fewer repeats"
)


def depth(view: View) -> Iterator[Finding]:
    """Whether the norm of the cotangent falls or grows steadily along the longest path."""
    for heavy in (True, False):
        layers = _layers(view, heavy)
        if len(layers) >= FEWEST[heavy]:
            yield from _judge(layers, [norm(view.seen.cotangents[node.outputs[0]]) for node in layers])
            return


def _layers(view: View, heavy: bool) -> list[Node]:
    """The layers on the path to the cost that has most of them, first to last."""
    count: dict[int, int] = {}
    before: dict[int, Node | None] = {}
    for node in view.graph.nodes:
        live = [i for i in node.inputs if i in view.reach.active]
        out = node.outputs[0]
        if live and out in view.reach.active and out in view.seen.cotangents:
            best = max(live, key=lambda i: count.get(i, 0))
            counts = is_heavy(node) if heavy else node.primitive not in _SHAPING
            for i in node.outputs:
                count[i], before[i] = count.get(best, 0) + counts, node if counts else before.get(best)
            before[-1 - out] = before.get(best)
    layers = []
    node_now = before.get(view.graph.outputs[0])
    while node_now is not None:
        layers.append(node_now)
        node_now = before[-1 - node_now.outputs[0]]
    return layers[::-1]


def _judge(layers: list[Node], norms: list[float]) -> Iterator[Finding]:
    known = [(node, size) for node, size in zip(layers, norms, strict=True) if 0 < size < np.inf]
    if len(known) < 4:
        return
    sizes = np.array([size for _, size in known])
    rate = float(np.exp(np.median(np.diff(np.log(sizes[::-1])))))
    total = float(sizes[0] / sizes[-1])
    steady = rate ** (len(sizes) - 1)
    if total < 1 / TOTAL and steady < 1 / np.sqrt(TOTAL) and rate < 1 / RATE:
        yield _finding("vanishing gradient", known, rate, norms[0] == 0, _VANISHING)
    elif total > TOTAL and steady > np.sqrt(TOTAL) and rate > RATE:
        yield _finding("exploding gradient", known, rate, norms[0] == np.inf, _EXPLODING)


def _finding(kind: str, known: list[tuple[Node, float]], rate: float, lost: bool, remedy: str) -> Finding:
    (first, small), (last, large) = known[0], known[-1]
    end = f" Before {first.name} it is beyond what the type can hold." if lost else ""
    sentence = (
        f"Going back through {len(known)} layers, from {last.name} to {first.name}, the norm of the "
        f"cotangent goes from {large:.2g} to {small:.2g}: a factor {rate:.2g} a layer.{end}"
    )
    return Finding(kind, "warning", first.name, first.source, sentence, remedy, rate)
