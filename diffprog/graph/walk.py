"""One walk through a program, forward and back, of which every array is kept.

terms[x]   what each use of x sends back
g[x]       their sum
sent       g[x_out] times the node's Jacobian, by the node's own rule, for each operand that an edge leads to

The edges to go back along are given. A node that cannot be gone back through is told of, with JAX's reason, and sends
nothing. What to make of the arrays is not decided here, but in `sweeps` and `diagnosis`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.graph.names import is_floating
from diffprog.graph.node import Node
from diffprog.graph.program import Graph

Edges = Mapping[int, Sequence[int]]  # by node: the places of the operands that a gradient goes on to
Unable = Callable[[int, Exception], None]  # is told which node cannot be gone back through, and why
NO_DERIVATIVE = (TypeError, ValueError, NotImplementedError)  # how JAX says it


class Walked(NamedTuple):
    """The arrays of a walk; none of them twice.

    Attributes:
        values: by number, what the nodes compute.
        sent: by node, the cotangents of the operands at the places of its edges; of nodes that sent any.
        sums: by number, the cotangent of every value that several uses sent one back to.
    """

    values: dict[int, Any]
    sent: dict[int, list[Any]]
    sums: dict[int, Any]


def walk(graph: Graph, edges: Edges, leaves: Sequence[Any], unable: Unable) -> Walked:
    """Go through a program forward and back, in one compiled program.

    Args:
        graph: a function with one scalar result.
        edges: where to go back along; nodes that have none are only run.
        leaves: its arguments, in the order of `graph.inputs`.
        unable: is told, while the program is compiled, of nodes that have no reverse mode.
    """

    @jax.jit
    def both_ways(leaves: Sequence[Any], consts: Sequence[Any]) -> Walked:
        given_values = given(graph, leaves, consts)
        computed, pulls = _forward(graph, edges, given_values, unable)
        return Walked(computed, *_back(graph, edges, {**given_values, **computed}, pulls, unable))

    return both_ways(leaves, graph.consts)


def given(graph: Graph, leaves: Sequence[Any], consts: Sequence[Any]) -> dict[int, Any]:
    """The values that no node computes, by number: literals, arguments, and what the function closed over."""
    values = dict(graph.literals)
    values.update(zip(graph.inputs, leaves, strict=True))
    values.update(zip(graph.closed_over, consts, strict=True))
    return values


def received(graph: Graph, edges: Edges, walked: Walked, cost: Any) -> dict[int, list[tuple[int, Any]]]:
    """By value, the terms that it received, with the node that sent each, the last first; -1 stands for the cost."""
    terms: dict[int, list[tuple[int, Any]]] = {graph.outputs[0]: [(-1, jnp.ones_like(cost))]}
    for number in sorted(walked.sent, reverse=True):
        for k, cotangent in zip(edges[number], walked.sent[number], strict=True):
            terms.setdefault(graph.nodes[number].inputs[k], []).append((number, cotangent))
    return terms


def summed(walked: Walked, terms: Mapping[int, Sequence[tuple[int, Any]]]) -> dict[int, Any]:
    """By value, its cotangent: the sum of its terms, or the only one."""
    return {i: walked.sums.get(i, some[0][1]) for i, some in terms.items()}


def _forward(
    graph: Graph, edges: Edges, known: Mapping[int, Any], unable: Unable
) -> tuple[dict[int, Any], dict[int, Any]]:
    """What the nodes compute, and their own backward rules as functions of cotangents."""
    values, computed, pulls = dict(known), dict[int, Any](), dict[int, Any]()
    for number, node in enumerate(graph.nodes):
        operands, results = [values[i] for i in node.inputs], None
        if edges.get(number):
            try:
                results, pulls[number] = _linearized(node, operands, edges[number])
            except NO_DERIVATIVE as error:
                unable(number, error)
        found = dict(zip(node.outputs, node.apply(*operands) if results is None else results, strict=True))
        computed.update(found)
        values.update(found)
    return computed, pulls


def _linearized(node: Node, operands: Sequence[Any], places: Sequence[int]) -> tuple[Sequence[Any], Any]:
    def local(*live: Any) -> tuple[Any, ...]:
        filled = list(operands)
        for k, x in zip(places, live, strict=True):
            filled[k] = x
        return tuple(node.apply(*filled))

    results, pull = jax.vjp(local, *(jnp.asarray(operands[k]) for k in places))
    return results, pull


def _back(
    graph: Graph, edges: Edges, values: Mapping[int, Any], pulls: Mapping[int, Any], unable: Unable
) -> tuple[dict[int, list[Any]], dict[int, Any]]:
    """What each node sends back, and the sums of several terms."""
    totals: dict[int, Any] = {graph.outputs[0]: jnp.ones_like(values[graph.outputs[0]])}
    sent, sums = dict[int, list[Any]](), dict[int, Any]()
    for number in sorted(pulls, reverse=True):
        node = graph.nodes[number]
        if totals.keys().isdisjoint(node.outputs):
            continue
        arriving = tuple(totals[i] if i in totals else _nothing(graph, i, values[i]) for i in node.outputs)
        try:
            sent[number] = list(pulls[number](arriving))
        except NO_DERIVATIVE as error:
            unable(number, error)
            continue
        for k, cotangent in zip(edges[number], sent[number], strict=True):
            i = node.inputs[k]
            if i in totals:
                sums[i] = totals[i] = totals[i] + cotangent
            else:
                totals[i] = cotangent
    return sent, sums


def _nothing(graph: Graph, i: int, value: Any) -> Any:
    """The cotangent of a result that the cost does not depend on; integers and keys have JAX's own zero."""
    if is_floating(graph.values[i]):
        return jnp.zeros_like(value)
    return np.zeros(graph.values[i].shape, jax.dtypes.float0)
