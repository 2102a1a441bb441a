"""The backward sweep itself: where it goes, and what it finds there.

It goes to every node between the arguments and the cost, and back along the edges to operands that an argument
reaches. `walk` has the mathematics; a node that cannot be gone back through is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from diffprog.errors import DiffprogError, InvalidInput
from diffprog.graph.names import is_floating
from diffprog.graph.node import Node
from diffprog.graph.program import Graph
from diffprog.graph.walk import given, received, summed, walk

# Floating-point results whose derivative is zero by definition: JAX sends nothing back through them.
_PASS_NOTHING = frozenset({"sign", "floor", "ceil", "round", "nextafter", "stop_gradient"})


class Plan(NamedTuple):
    """Where the sweep goes, known before it starts."""

    live: frozenset[int]  # values that an argument with a gradient reaches
    nodes: tuple[int, ...]  # nodes that it comes to, from the cost back
    edges: Mapping[int, tuple[int, ...]]  # for each of them, the places of the operands that it goes on to
    serves: Mapping[int, int]  # and how many arguments lie behind those
    paths: Mapping[int, int]  # for each edge the arguments behind it, added up

    @property
    def naive_products(self) -> int:
        """Vector-Jacobian products if every argument went through the chain rule on its own."""
        return sum(self.paths.values())


class Sweep(NamedTuple):
    """Every array of a sweep, by the number of its value or node."""

    values: dict[int, Any]
    sent: dict[int, list[Any]]  # by node: the cotangents of the operands at the places of its edges
    terms: dict[int, list[tuple[int, Any]]]  # (the node that sent it, -1 for the cost itself; cotangent)
    totals: dict[int, Any]


def plan_sweep(graph: Graph) -> Plan:
    """Find the nodes between the arguments and the cost, and the edges that a gradient goes back along."""
    behind = {i: frozenset([i]) for i in graph.inputs if is_floating(graph.values[i])}
    for node in graph.nodes:
        arguments = frozenset().union(*(behind.get(i, frozenset()) for i in node.inputs))
        if arguments:
            behind.update((i, arguments) for i in node.outputs if is_floating(graph.values[i]))
    wanted, edges = set(graph.outputs), {}
    for number in reversed(range(len(graph.nodes))):
        node = graph.nodes[number]
        if any(i in wanted and i in behind for i in node.outputs):
            passes = node.primitive not in _PASS_NOTHING
            edges[number] = tuple(k for k, i in enumerate(node.inputs) if passes and i in behind)
            wanted.update(node.inputs[k] for k in edges[number])
    reached = {n: [behind[graph.nodes[n].inputs[k]] for k in edges[n]] for n in edges}
    return Plan(
        live=frozenset(behind),
        nodes=tuple(edges),
        edges=edges,
        serves={n: len(frozenset().union(*sets)) for n, sets in reached.items()},
        paths={n: sum(map(len, sets)) for n, sets in reached.items()},
    )


def sweep(graph: Graph, plan: Plan, leaves: Sequence[Any]) -> Sweep:
    """Run a graph forward and back, and keep everything.

    Args:
        graph: a function with one scalar result.
        plan: where to go.
        leaves: its arguments, in the order of `graph.inputs`.

    Raises:
        InvalidInput: a node on the way has no reverse mode, or its own rule fails.
    """
    walked = walk(graph, plan.edges, leaves, lambda number, error: _refuse(graph.nodes[number], error))
    values = {**given(graph, leaves, graph.consts), **walked.values}
    values.update((i, jnp.asarray(literal)) for i, literal in graph.literals.items())
    terms = received(graph, plan.edges, walked, values[graph.outputs[0]])
    totals = summed(walked, terms)
    reached = {i for n in plan.nodes for i in graph.nodes[n].outputs} | plan.live.intersection(graph.inputs)
    for i in reached - totals.keys():
        if is_floating(graph.values[i]):
            totals[i] = jnp.zeros_like(values[i])
    return Sweep(values, {n: walked.sent.get(n, []) for n in plan.nodes}, terms, totals)


def _refuse(node: Node, error: Exception) -> None:
    """Say which node it is that has no reverse mode, or whose own rule fails."""
    if isinstance(error, DiffprogError):
        raise error
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    raise InvalidInput(
        f"{node.name}{f' at {node.source}' if node.source else ''}, which cannot be gone back through: {reason}",
        "operations with a reverse mode: most have one, a loop of unknown length has not",
        "jax.lax.scan, or fori_loop with a fixed number of steps; for a rule of your own, diffprog.rules.check",
    ) from error
