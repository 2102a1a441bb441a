"""One sweep forward and one backward through a program, of which every array is kept.

`observe` evaluates every node and sends the cotangent of the scalar result back through it, in one compiled
program: JAX's own derivative of each operation, summed where a value is used more than once. A node that has no
reverse mode (a `while` loop) is noted with JAX's reason and sends nothing back. What to make of the arrays is not
decided here; to see the same sweep explained step by step, use `backprop`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.graph.node import Node
from diffprog.graph.program import Graph

Pull = Callable[[Any], Any]
_NO_DERIVATIVE = (TypeError, ValueError, NotImplementedError)  # how JAX says it


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
    without_reverse: dict[int, str] = {}

    @jax.jit
    def sweep(flat: list[Any], consts: Sequence[Any]) -> Any:
        numbers, pulls = _forward(graph, flat, consts, active, without_reverse)
        cotangents, sent = _backward(graph, numbers, pulls, active, without_reverse)
        return {i: v for i, v in numbers.items() if _is_number(graph.values[i].dtype)}, cotangents, sent

    values, cotangents, sent = jax.device_get(sweep(graph.leaves(*args), list(graph.consts)))
    return Observed(values, cotangents, sent, without_reverse)


def _is_number(dtype: Any) -> bool:
    return dtype is not None and not jax.dtypes.issubdtype(dtype, jax.dtypes.extended)  # keys are none


def _forward(
    graph: Graph, flat: Any, consts: Any, active: frozenset[int], without_reverse: dict[int, str]
) -> tuple[dict[int, Any], dict[int, Pull]]:
    numbers = dict(graph.literals)
    numbers.update(zip(graph.inputs, flat, strict=True))
    numbers.update(zip(graph.closed_over, consts, strict=True))
    pulls: dict[int, Pull] = {}
    for number, node in enumerate(graph.nodes):
        arrays = [numbers[i] for i in node.inputs]
        results: Sequence[Any] | None = None
        if active.intersection(node.outputs):
            try:
                results, pulls[number] = _linearized(node, arrays, active)
            except _NO_DERIVATIVE as error:
                without_reverse[number] = str(error)
        numbers.update(zip(node.outputs, node.apply(*arrays) if results is None else results, strict=True))
    return numbers, pulls


def _linearized(node: Node, arrays: list[Any], active: frozenset[int]) -> tuple[Sequence[Any], Pull]:
    live = [k for k, i in enumerate(node.inputs) if i in active]

    def function(some: list[Any]) -> tuple[list[Any], Sequence[Any]]:
        operands = list(arrays)
        for k, array in zip(live, some, strict=True):
            operands[k] = array
        results = node.apply(*operands)
        return [r for r, i in zip(results, node.outputs, strict=True) if i in active], results

    _, pull, results = jax.vjp(function, [jnp.asarray(arrays[k]) for k in live], has_aux=True)
    return results, pull


def _backward(
    graph: Graph,
    numbers: dict[int, Any],
    pulls: dict[int, Pull],
    active: frozenset[int],
    without_reverse: dict[int, str],
) -> tuple[dict[int, Any], dict[tuple[int, int], Any]]:
    sent: dict[tuple[int, int], Any] = {}
    totals: dict[int, Any] = {i: jnp.ones_like(numbers[i]) for i in graph.outputs if i in active}
    for number in sorted(pulls, reverse=True):
        node = graph.nodes[number]
        if not totals.keys() & set(node.outputs):
            continue
        g_out = [totals.get(i, jnp.zeros_like(numbers[i])) for i in node.outputs if i in active]
        try:
            back = iter(pulls[number](g_out)[0])
        except _NO_DERIVATIVE as error:
            without_reverse[number] = str(error)
            continue
        for k, i in enumerate(node.inputs):
            if i in active:
                sent[number, k] = next(back)
                totals[i] = totals[i] + sent[number, k] if i in totals else sent[number, k]
    return totals, sent
