"""A traced program as data: named nodes and the values that flow between them.

You can list its named activations (`graph.layers`), find names by a pattern (`graph.match`), and evaluate it
while reading any of them (`graph.run`); a loop or a branch is one node until it is opened (`graph.open`). A value
is known by its number; a node takes numbers in and gives numbers out. What a node computes is its `apply`, so this
module needs nothing of JAX's records: `flatten` builds the graph from those, and names come from `names`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import fnmatch
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from diffprog.errors import InvalidInput
from diffprog.graph.node import Layer, Node, Value
from diffprog.graph.opening import opened
from diffprog.graph.pages.export import save
from diffprog.graph.pages.page import notebook_view


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """A traced function; `print(graph)` lists its activations.

    Attributes:
        nodes: the operations, in order of computation.
        values: shape and dtype of every value; a value's number is its position here.
        inputs: the numbers of the function's flattened arguments.
        closed_over: the numbers of the arrays that the function closed over.
        consts: those arrays, in the same order; `run(..., consts=...)` takes others in their place.
        literals: the numbers of the constants written in the program, with what they are.
        outputs: the numbers of the function's flattened results.
        names: every name that can be tapped, with its value's number.
        input_names: what the function itself calls its flattened arguments: `x`, `params['Dense_0']['kernel']`.
        layers: the named activations that are worth listing, in order of computation.
        in_tree: how arguments are nested.
        out_tree: how results are nested.
    """

    nodes: tuple[Node, ...]
    values: tuple[Value, ...]
    inputs: tuple[int, ...]
    closed_over: tuple[int, ...]
    consts: list[Any]
    literals: Mapping[int, Any]
    outputs: tuple[int, ...]
    names: Mapping[str, int]
    input_names: tuple[str, ...]
    layers: tuple[Layer, ...]
    in_tree: Any
    out_tree: Any

    def run(
        self,
        *args: Any,
        taps: str | Sequence[str] = (),
        replace: Mapping[str, Any] | None = None,
        consts: Sequence[Any] | None = None,
    ) -> tuple[Any, dict[str, jax.Array]]:
        """Evaluate the function and read some of its activations.

        It can be differentiated, compiled and mapped like the function itself; custom derivatives inside it
        are kept. Under `jax.jit`, work that neither the result nor a tap needs is removed by the compiler.

        Args:
            *args: what the function takes, with the shapes and dtypes it was traced for.
            taps: names of activations (see `layers` and `match`).
            replace: arrays to go on with in place of the named values; what only fed those is not computed.
            consts: arrays to use in place of `self.consts`, for instance as arguments of a compiled step.

        Returns:
            The function's result, and a dictionary from each name in `taps` to its array.

        Raises:
            InvalidInput: an unknown name, arguments that the graph was not traced for, or a replacement of another
                shape or dtype than the value's.
        """
        wanted = {name: self.find(name) for name in ([taps] if isinstance(taps, str) else taps)}
        numbers = dict(self.literals)
        numbers.update(zip(self.inputs, self._flatten(args), strict=True))
        numbers.update(zip(self.closed_over, self._check_consts(consts), strict=True))
        replaced = self._check_replacements(replace or {})
        numbers.update(replaced)
        for node in self.nodes:
            if replaced and replaced.keys() >= set(node.outputs):
                continue
            with _scopes(node.scope):
                results = node.apply(*(numbers[i] for i in node.inputs))
            numbers.update(zip(node.outputs, results, strict=True))
            numbers.update(replaced)
        out = jax.tree.unflatten(self.out_tree, [numbers[i] for i in self.outputs])
        return out, {name: numbers[i] for name, i in wanted.items()}

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        """The same graph with other nodes in the places of its own."""
        return dataclasses.replace(self, nodes=tuple(nodes))

    def find(self, name: str) -> int:
        """The number of the value with this name.

        Raises:
            InvalidInput: no activation has this name; the message lists the nearest ones.
        """
        if name in self.names:
            return self.names[name]
        near = difflib.get_close_matches(name, self.names, n=5, cutoff=0.3)
        near = near or [layer.name for layer in self.layers[:5]] or list(self.names)[:5]
        raise InvalidInput(
            got=f"no activation is called {name!r}",
            expected="a name of this graph"
            + (f", such as {', '.join(near)}" if near else ", which has none"),
            remedy="print(graph) or graph.layers to list them; graph.match('*') for every name; "
            "graph.match(pattern) for those that match a pattern",
        )

    def leaves(self, *args: Any) -> list[Any]:
        """The arrays of the function's arguments, in the order of `inputs`.

        Raises:
            InvalidInput: arguments that the graph was not traced for.
        """
        return self._flatten(args)

    def match(self, pattern: str) -> tuple[str, ...]:
        """Names that match a pattern such as `blocks/*/depthwise`, in order of computation.

        `*` stands for any letters and `?` for one; brackets are part of names such as `params['kernel']`.

        Raises:
            InvalidInput: nothing matches.
        """
        literal = pattern.replace("[", "[[]")
        found = tuple(name for name in self.names if fnmatch.fnmatchcase(name, literal))
        if not found:
            self.find(pattern)  # explains which names there are
        return found

    def save(self, path: str | os.PathLike[str], title: str | None = None) -> Path:
        """Write the graph to a file: an interactive page (.html), a picture (.svg), or Graphviz's language (.dot).

        Args:
            path: the file; its folder is there.
            title: what a page is called.

        Returns:
            The path.

        Raises:
            InvalidInput: another ending, or an SVG without the extra `diffprog[svg]`.
            Unreachable: a folder that is not there or cannot be written.
        """
        return save(self, path, title=title)

    def _repr_html_(self) -> str:
        return notebook_view(self)

    def open(self, path: str) -> Graph:
        """The program inside a loop, a branch, a checkpoint or an operation with a custom derivative, as a graph.

        Args:
            path: the node's name; where it holds several programs, with `/` and which: `cond/branch_1`,
                `while/condition`. Programs inside programs are opened by a longer path: `scan/cond/branch_0`.

        Raises:
            InvalidInput: no such node, nothing inside it, or several programs and none named.

        Example:
            >>> import jax, jax.numpy as jnp
            >>> from diffprog.graph import trace
            >>> graph = trace(lambda x: jax.lax.scan(lambda c, _: (jnp.sin(c), None), x, length=3), 1.0)
            >>> print(graph.open("scan"))
            sin  float32  []  sin
        """
        return opened(self, path)

    def __str__(self) -> str:
        rows = [
            (layer.name, str(layer.dtype), str(list(layer.shape)), layer.operation) for layer in self.layers
        ]
        widths = [max((len(row[k]) for row in rows), default=0) for k in range(4)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        ]
        return "\n".join(line.rstrip() for line in lines)

    def __repr__(self) -> str:
        return f"<Graph of {len(self.nodes)} operations, {len(self.layers)} layers>"

    def _flatten(self, args: tuple[Any, ...]) -> list[Any]:
        leaves, tree = jax.tree.flatten(without_functions(args))
        got = [Value(jax.numpy.shape(leaf), jax.dtypes.result_type(leaf)) for leaf in leaves]
        expected = [self.values[i] for i in self.inputs]
        if tree != self.in_tree or got != expected:
            raise InvalidInput(
                got=f"arguments {_describe(tree, got)}",
                expected=f"what the graph was traced for: {_describe(self.in_tree, expected)}",
                remedy="trace the function again with arguments of the new shapes and dtypes",
            )
        return leaves

    def _check_replacements(self, replace: Mapping[str, Any]) -> dict[int, Any]:
        for name, array in replace.items():
            expected = self.values[self.find(name)]
            if isinstance(array, list | tuple | dict):
                raise InvalidInput(
                    got=f"a replacement for {name!r} that is a {type(array).__name__}",
                    expected=f"one array, {expected.dtype}{list(expected.shape)}: what flows there",
                    remedy="jnp.asarray of it",
                )
            got = Value(jax.numpy.shape(array), jax.dtypes.result_type(array))
            if got != expected:
                raise InvalidInput(
                    got=f"a replacement for {name!r} of {got.dtype}{list(got.shape)}",
                    expected=f"{expected.dtype}{list(expected.shape)}, what flows there",
                    remedy=f"graph.run(*args, taps=[{name!r}]) gives a value of the right kind to start from",
                )
        return {self.find(name): array for name, array in replace.items()}

    def _check_consts(self, consts: Sequence[Any] | None) -> Sequence[Any]:
        if consts is None:
            return self.consts
        got, expected = [jax.numpy.shape(c) for c in consts], [self.values[i].shape for i in self.closed_over]
        if got != expected:
            raise InvalidInput(
                got=f"{len(got)} constants of shapes {got}",
                expected=f"{len(expected)} constants, as in graph.consts, of shapes {expected}",
                remedy="pass graph.consts, or arrays of the same shapes in the same order",
            )
        return consts


def is_function(leaf: Any) -> bool:
    """Whether a leaf of the arguments is a function, as an Equinox module holds its activation."""
    return callable(leaf) and not hasattr(leaf, "dtype")


def without_functions(tree: Any) -> Any:
    """A pytree with None in place of its leaves that are functions."""
    return jax.tree.map(lambda leaf: None if is_function(leaf) else leaf, tree)


def _describe(tree: Any, values: Sequence[Value]) -> str:
    return str(jax.tree.unflatten(tree, [f"{value.dtype}{list(value.shape)}" for value in values]))


@contextlib.contextmanager
def _scopes(scope: tuple[str, ...]) -> Any:
    """Evaluate under the traced program's scopes, so that profiles and a second trace show the same names."""
    with contextlib.ExitStack() as stack:
        for part in scope:
            stack.enter_context(jax.named_scope(part))
        yield
