"""What the page shows of a graph, as plain numbers, strings, lists and dictionaries.

`describe(graph)` says which operations there are, which scope each belongs to, and what flows between them. The
numbers of a backward sweep are `page_steps`'s; how it is shown is the page's affair (`page.py`, `export.py`).
A graph is met by its attributes alone.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # those modules use this one
    from diffprog.graph.node import Node
    from diffprog.graph.program import Graph

Scope = tuple[str, ...]
LONGEST_TEXT = 200


def describe(graph: Graph, parameters: Iterable[str] = ()) -> dict[str, Any]:
    """A graph as data.

    Args:
        graph: what was traced.
        parameters: names of arguments that are parameters, besides those inside of a dictionary or another tree.

    Returns:
        `scopes` with their parents before them; `nodes`, whose number is the operation's in the graph;
        `arguments` and `constants`, each in the innermost scope around all that use it; `values` by number.
    """
    used = {i for node in graph.nodes for i in node.inputs} | set(graph.outputs)
    paths = [scope_path(node) for node in graph.nodes]
    arguments = _arguments(graph, paths, set(parameters))
    constants = [
        {"value": i, "name": f"consts[{k}]", "kind": "constant", "scope": _around(graph, paths, i)}
        for k, i in enumerate(graph.closed_over)
        if i in used
    ]
    scopes = _scopes([*paths, *(item["scope"] for item in [*arguments, *constants])])
    for item in [*arguments, *constants]:
        item["scope"] = scopes.get(item["scope"], -1)
    return {
        "scopes": [_scope(path, scopes) for path in scopes],
        "nodes": [
            _node(graph, node, scopes.get(path, -1)) for node, path in zip(graph.nodes, paths, strict=True)
        ],
        "values": _values(graph),
        "arguments": arguments,
        "constants": constants,
        "outputs": list(graph.outputs),
    }


def scope_path(node: Node) -> Scope:
    """The scopes around an operation, told apart by visit: `("encoder", "Dense_0#2")`; named calls are scopes too.

    They are read off the operation's name, which says the visit.
    """
    path: list[str] = []
    rest = node.name
    for label in node.scope:
        found = re.match(re.escape(label) + r"(#\d+)?/", rest)
        if found is None:
            return (*path, label)
        path.append(found[0][:-1])
        rest = rest[found.end() :]
    return (*path, *rest.split("/")[:-1])


def _arguments(graph: Graph, paths: Sequence[Scope], parameters: set[str]) -> list[dict[str, Any]]:
    found = []
    for i, name in zip(graph.inputs, graph.input_names, strict=True):
        parameter = name in parameters or (not parameters and ("[" in name or "." in name))
        scope = _around(graph, paths, i) if parameter else ()
        kind = "parameter" if parameter else "input"
        found.append({"value": i, "name": short(name), "kind": kind, "scope": scope})
    return found


def _around(graph: Graph, paths: Sequence[Scope], value: int) -> Scope:
    """The innermost scope around all operations that take a value."""
    if value in graph.outputs:
        return ()
    users = [path for node, path in zip(graph.nodes, paths, strict=True) if value in node.inputs]
    return functools.reduce(_common, users) if users else ()


def _common(one: Scope, other: Scope) -> Scope:
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return tuple(part for part, _ in same)


def _scopes(paths: Iterable[Scope]) -> dict[Scope, int]:
    scopes: dict[Scope, int] = {}
    for path in paths:
        for depth in range(1, len(path) + 1):
            scopes.setdefault(path[:depth], len(scopes))
    return scopes


def _scope(path: Scope, scopes: Mapping[Scope, int]) -> dict[str, Any]:
    return {"name": short("/".join(path)), "label": short(path[-1]), "parent": scopes.get(path[:-1], -1)}


def _node(graph: Graph, node: Node, scope: int) -> dict[str, Any]:
    return {
        "name": short(node.name),
        "operation": short(node.operation),
        "scope": scope,
        "inputs": [i for i in node.inputs if i not in graph.literals],
        "outputs": list(node.outputs),
        "literals": [_literal(graph.literals[i]) for i in node.inputs if i in graph.literals],
        "source": short(str(node.source)) if node.source else "",
    }


def _values(graph: Graph) -> list[str]:
    return [f"{value.dtype}{list(value.shape)}" for value in graph.values]


def _literal(value: Any) -> str:
    array = np.asarray(value)
    return number(array.item()) if array.ndim == 0 and array.dtype.kind in "biuf" else short(str(value))


def short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def number(value: Any) -> str:
    """A number in few letters.

    Example:
        >>> number(0.30000001192092896), number(-123456789.0), number(True)
        ('0.3', '-1.23457e+08', 'True')
    """
    return str(value) if isinstance(value, (bool, int, str)) else f"{value:.6g}"
