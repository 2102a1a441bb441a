"""Find the residual sums of a program, whatever its blocks are called.

    x_out = x_in + f(x_in)

A residual sum is an addition of two arrays of one shape, one of which, the branch, is computed from the other, the
shortcut, by a convolution or a product with weights among other things. So the x + 0.04 x^3 of a GELU is none, nor is
the sum of a bias, a position's embedding, or two projections. The insides of loops are not looked into.
"""

from __future__ import annotations

from typing import NamedTuple

from diffprog.graph.names import is_floating
from diffprog.graph.node import Node
from diffprog.graph.program import Graph

MIXING = ("conv", "convolution", "dot", "linear", "attention")


class Residual(NamedTuple):
    """A residual sum.

    Attributes:
        node: the addition.
        branch: which of its two operands is the branch, 0 or 1.
    """

    node: Node
    branch: int


def residual_sums(graph: Graph) -> list[Residual]:
    """All residual sums of a graph, in order of computation."""
    found = []
    for place, node in enumerate(graph.nodes):
        if node.primitive != "add" or not is_floating(graph.values[node.outputs[0]]):
            continue
        if len({graph.values[i] for i in (*node.inputs, *node.outputs)}) > 1:
            continue
        for branch in (0, 1):
            if _is_branch(graph, place, node.inputs[branch], node.inputs[1 - branch]):
                found.append(Residual(node, branch))
    return found


def _is_branch(graph: Graph, place: int, branch: int, x_in: int) -> bool:
    """Whether the nodes before `place` compute the one value from the other, with weights on the way."""
    if branch == x_in:
        return False
    plain, mixed = {x_in}, set[int]()
    for node in graph.nodes[:place]:
        if not mixed.isdisjoint(node.inputs) or (not plain.isdisjoint(node.inputs) and _mixes(node)):
            mixed.update(node.outputs)
        elif not plain.isdisjoint(node.inputs):
            plain.update(node.outputs)
    return branch in mixed


def _mixes(node: Node) -> bool:
    bodies = node.bodies().values() if node.bodies else ()
    return node.operation in MIXING or any(_mixes(inner) for body in bodies for inner in body.nodes)
