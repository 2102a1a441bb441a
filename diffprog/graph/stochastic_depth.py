"""A residual network whose branches are left out at random: stochastic depth, for any traced function.

    x_out = x_in + m f(x_in) / (1 - p),    m = 0 with probability p, else 1

A residual sum is found by what it is: an addition of two arrays of one shape, one of which is computed from the other
by a convolution or a product with weights among other things. So it does not matter what the network calls its blocks.
What is drawn through many shallower networks in turn does not lean on one path of the deep one, and other networks
recognize more of it. Sums of two projections and the insides of loops stay as they are.

Source: Huang, Sun, Liu, Sedra and Weinberger 2016, "Deep networks with stochastic depth", equations 2 to 5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.names import is_floating
from diffprog.graph.node import Node
from diffprog.graph.program import Graph

MIXING = ("conv", "convolution", "dot", "linear", "attention")


def stochastic_depth(graph: Graph, keys: Array, rate: float) -> Graph:
    """The same graph with residual branches left out at random, each picture's own.

    Args:
        graph: what `trace` returns for a batch of N pictures.
        keys: [N] keys, one a picture, which say what is left out of it.
        rate: the probability of the last branch, at least 0 and below 1; it rises in proportion to depth, so the
            first of n branches has rate / n.

    Returns:
        A graph with the same names. One without residual sums stays as it is.

    Raises:
        InvalidInput: another rate.

    Example:
        >>> from diffprog.graph import trace
        >>> w = jnp.eye(2)
        >>> block = trace(lambda x: x + x @ w, jnp.ones((4, 2)))
        >>> keys = jax.random.split(jax.random.key(0), 4)
        >>> stochastic_depth(block, keys, rate=0.5).run(jnp.ones((4, 2)))[0]  # twice the branch, or none
        Array([[3., 3.],
               [3., 3.],
               [1., 1.],
               [1., 1.]], dtype=float32)
    """
    check_rate(rate)
    sums = {one.node.outputs: one for one in _residual_sums(graph)}
    order = list(sums)

    def changed(node: Node) -> Node:
        if node.outputs not in sums or len(graph.values[node.outputs[0]].shape) < 2:
            return node
        depth = order.index(node.outputs) + 1
        own = jax.vmap(lambda key: jax.random.fold_in(key, depth))(keys)
        return node._replace(apply=_Shortened(sums[node.outputs].branch, own, rate * depth / len(order)))

    return graph.with_nodes(map(changed, graph.nodes)) if rate else graph


def check_rate(rate: float) -> None:
    """Refuse what is not a probability with which branches can be left out."""
    if not 0 <= rate < 1:
        raise InvalidInput(f"branches left out at a rate of {rate}", "a probability from 0 to below 1", "0.5")


class _Residual(NamedTuple):
    """A residual sum: its node, and which of its two operands is the branch."""

    node: Node
    branch: int


class _Shortened:
    """The `apply` of a residual sum that leaves its branch out of some pictures."""

    def __init__(self, branch: int, keys: Array, probability: float) -> None:
        self.branch, self.keys, self.probability = branch, keys, probability

    def __call__(self, *operands: Any) -> tuple[Array]:
        """The sum, [N, ...]."""
        branch, x_in = operands[self.branch], operands[1 - self.branch]
        kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.probability))(self.keys)
        kept = kept.reshape(-1, *[1] * (branch.ndim - 1))
        return (x_in + jnp.where(kept, branch / (1 - self.probability), 0),)


def _residual_sums(graph: Graph) -> list[_Residual]:
    """In order of computation."""
    found = []
    for place, node in enumerate(graph.nodes):
        if node.primitive != "add" or not is_floating(graph.values[node.outputs[0]]):
            continue
        if len({graph.values[i] for i in (*node.inputs, *node.outputs)}) > 1:
            continue
        for branch in (0, 1):
            if _is_branch(graph, place, node.inputs[branch], node.inputs[1 - branch]):
                found.append(_Residual(node, branch))
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
