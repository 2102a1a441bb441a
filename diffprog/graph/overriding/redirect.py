"""Gradients that reach a picture through units that are off.

A picture of noise leaves many ReLUs at zero, and then no gradient says how to wake them. `redirect_relus`
overrides all ReLUs and ReLU6s of a graph with `overrides.redirected`, and all SiLUs and GELUs with
`overrides.redirected_gates`. Use it for the first steps of a visualization only: it is not the gradient of the
function any more.
"""

from __future__ import annotations

import dataclasses

from diffprog.graph.overriding.override import override
from diffprog.graph.overriding.overrides import redirected, redirected_gates
from diffprog.graph.program import Graph


def redirect_relus(graph: Graph) -> Graph:
    """The same graph with redirected gradients in every ReLU, ReLU6, SiLU and GELU; one without any stays as it is.

    Args:
        graph: what `trace` returns.

    Returns:
        A graph with the same names and bitwise the same values; its gradients follow the rules of `redirected` and
        `redirected_gates`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from diffprog.graph import trace
        >>> x = jnp.array([[-1.0, -2.0]])
        >>> graph = redirect_relus(trace(jax.nn.relu, x))
        >>> jax.grad(lambda x: -graph.run(x)[0].sum())(x)  # the plain gradient is 0
        Array([[-1., -1.]], dtype=float32)
    """
    return override(
        graph, [dataclasses.replace(rule, required=False) for rule in (redirected, redirected_gates)]
    )
