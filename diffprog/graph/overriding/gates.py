"""Which products are a SiLU or a GELU, however they are written.

A smooth activation is x times a gate of x, and programs write the gate in many ways: with the logistic function, tanh,
erf or erfc. So a product is recognized by its values: where it is a function of one x and of constant numbers, by
elementwise operations alone, it is computed on a few numbers and compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.graph.program import Node

MOST_STEPS = 16  # the tanh form of a GELU takes 8, with conversions of type some more
GATES = frozenset({"tanh", "logistic", "erf", "erfc", "exp"})
ARITHMETIC = frozenset({"mul", "add", "sub", "neg", "div", "integer_pow", "pow", "square", "sqrt"})
ELEMENTWISE = GATES | ARITHMETIC | {"convert_element_type", "copy"}
PROBES = np.array([-4.0, -1.5, -0.75, -0.2, 0.3, 1.1, 3.0])
NEAR = 0.01  # SiLU and the GELUs differ by more than .05


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in x])


ACTIVATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "silu": lambda x: x * _logistic(x),
    "gelu": _gelu,
}
"""Both forms of the GELU, and x sigmoid(1.702 x), differ by less than .021; they are one kind here."""
ALIKE = {"silu": NEAR, "gelu": 0.03}


def find_gate(program: Any, node: Node) -> tuple[str, int, tuple[Node, ...]] | None:
    """What kind of activation a product is, of which value, and the nodes that compute it; None if it is none."""
    for x_in in dict.fromkeys(_ends(program, node)):
        steps = _steps(program, node, x_in)
        if steps is None or not any(step.primitive in GATES for step in steps):
            continue
        dtype = program.graph.values[node.outputs[0]].dtype
        if not jnp.issubdtype(dtype, jnp.floating):
            continue
        values, rounding = _values(program, steps, x_in), 2 * float(jnp.finfo(dtype).eps)
        for kind, function in ACTIVATIONS.items():
            expected = function(PROBES)
            if (np.abs(values - expected) < ALIKE[kind] + rounding * np.abs(expected)).all():
                return kind, x_in, steps
    return None


def _ends(program: Any, node: Node) -> list[int]:
    """What a product may be a function of: its factors, and what they are constant multiples of."""
    found = list(node.inputs)
    for i in node.inputs:
        factor = program.producers.get(i)
        if factor is not None and factor.primitive == "mul":
            found += factor.inputs
    return [i for i in found if not program.is_constant(i)]


def _steps(program: Any, node: Node, x_in: int) -> tuple[Node, ...] | None:
    """The elementwise operations between a value and a node that depends on it alone, in order; None if others do."""
    found: dict[tuple[int, ...], Node] = {}
    waiting = [node]
    while waiting:
        step = waiting.pop()
        if step.outputs in found:
            continue
        if step.primitive not in ELEMENTWISE or len(found) >= MOST_STEPS:
            return None
        found[step.outputs] = step
        for i in step.inputs:
            if i == x_in or program.is_constant(i):
                continue
            if i not in program.producers:
                return None
            waiting.append(program.producers[i])
    return tuple(sorted(found.values(), key=lambda step: min(step.outputs)))


def _values(program: Any, steps: tuple[Node, ...], x_in: int) -> np.ndarray:
    """What the operations make of a few numbers."""
    values = program.graph.values
    with jax.ensure_compile_time_eval():
        known: dict[int, Any] = {x_in: np.asarray(PROBES, values[x_in].dtype)}
        for step in steps:
            operands = [
                known[i]
                if i in known
                else np.full(PROBES.shape, program.constants[program.source(i)], values[i].dtype)
                for i in step.inputs
            ]
            known.update(zip(step.outputs, step.apply(*operands), strict=True))
        return np.asarray(known[steps[-1].outputs[0]], np.float64)
