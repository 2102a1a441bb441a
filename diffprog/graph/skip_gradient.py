"""Gradients that prefer the shortcuts of a residual network to its branches.

    x_out = x_in + f(x_in)        g_in = g_out + decay f'(x_in)^T g_out

Values stay the same; the gradient through k branches is weakened by decay^k. What is left comes more from early
layers, which networks have in common, and other networks recognize more of what it draws.

Source: Wu, Wang, Xia, Bailey and Ma 2020, "Skip connections matter: on the transferability of adversarial examples
generated with ResNets", equation 7 (the skip gradient method).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from diffprog.errors import InvalidInput
from diffprog.graph.node import Node
from diffprog.graph.program import Graph
from diffprog.graph.residual import residual_sums
from diffprog.rules import reverse_gradient


def skip_gradient(graph: Graph, decay: float) -> Graph:
    """The same graph, in which the gradient through every residual branch is multiplied by `decay`.

    Args:
        graph: what `trace` returns.
        decay: from 0, which leaves the shortcuts alone, to 1, the gradient itself.

    Returns:
        A graph with the same names and the same values. One without residual sums stays as it is.

    Raises:
        InvalidInput: another decay.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from diffprog.graph import trace
        >>> w = jnp.eye(2)
        >>> block = trace(lambda x: (x + x @ w).sum(), jnp.ones(2))
        >>> jax.grad(lambda x: skip_gradient(block, decay=0.5).run(x)[0])(jnp.ones(2))
        Array([1.5, 1.5], dtype=float32)
    """
    check_decay(decay)
    found = residual_sums(graph) if decay != 1 else []
    damped: dict[tuple[int, ...], Node] = {
        node.outputs: node._replace(apply=_Damped(node.apply, branch, decay)) for node, branch in found
    }
    return graph.with_nodes(damped.get(node.outputs, node) for node in graph.nodes) if damped else graph


def check_decay(decay: float) -> None:
    """Refuse what no part of a gradient can be."""
    if not 0 <= decay <= 1:
        raise InvalidInput(
            f"the gradient of branches times {decay}",
            "a number from 0 to 1",
            "0.5, or 1 for the gradient itself",
        )


class _Damped:
    """The `apply` of a residual sum whose branch passes a part of the gradient."""

    def __init__(self, apply: Callable[..., Sequence[Any]], branch: int, decay: float) -> None:
        self.apply, self.branch, self.decay = apply, branch, decay

    def __call__(self, *operands: Any) -> Sequence[Any]:
        """The sum."""
        changed = list(operands)
        changed[self.branch] = reverse_gradient(changed[self.branch], -self.decay)
        return self.apply(*changed)
