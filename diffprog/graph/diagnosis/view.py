"""A traced program together with what flowed through it: what every part of a diagnosis looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from diffprog.graph.diagnosis.observe import Observed
from diffprog.graph.diagnosis.reach import Reach
from diffprog.graph.names import is_floating
from diffprog.graph.node import Node
from diffprog.graph.program import Graph

COPIES = (
    "broadcast_in_dim",
    "convert_element_type",
    "reshape",
    "squeeze",
    "copy",
    "transpose",
    "expand_dims",
)


@dataclass(frozen=True)
class View:
    """A program and its observation."""

    graph: Graph
    reach: Reach
    seen: Observed

    @cached_property
    def producers(self) -> dict[int, Node]:
        """The node that gives each value."""
        return {i: node for node in self.graph.nodes for i in node.outputs}

    @cached_property
    def consumers(self) -> dict[int, list[Node]]:
        """The nodes that take each value."""
        found: dict[int, list[Node]] = {}
        for node in self.graph.nodes:
            for i in dict.fromkeys(node.inputs):
                found.setdefault(i, []).append(node)
        return found

    @cached_property
    def labels(self) -> dict[int, str]:
        """What the function calls each argument."""
        return dict(zip(self.graph.inputs, self.graph.input_names, strict=True))

    @property
    def cost_node(self) -> Node | None:
        """The node that gives the cost; None if it is an argument or a constant."""
        return self.producers.get(self.graph.outputs[0])

    def active(self) -> Iterator[tuple[int, Node, np.ndarray]]:
        """The nodes of numbers that a cotangent arrives at, with their place and that of their first active output."""
        for number, node in enumerate(self.graph.nodes):
            if not self.seen.values.keys() >= set(node.inputs):
                continue  # it takes a random key as well, as a loop may
            for i in node.outputs:
                if i in self.reach.active and i in self.seen.cotangents:
                    yield number, node, wide(self.seen.cotangents[i])
                    break

    def value(self, i: int) -> np.ndarray:
        """A value as float32 or float64."""
        return wide(self.seen.values[i])

    def origin(self, i: int) -> int:
        """The value that this one copies, broadcasts, converts or reshapes."""
        while i in self.producers and self.producers[i].primitive in COPIES:
            i = self.producers[i].inputs[0]
        return i

    def constant(self, i: int) -> float | None:
        """A value that is one number and depends on no argument."""
        i = self.origin(i)
        if i in self.graph.inputs or i in self.producers:
            return None
        array = self.seen.values.get(i)
        return float(array) if array is not None and np.ndim(array) == 0 else None

    def downstream(self, i: int, through: Callable[[Node], bool]) -> Iterator[Node]:
        """The nodes that take a value, and those that take their results, as far as `through` goes on."""
        waiting, known = list(self.consumers.get(i, ())), set()
        while waiting:
            node = waiting.pop(0)
            if node.outputs[0] not in known:
                known.add(node.outputs[0])
                yield node
                if through(node):
                    waiting += [later for k in node.outputs for later in self.consumers.get(k, ())]

    def same_shape(self, node: Node) -> bool:
        """Whether a node maps entries to entries: its operands have its result's shape or are single numbers."""
        shape = self.graph.values[node.outputs[0]].shape
        return all(self.graph.values[i].shape in (shape, ()) for i in node.inputs) or node.primitive in COPIES


def wide(array: Any) -> np.ndarray:
    """At least float32, so that NumPy can compute with it."""
    array = np.asarray(array)
    known = array.dtype.kind in "fciub"  # bfloat16 and its like are not NumPy's own
    return array.astype(np.result_type(array.dtype, np.float32) if known else np.float32)


def norm(array: Any) -> float:
    """Euclidean norm, without overflow of its squares; infinite if an entry is not finite."""
    size = np.abs(wide(array)).astype(np.float64).ravel()
    largest = size.max(initial=0.0)
    if not np.isfinite(largest):
        return float("inf")
    return float(largest * np.linalg.norm(size / largest)) if largest else 0.0


def is_heavy(node: Node) -> bool:
    """Whether a node mixes activations with weights: a product of matrices or a convolution."""
    mixes = any(part in node.operation for part in ("dot", "conv", "linear", "matmul"))
    return mixes and not node.operation.startswith("convert")


def floating(view: View, i: int) -> bool:
    """Whether a value is made of floating-point numbers."""
    return is_floating(view.graph.values[i])
