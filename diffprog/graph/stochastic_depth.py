"""A residual network whose branches are left out at random: stochastic depth, for any traced function.

    x_out = x_in + m f(x_in) / (1 - p),    m = 0 with probability p, else 1

What is drawn through many shallower networks in turn does not lean on one path of the deep one, and other networks
recognize more of it.

Source: Huang, Sun, Liu, Sedra and Weinberger 2016, "Deep networks with stochastic depth", equations 2 to 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.node import Node
from diffprog.graph.program import Graph
from diffprog.graph.residual import residual_sums


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
    found = residual_sums(graph) if rate else []
    shortened: dict[tuple[int, ...], Node] = {}
    for depth, (node, branch) in enumerate(found, start=1):
        own = jax.vmap(jax.random.fold_in, (0, None))(keys, depth)
        apply = _Shortened(node.apply, branch, own, rate * depth / len(found))
        shortened[node.outputs] = node._replace(apply=apply)
    return graph.with_nodes(shortened.get(node.outputs, node) for node in graph.nodes) if shortened else graph


def check_rate(rate: float) -> None:
    """Refuse what is not a probability with which branches can be left out."""
    if not 0 <= rate < 1:
        raise InvalidInput(f"branches left out at a rate of {rate}", "a probability from 0 to below 1", "0.5")


class _Shortened:
    """The `apply` of a residual sum that leaves its branch out of some pictures."""

    def __init__(
        self, apply: Callable[..., Sequence[Any]], branch: int, keys: Array, probability: float
    ) -> None:
        self.apply, self.branch, self.keys, self.probability = apply, branch, keys, probability

    def __call__(self, *operands: Any) -> Sequence[Any]:
        """The sum, [N, ...]."""
        branch = operands[self.branch]
        kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.probability))(self.keys)
        kept = kept.reshape(-1, *[1] * (branch.ndim - 1))
        changed = list(operands)
        changed[self.branch] = jnp.where(kept, branch / (1 - self.probability), 0)
        return self.apply(*changed)
