"""The programs inside a node: a loop's body, a branch, the forward pass of a custom rule, found by a path of names."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from diffprog.errors import InvalidInput

if TYPE_CHECKING:
    from diffprog.graph.program import Graph


def opened(graph: Graph, path: str, before: str = "") -> Graph:
    """The program at a path such as `scan/cond/branch_0`, as a graph.

    Args:
        graph: where to look.
        path: node names, and where a node holds several programs, which.
        before: the path that led to this graph, for messages.

    Raises:
        InvalidInput: no such node, nothing inside it, or several programs and none named.
    """
    holders = {node.name: node.bodies for node in graph.nodes if node.bodies is not None}
    # The longest name first: names have slashes in them.
    for name in sorted(holders, key=len, reverse=True):
        if path != name and not path.startswith(f"{name}/"):
            continue
        bodies, rest = holders[name](), path[len(name) + 1 :]
        part = next((label for label in bodies if rest == label or rest.startswith(f"{label}/")), "")
        if part not in bodies:
            raise InvalidInput(
                got=f"{before + path!r}, and {before + name!r} holds {len(bodies)} programs",
                expected="the one to open",
                remedy=" or ".join(f"graph.open({before + name + '/' + label!r})" for label in bodies),
            )
        inner = rest[len(part) + 1 :] if part else rest
        inside = before + path.removesuffix(inner)
        return opened(bodies[part], inner, inside) if inner else bodies[part]
    near = difflib.get_close_matches(path, holders, n=3, cutoff=0.3) or list(holders)[:3]
    raise InvalidInput(
        got=f"nothing to open is called {before + path!r}",
        expected="a loop, a branch, a checkpoint or an operation with a custom derivative"
        + (f", such as {', '.join(near)}" if near else "; this graph has none"),
        remedy="[node.name for node in graph.nodes if node.bodies] lists them",
    )
