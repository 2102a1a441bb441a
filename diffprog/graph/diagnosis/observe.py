"""One sweep forward and one backward through a program, of which every array is kept.

`observe` sends the cotangent of the scalar result back through every node that a derivative flows through. A node that
has no reverse mode (a `while` loop) is noted with JAX's reason and sends nothing back. What to make of the arrays is
not decided here; to see the same sweep explained step by step, use `backprop`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.graph.program import Graph
from diffprog.graph.walk import given, received, summed, walk


@dataclass(frozen=True)
class Observed:
    """What flowed; arrays are NumPy's.

    Attributes:
        values: every floating or integer value, by number.
        cotangents: the total cotangent of every value that received one, by number.
        sent: what each node sent back to each of its operands, by the node's place in the graph and the operand's.
        without_reverse: nodes that JAX cannot differentiate backward, with its reason.
    """

    values: Mapping[int, np.ndarray]
    cotangents: Mapping[int, np.ndarray]
    sent: Mapping[tuple[int, int], np.ndarray]
    without_reverse: Mapping[int, str]


def observe(graph: Graph, args: tuple[Any, ...], active: frozenset[int]) -> Observed:
    """Sweep through a program once.

    Args:
        graph: a program whose only result is a scalar.
        args: what it takes.
        active: the values a derivative flows through, as `reach` finds them.

    Example:
        >>> from diffprog.graph import trace
        >>> from diffprog.graph.diagnosis.reach import reach
        >>> graph = trace(lambda x: jnp.sin(x) * x, 0.5)
        >>> seen = observe(graph, (0.5,), reach(graph).active)
        >>> [round(float(g), 4) for g in seen.sent.values()]  # sin's, and the two of the product
        [0.4388, 0.5, 0.4794]
    """
    edges = {
        number: tuple(k for k, i in enumerate(node.inputs) if i in active)
        for number, node in enumerate(graph.nodes)
        if active.intersection(node.outputs)
    }
    leaves, without_reverse = graph.leaves(*args), dict[int, str]()
    walked = walk(graph, edges, leaves, lambda number, error: without_reverse.update({number: str(error)}))
    values = {**given(graph, leaves, graph.consts), **walked.values}
    terms = received(graph, edges, walked, values[graph.outputs[0]])
    cotangents = {i: g for i, g in summed(walked, terms).items() if i in active}
    sent = {(n, k): g for n, back in walked.sent.items() for k, g in zip(edges[n], back, strict=True)}
    numbers = {i: jnp.asarray(v, graph.values[i].dtype) for i, v in values.items() if _is_number(graph, i)}
    fetched = jax.device_get((numbers, cotangents, sent))
    return Observed(fetched[0], fetched[1], fetched[2], without_reverse)


def _is_number(graph: Graph, i: int) -> bool:
    dtype = graph.values[i].dtype
    return dtype is not None and not jax.dtypes.issubdtype(dtype, jax.dtypes.extended)  # keys are none
