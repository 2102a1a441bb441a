"""Gradients that reach a picture through units that are off.

A picture of noise leaves many ReLUs at zero, and then no gradient says how to wake them. `redirect_relus`
gives back the same graph, with the same values to the last bit, whose ReLUs and ReLU6s send such gradients
on: for an example of the batch to which a ReLU would pass no gradient at all, whatever pushes its inputs back
into range is let through. Use it for the first steps of a visualization only: it is not the gradient of the
function any more. The cost is minimized, so a positive gradient pushes an input down.

ReLUs are found however they are written: `jax.nn.relu`, Flax's, this package's rules, `max(x, 0)`,
`clip(x, 0, 6)`, also inside loops, branches and checkpoints; not inside a function with its own custom
derivative. Only the reverse mode is defined.

Source: Lucid, `misc/redirected_relu_grad.py` (Olah et al., 2017).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.graph.program import Graph, Node
from diffprog.graph.trace import change_bodies

_COPIES = ("broadcast_in_dim", "convert_element_type", "reshape", "squeeze", "copy")


def redirect_relus(graph: Graph) -> Graph:
    """The same graph with redirected gradients in every ReLU and ReLU6.

    Args:
        graph: what `trace` returns.

    Returns:
        A graph with the same names and bitwise the same values; its gradients follow the rule above.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from diffprog.graph import trace
        >>> x = jnp.array([[-1.0, -2.0]])
        >>> graph = redirect_relus(trace(jax.nn.relu, x))
        >>> jax.grad(lambda x: -graph.run(x)[0].sum())(x)  # the plain gradient is 0
        Array([[-1., -1.]], dtype=float32)
    """
    program = _Program(graph)
    nodes = (_redirected(program, node) for node in graph.nodes)
    return dataclasses.replace(graph, nodes=tuple(change_bodies(node, redirect_relus) for node in nodes))


# x_out = min(max(x_in, 0), 6), or without the 6
# g_in = where(x_in is in range, g_out, 0), unless that is 0 in a whole example, and then
# g_in = where(x_in < 0 and g_out > 0  or  x_in > 6 and g_out < 0, 0, g_out).
# At exactly 0 and 6 the gradient passes, as in Lucid; jax.nn.relu passes none at 0.
def with_redirected_gradient(
    forward: Callable[[jax.Array], jax.Array], ceiling: float | None
) -> Callable[[jax.Array], jax.Array]:
    """`forward`, a ReLU with an optional ceiling, with the redirected rule for its backward.

    Examples lie along the first axis; an array of rank 0 or 1 is one example.
    """

    def keep_sides(x_in: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array | None]]:
        above = None if ceiling is None else x_in > ceiling
        return forward(x_in), (x_in < 0, above)  # two masks say all that the backward needs of x_in

    def backward(sides: tuple[jax.Array, jax.Array | None], g_out: jax.Array) -> tuple[jax.Array]:
        below, above = sides
        off, outward = below, below & (g_out > 0)
        if above is not None:
            off, outward = off | above, outward | (above & (g_out < 0))
        plain = jnp.where(off, jnp.zeros_like(g_out), g_out)
        redirected = jnp.where(outward, jnp.zeros_like(g_out), g_out)
        axes = tuple(range(1, plain.ndim)) if plain.ndim > 1 else None
        return (jnp.where(jnp.any(plain != 0, axis=axes, keepdims=True), plain, redirected),)

    rule = jax.custom_vjp(forward)
    rule.defvjp(keep_sides, backward)
    return rule


def _redirected(program: _Program, node: Node) -> Node:
    """The node, or one in its place that reads the pre-activation and has the redirected rule."""
    found = _find_relu(program, node)
    if found is None:
        return node

    def forward(x: jax.Array) -> jax.Array:
        known = {found.x_in: x}
        for step in found.steps:  # the program's own operations, so that values stay the same to the last bit
            operands = [known[i] if i in known else program.constant(i) for i in step.inputs]
            known[step.outputs[0]] = step.apply(*operands)[0]
        return known[node.outputs[0]]

    rule = with_redirected_gradient(forward, found.ceiling)
    return node._replace(inputs=(found.x_in,), apply=lambda x: [rule(x)])


class _Relu(NamedTuple):
    x_in: int
    ceiling: float | None
    steps: tuple[Node, ...]  # the operations that compute it, in order


def _find_relu(program: _Program, node: Node) -> _Relu | None:
    """A ReLU or ReLU6 that ends in this node."""
    if node.primitive in ("custom_jvp_call", "custom_vjp_call"):
        known = {"relu": None, "relu6": 6.0}
        if node.operation in known and len(node.inputs) == len(node.outputs) == 1:
            return _Relu(node.inputs[0], known[node.operation], (node,))
        return None
    if node.primitive == "select_n":
        return _find_where(program, node)
    if (
        node.primitive == "clamp"
        and program.is_number(node.inputs[0], 0)
        and program.is_number(node.inputs[2], 6)
    ):
        return _Relu(node.inputs[1], 6.0, (node,))
    for last, bound, first, other in (("max", 0, "min", 6), ("min", 6, "max", 0)):
        rest = program.bounded(node, last, bound)
        before = program.producers.get(rest) if rest is not None else None
        x_in = program.bounded(before, first, other) if before is not None else None
        if before is not None and x_in is not None:
            return _Relu(x_in, 6.0, (before, node))
        if rest is not None and last == "max":
            return _Relu(rest, None, (node,))
    return None


def _find_where(program: _Program, node: Node) -> _Relu | None:
    """where(x > 0, x, 0), or where(x < 0, 0, x), whether or not the comparison has an equals sign."""
    test = program.producers.get(node.inputs[0])
    if test is None or len(node.inputs) != 3 or test.primitive not in ("gt", "ge", "lt", "le"):
        return None
    positive = test.primitive in ("gt", "ge")
    zero, x_in = node.inputs[1:] if positive else node.inputs[:0:-1]
    if test.inputs[0] == x_in and program.is_number(test.inputs[1], 0) and program.is_number(zero, 0):
        return _Relu(x_in, None, (test, node))
    return None


class _Program:
    """What the search asks of a graph: where a value comes from, and whether it is a constant number."""

    def __init__(self, graph: Graph) -> None:
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

    def is_number(self, i: int, number: float) -> bool:
        constant = self.constants.get(self.source(i))
        return constant is not None and np.ndim(constant) == 0 and bool(constant == number)

    def constant(self, i: int) -> Any:
        """A constant's array, computed anew."""
        if i in self.constants:
            return self.constants[i]
        node = self.producers[i]
        return node.apply(self.constant(node.inputs[0]))[0]

    def bounded(self, node: Node, primitive: str, bound: float) -> int | None:
        """The x of max(x, bound) or max(bound, x); None if the node is another operation."""
        if node.primitive != primitive or len(node.inputs) != 2:
            return None
        left, right = node.inputs
        if self.is_number(right, bound):
            return left
        return right if self.is_number(left, bound) else None
