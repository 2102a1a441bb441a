"""The records a graph is made of: operations, the values between them, and where in the program they come from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from diffprog.graph.program import Graph


class Value(NamedTuple):
    """Shape and dtype of what flows along an edge."""

    shape: tuple[int, ...]
    dtype: Any


class Source(NamedTuple):
    """The line of the program that an operation comes from."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line} ({self.function})"


class Node(NamedTuple):
    """One operation: `apply` takes the arrays numbered `inputs` and gives those numbered `outputs`."""

    name: str
    operation: str  # readable: conv, relu, add, ...
    primitive: str  # what JAX calls it
    scope: tuple[str, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    apply: Callable[..., Sequence[Any]]
    equation: Any = None  # JAX's own record of it; only what traces looks inside
    source: Source | None = None  # None where JAX kept none
    bodies: Callable[[], Mapping[str, Graph]] | None = (
        None  # the programs inside a loop, a branch, a custom rule
    )

    @property
    def settings(self) -> Mapping[str, Any]:
        """What is static about the operation: a convolution's strides, an argmax's axes."""
        return {} if self.equation is None else dict(self.equation.params)


class Layer(NamedTuple):
    """One line of the listing of a graph's activations."""

    name: str
    shape: tuple[int, ...]
    dtype: Any
    operation: str
