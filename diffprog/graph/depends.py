"""What of a program depends on a value, and where the derivative ends on the way.

A loop or a branch counts as one operation all of whose results depend on all of its operands.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from diffprog.graph.names import is_floating
from diffprog.graph.node import Node
from diffprog.graph.overriding.recognize import Overridden
from diffprog.graph.program import Graph

FLAT = frozenset({"stop_gradient", "round", "floor", "ceil", "sign"})  # floating results, derivative zero


class Reach(NamedTuple):
    """What depends on a value.

    Attributes:
      values: numbers of the values whose derivative by it may be other than zero; it is one of them.
      all: these, and those that depend on it by steps only.
      ends: the operations at which the derivative becomes zero, in order.
    """

    values: frozenset[int]
    all: frozenset[int]
    ends: tuple[Node, ...]


def reach(graph: Graph, start: int, cut: Collection[int] = ()) -> Reach:
    """What depends on the value `start`, where the values in `cut` depend on nothing."""
    moved, changed, ends = {start}, {start}, []
    for node in graph.nodes:
        if changed.isdisjoint(node.inputs):
            continue
        results = [i for i in node.outputs if i not in cut and i != start]
        changed.update(results)
        smooth = set() if _is_flat(node) else {i for i in results if is_floating(graph.values[i])}
        if not moved.isdisjoint(node.inputs):
            moved.update(smooth)
            if results and not smooth:
                ends.append(node)
    return Reach(frozenset(moved), frozenset(changed), tuple(ends))


def _is_flat(node: Node) -> bool:
    return node.primitive in FLAT and not isinstance(node.apply, Overridden)
