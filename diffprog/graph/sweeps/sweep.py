"""The backward sweep itself: where it goes, and one compiled program that goes there and keeps every array.

terms[x]   what each use of x sends back
g[x]       their sum
sent       g[x_out] times the node's Jacobian, by the node's own rule, for each operand that an argument reaches
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.errors import DiffprogError, InvalidInput
from diffprog.graph.names import is_floating
from diffprog.graph.node import Node
from diffprog.graph.program import Graph

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
    """
    compiled = jax.jit(lambda leaves, consts: _run(graph, plan, leaves, consts))
    computed, sent, sums = compiled(leaves, graph.consts)
    values = {i: jnp.asarray(literal) for i, literal in graph.literals.items()}
    values.update(zip(graph.closed_over, graph.consts, strict=True))
    values.update(zip(graph.inputs, leaves, strict=True))
    values.update(computed)
    terms = _terms(graph, plan, sent, values[graph.outputs[0]])
    totals = {i: sums.get(i, of_one[0][1]) for i, of_one in terms.items()}
    reached = {i for n in plan.nodes for i in graph.nodes[n].outputs} | plan.live.intersection(graph.inputs)
    for i in reached - totals.keys():
        if is_floating(graph.values[i]):
            totals[i] = jnp.zeros_like(values[i])
    return Sweep(values, sent, terms, totals)


def _terms(
    graph: Graph, plan: Plan, sent: Mapping[int, Sequence[Any]], cost: Any
) -> dict[int, list[tuple[int, Any]]]:
    terms: dict[int, list[tuple[int, Any]]] = {graph.outputs[0]: [(-1, jnp.ones_like(cost))]}
    for number in plan.nodes:
        for k, cotangent in zip(plan.edges[number], sent[number], strict=True):
            terms.setdefault(graph.nodes[number].inputs[k], []).append((number, cotangent))
    return terms


def _run(graph: Graph, plan: Plan, leaves: Sequence[Any], consts: Sequence[Any]) -> tuple[Any, Any, Any]:
    """What the nodes compute, what they send back, and the sums of several terms: no array is returned twice."""
    values = dict(graph.literals)
    values.update(zip(graph.inputs, leaves, strict=True))
    values.update(zip(graph.closed_over, consts, strict=True))
    computed: dict[int, Any] = {}
    pulls = {}
    for number, node in enumerate(graph.nodes):
        with _at(node):
            results, pulls[number] = _linearized(node, values, plan.edges.get(number, ()))
        computed.update(zip(node.outputs, results, strict=True))
        values.update(computed)
    sent, sums = _back(graph, plan, values, pulls)
    return computed, sent, sums


def _linearized(node: Node, values: Mapping[int, Any], edges: Sequence[int]) -> tuple[Sequence[Any], Any]:
    """A node's results, and its own backward rule as a function of their cotangents."""

    def local(*live: Any) -> tuple[Any, ...]:
        operands = [values[i] for i in node.inputs]
        for k, x in zip(edges, live, strict=True):
            operands[k] = x
        return tuple(node.apply(*operands))

    return jax.vjp(local, *(values[node.inputs[k]] for k in edges)) if edges else (local(), None)


def _back(graph: Graph, plan: Plan, values: Mapping[int, Any], pulls: Mapping[int, Any]) -> tuple[Any, Any]:
    totals: dict[int, Any] = {graph.outputs[0]: jnp.ones_like(values[graph.outputs[0]])}
    sent: dict[int, list[Any]] = {}
    sums: dict[int, Any] = {}
    for number in plan.nodes:
        node, edges = graph.nodes[number], plan.edges[number]
        arriving = tuple(totals.get(i, _nothing(values[i])) for i in node.outputs)
        with _at(node):
            sent[number] = list(pulls[number](arriving)) if edges else []
        for k, cotangent in zip(edges, sent[number], strict=True):
            i = node.inputs[k]
            if i in totals:
                sums[i] = totals[i] = totals[i] + cotangent
            else:
                totals[i] = cotangent
    return sent, sums


@contextlib.contextmanager
def _at(node: Node) -> Iterator[None]:
    """Say which node it is that has no reverse mode, or whose own rule fails."""
    try:
        yield
    except DiffprogError:
        raise
    except (TypeError, ValueError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidInput(
            f"{node.name}{f' at {node.source}' if node.source else ''}, which cannot be gone back through: {reason}",
            "operations with a reverse mode: most have one, a loop of unknown length has not",
            "jax.lax.scan, or fori_loop with a fixed number of steps; for a rule of your own, diffprog.rules.check",
        ) from error


def _nothing(value: Any) -> Any:
    """The cotangent of a result that the cost does not depend on; numbers that are not real have JAX's own zero."""
    if jnp.issubdtype(jnp.result_type(value), jnp.inexact):
        return jnp.zeros_like(value)
    return np.zeros(jnp.shape(value), jax.dtypes.float0)
