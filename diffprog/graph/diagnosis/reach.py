"""Which values of a program a derivative can flow through, by structure alone.

JAX knows during tracing when a derivative is zero whatever the numbers: behind `round`, `sign`, comparisons,
integers, `argmax` and `stop_gradient` there is no tangent at all. Here it is asked, node by node, and no list of
such operations is kept: a custom rule that passes a gradient straight through is believed. What is zero by its
numbers only, as behind a ReLU that is off, is not seen here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax

from diffprog.graph.names import is_floating
from diffprog.graph.node import Node
from diffprog.graph.program import Graph


class Reach(NamedTuple):
    """Where derivatives flow.

    Attributes:
        active: numbers of the values that have a derivative with respect to some argument.
        cuts: for every floating argument without a derivative, the nodes at which all its paths end; none where
            the results do not depend on the argument at all.
    """

    active: frozenset[int]
    cuts: dict[int, tuple[Node, ...]]


def reach(graph: Graph) -> Reach:
    """Find what the derivative of a program's results can flow through.

    Example:
        >>> import jax.numpy as jnp
        >>> from diffprog.graph import trace
        >>> found = reach(trace(lambda x, y, z: x + jnp.round(jnp.sin(y)), 1.0, 2.0, 3.0))
        >>> {i: [node.name for node in nodes] for i, nodes in found.cuts.items()}
        {1: ['round/round'], 2: []}
    """
    active = _active(graph)
    needed = ancestors(graph, graph.outputs)
    outputs = set(graph.outputs)
    cuts = {}
    for i in graph.inputs:
        if is_floating(graph.values[i]):
            reached, ends = _follow(graph, i, active, needed)
            if not reached & outputs & active:
                cuts[i] = ends
    return Reach(frozenset(active), cuts)


def ancestors(graph: Graph, numbers: Iterable[int]) -> set[int]:
    """The values that these are computed from, and these."""
    found = set(numbers)
    for node in reversed(graph.nodes):
        if found.intersection(node.outputs):
            found.update(node.inputs)
    return found


def descendants(graph: Graph, numbers: Iterable[int], among: Iterable[Node] | None = None) -> set[int]:
    """The values that are computed from these, and these; through some of the nodes only, if `among` says so."""
    found = set(numbers)
    for node in graph.nodes if among is None else among:
        if found.intersection(node.inputs):
            found.update(node.outputs)
    return found


def _active(graph: Graph) -> set[int]:
    active = {i for i in graph.inputs if is_floating(graph.values[i])}
    for node in graph.nodes:
        if active.intersection(node.inputs):
            active.update(_with_derivative(graph, node, active))
    return active


def _with_derivative(graph: Graph, node: Node, active: set[int]) -> set[int]:
    """The outputs of a node that have a derivative with respect to its active inputs."""
    at = [k for k, i in enumerate(node.inputs) if i in active]
    found: set[int] = set()

    def outputs(arrays: list[Any], live: list[Any]) -> list[Any]:
        for k, array in zip(at, live, strict=True):
            arrays[k] = array
        results = node.apply(*arrays)
        return [
            _seen(lambda i=i: found.add(i))(result) if is_floating(graph.values[i]) else result
            for i, result in zip(node.outputs, results, strict=True)
        ]

    def differentiate(arrays: list[Any]) -> Any:
        return jax.vjp(lambda live: outputs(list(arrays), live), [arrays[k] for k in at])[0]

    try:
        jax.eval_shape(differentiate, [jax.ShapeDtypeStruct(*graph.values[i]) for i in node.inputs])
    except (TypeError, ValueError, NotImplementedError):  # JAX has no derivative of it, and `observe` says so
        return {i for i in node.outputs if is_floating(graph.values[i])}
    return found


def _seen(mark: Any) -> Any:
    """The identity; calls `mark` if JAX differentiates it, which it does only where there is a tangent."""

    @jax.custom_vjp
    def identity(x: Any) -> Any:
        return x

    def forward(x: Any) -> tuple[Any, None]:
        if x.perturbed:
            mark()
        return x.value, None

    identity.defvjp(forward, lambda _, g: (g,), symbolic_zeros=True)
    return identity


def _follow(
    graph: Graph, start: int, active: set[int], needed: set[int]
) -> tuple[set[int], tuple[Node, ...]]:
    """What a derivative with respect to one value reaches, and the nodes that end it on the way to the results."""
    reached, ends = {start}, []
    for node in graph.nodes:
        if reached.intersection(node.inputs):
            reached.update(active.intersection(node.outputs))
            if needed.intersection(node.outputs) - active:
                ends.append(node)
    ends.sort(key=lambda node: not is_floating(graph.values[node.outputs[0]]))  # round before its comparisons
    return reached, tuple(ends)
