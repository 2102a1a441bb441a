"""Which operations of a program are a ReLU, a step, a one-hot argmax, however they are written.

`operations(graph)` gives every operation with what kind it is. A ReLU may be `jax.nn.relu`, Flax's, this package's
rule, `max(x, 0)` or `where(x > 0, x, 0)`; a ReLU6 also `clip(x, 0, 6)`. What takes several nodes of the graph is
one operation here, with the program's own nodes as its forward computation, so that values stay the same to the
last bit. A node that is nothing special is of the kind that its `operation` says: `conv`, `round`, `tanh`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from diffprog.graph.node import Node, Value
from diffprog.graph.overriding.gates import ACTIVATIONS, find_gate
from diffprog.graph.program import Graph

_COPIES = ("broadcast_in_dim", "convert_element_type", "reshape", "squeeze", "copy")
_COMPARISONS = ("gt", "ge", "lt", "le")


@dataclasses.dataclass(frozen=True)
class Overridden:
    """The `apply` of a node whose backward was overridden: what it computes, what it is, by which rule."""

    function: Callable[..., Sequence[Any]]
    kind: str
    rule: str

    def __call__(self, *inputs: Any) -> Sequence[Any]:
        """Evaluate."""
        return self.function(*inputs)


class Operation(NamedTuple):
    """One operation of a program, as an override sees it.

    Attributes:
      kind: relu, relu6, silu, gelu, step, one_hot_argmax, or what the node's `operation` says.
      path: the node's name; inside a loop or a branch, after that node's name.
      node: the node that gives the result.
      inputs: numbers of the values that it is a function of.
      operands: their shapes and dtypes.
      results: shapes and dtypes of what it gives.
      forward: arrays to a sequence of arrays: the program's own computation.
    """

    kind: str
    path: str
    node: Node
    inputs: tuple[int, ...]
    operands: tuple[Value, ...]
    results: tuple[Value, ...]
    forward: Callable[..., Sequence[Any]]


def operations(graph: Graph, prefix: str = "") -> Iterator[Operation]:
    """Every operation of a graph, in order of computation; `prefix` goes before its name."""
    program = _Program(graph)
    found = {node.outputs: _recognized(program, node) for node in graph.nodes}
    # The parts of a SiLU or GELU stay operations of their own: tanh and erf have overrides, too.
    inside = program.inside([one.steps for one in found.values() if one and one.kind not in ACTIVATIONS])
    for node in graph.nodes:
        if node.outputs in inside:
            continue  # a part of an operation that needs it alone, as the maximum is of a ReLU6
        kind, inputs, steps = found[node.outputs] or (node.operation, node.inputs, (node,))
        yield Operation(
            kind=kind,
            path=prefix + node.name,
            node=node,
            inputs=inputs,
            operands=tuple(graph.values[i] for i in inputs),
            results=tuple(graph.values[i] for i in node.outputs),
            forward=node.apply
            if steps == (node,) and inputs == node.inputs
            else program.joined(steps, inputs),
        )


class Found(NamedTuple):
    """An operation of a kind that was looked for."""

    kind: str
    inputs: tuple[int, ...]
    steps: tuple[Node, ...]  # the nodes that compute it, in order


def _recognized(program: _Program, node: Node) -> Found | None:
    if isinstance(node.apply, Overridden):
        return Found(node.apply.kind, node.inputs, (node,))
    if node.primitive == "select_n":
        return _find_where(program, node) or _find_step(program, node)
    if node.primitive == "convert_element_type":
        return _find_one_hot(program, node) or _find_step(program, node)
    if node.primitive == "clamp":
        low, x_in, high = node.inputs
        ends = program.is_number(low, 0) and program.is_number(high, 6)
        return Found("relu6", (x_in,), (node,)) if ends else None
    if node.primitive == "mul":
        gate = find_gate(program, node)
        return Found(gate[0], (gate[1],), gate[2]) if gate else None
    return _find_bounded(program, node)


def _find_bounded(program: _Program, node: Node) -> Found | None:
    """max(x, 0), and min(max(x, 0), 6) in either order."""
    for last, bound, first, other in (("max", 0, "min", 6), ("min", 6, "max", 0)):
        rest = program.bounded(node, last, bound)
        before = program.producers.get(rest) if rest is not None else None
        x_in = program.bounded(before, first, other) if before is not None else None
        if before is not None and x_in is not None:
            return Found("relu6", (x_in,), (before, node))
        if rest is not None and last == "max":
            return Found("relu", (rest,), (node,))
    return None


def _find_where(program: _Program, node: Node) -> Found | None:
    """where(x > 0, x, 0), or where(x < 0, 0, x), whether or not the comparison has an equals sign."""
    test = program.producers.get(node.inputs[0])
    if test is None or len(node.inputs) != 3 or test.primitive not in _COMPARISONS:
        return None
    positive = test.primitive in ("gt", "ge")
    zero, x_in = node.inputs[1:] if positive else node.inputs[:0:-1]
    if test.inputs[0] == x_in and program.is_number(test.inputs[1], 0) and program.is_number(zero, 0):
        return Found("relu", (x_in,), (test, node))
    return None


def _find_step(program: _Program, node: Node) -> Found | None:
    """(x > c) as a number, or where(x > c, 1, 0), for a constant number c; not (x < c), which falls where x rises."""
    test = program.producers.get(node.inputs[0])
    if test is None or test.primitive not in _COMPARISONS or not program.is_constant(test.inputs[1]):
        return None
    if node.primitive == "select_n" and not all(program.is_constant(i) for i in node.inputs[1:]):
        return None
    if_false, if_true = map(program.number, node.inputs[1:]) if node.primitive == "select_n" else (0.0, 1.0)
    below, above = (if_false, if_true) if test.primitive in ("gt", "ge") else (if_true, if_false)
    x_in = test.inputs[0]
    alike = program.graph.values[x_in] == program.graph.values[node.outputs[0]]
    return Found("step", (x_in,), (test, node)) if alike and below < above else None


def _find_one_hot(program: _Program, node: Node) -> Found | None:
    """one_hot(argmax(x, axis), n, axis): as many numbers as x has, where x has them."""
    equal = program.producers.get(node.inputs[0])
    if equal is None or equal.primitive != "eq":
        return None
    for index, count in (equal.inputs, equal.inputs[::-1]):
        argmax, counted = (program.producers.get(program.source(i)) for i in (index, count))
        if argmax is None or counted is None:
            continue
        if argmax.primitive != "argmax" or counted.primitive != "iota":
            continue
        x_in, out = argmax.inputs[0], node.outputs[0]
        (axis,) = argmax.settings["axes"]
        along = counted.settings["dimension"] == axis
        if along and program.graph.values[x_in] == program.graph.values[out]:
            steps = program.between(x_in, node)
            return Found("one_hot_argmax", (x_in,), steps)
    return None


class _Program:
    """What the search asks of a graph: where a value comes from, and whether it is a constant number."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.producers = {i: node for node in graph.nodes for i in node.outputs}
        self.constants = dict(graph.literals)
        for i, const in zip(graph.closed_over, graph.consts, strict=True):
            if not graph.values[i].shape and not isinstance(const, jax.core.Tracer):
                self.constants[i] = const

    def source(self, i: int) -> int:
        """The number of the value that this one copies, broadcasts or converts."""
        while i in self.producers and self.producers[i].primitive in _COPIES:
            i = self.producers[i].inputs[0]
        return i

    def is_constant(self, i: int) -> bool:
        constant = self.constants.get(self.source(i))
        return constant is not None and np.ndim(constant) == 0

    def number(self, i: int) -> float:
        """A constant number."""
        return float(self.constants[self.source(i)])

    def is_number(self, i: int, number: float) -> bool:
        return self.is_constant(i) and self.number(i) == number

    def constant(self, i: int) -> Any:
        """A constant's array, computed anew."""
        if i in self.constants:
            return self.constants[i]
        node = self.producers[i]
        return node.apply(*(self.constant(k) for k in node.inputs))[node.outputs.index(i)]

    def bounded(self, node: Node, primitive: str, bound: float) -> int | None:
        """The x of max(x, bound) or max(bound, x); None if the node is another operation."""
        if node.primitive != primitive or len(node.inputs) != 2:
            return None
        left, right = node.inputs
        if self.is_number(right, bound):
            return left
        return right if self.is_number(left, bound) else None

    def inside(self, runs: Sequence[tuple[Node, ...]]) -> set[tuple[int, ...]]:
        """Outputs of the nodes that are in a run and whose results nothing outside of it uses."""
        readers: dict[int, set[tuple[int, ...]]] = {i: {()} for i in self.graph.outputs}
        for node in self.graph.nodes:
            for i in node.inputs:
                readers.setdefault(i, set()).add(node.outputs)
        hidden: set[tuple[int, ...]] = set()
        for *first, last in runs:
            run = {last.outputs, *(node.outputs for node in first)}
            hidden.update(n.outputs for n in first if all(readers.get(i, run) <= run for i in n.outputs))
        return hidden

    def between(self, x_in: int, last: Node) -> tuple[Node, ...]:
        """The nodes from a value to a node that is a function of it and of constants only, in order."""
        needed, steps = {*last.inputs}, [last]
        for node in reversed(self.graph.nodes[: self.graph.nodes.index(last)]):
            if needed.intersection(node.outputs) and x_in not in node.outputs:
                needed.update(i for i in node.inputs if i != x_in)
                steps.append(node)
        return tuple(reversed(steps))

    def joined(self, steps: Sequence[Node], inputs: Sequence[int]) -> Callable[..., Sequence[Any]]:
        """The function of `inputs` that a run of nodes computes, the rest being constants."""

        def forward(*arrays: Any) -> Sequence[Any]:
            known = dict(zip(inputs, arrays, strict=True))
            for step in steps:
                operands = [known[i] if i in known else self.constant(i) for i in step.inputs]
                known.update(zip(step.outputs, step.apply(*operands), strict=True))
            return [known[i] for i in steps[-1].outputs]

        return forward
