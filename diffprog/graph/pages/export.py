"""A traced program as a file for other programs: DOT for Graphviz, SVG for documents; and saving by the ending.

`to_dot` writes all operations, scopes as nested clusters. `to_svg` draws the boxes of the page, with scopes closed
below a depth, on one level: nested frames are the page's ("Save SVG" there keeps what one opened by hand). The places
in the SVG are found by fast-sugiyama, which needs no other program on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffprog.errors import InvalidInput
from diffprog.files import check_path, write_whole
from diffprog.graph.pages.collapse import Box, collapse
from diffprog.graph.pages.page import page
from diffprog.graph.pages.record import describe, scope_path
from diffprog.graph.pages.vector import draw

if TYPE_CHECKING:  # those modules use this one
    from diffprog.graph.program import Graph
    from diffprog.graph.sweeps.step import Step

ENDINGS = (".html", ".svg", ".dot")
MOST_BOXES = 40  # of a picture whose depth is not given
_FILLS = {"parameter": "#fff3d6", "input": "#e1edff", "constant": "#eef0f3", "output": "#dff5ea"}


def save(
    graph: Graph,
    path: str | os.PathLike[str],
    steps: Sequence[Step] | None = None,
    title: str | None = None,
) -> Path:
    """Write a graph as its file's ending says: `.html` the page, `.svg` a picture, `.dot` for Graphviz.

    Args:
        graph: what was traced.
        path: the file; its folder is there.
        steps: the backward sweep, for the page.
        title: what a page is called.

    Raises:
        InvalidInput: another ending; steps for a file that cannot show them; a graph of nothing, or an SVG without
            the package that finds the places.
        Unreachable: a folder that is not there or cannot be written.
    """
    path = check_path(path, ENDINGS)
    ending = path.suffix.lower()
    if steps is not None and ending != ".html":
        raise InvalidInput(f"steps for {path.name}", "a page, which can show them", f"{path.stem}.html")
    text = {
        ".html": lambda: page(graph, steps, title),
        ".svg": lambda: to_svg(graph),
        ".dot": lambda: to_dot(graph),
    }
    write_whole(path, text[ending]().encode())
    return path


def to_svg(graph: Graph, depth: int | None = None) -> str:
    """A picture of the graph.

    Args:
        graph: what was traced.
        depth: how many levels of scopes are opened; 0: none, every outermost scope is one box; None: as many as
            leave a picture that can be read.

    Raises:
        InvalidInput: a negative depth; the package fast-sugiyama is missing.
    """
    if depth is not None and depth < 0:
        raise InvalidInput(f"depth {depth}", "a number of levels, from 0 on", "depth=0")
    record = describe(graph)
    if depth is not None:
        return draw(collapse(record, depth))
    deepest = max((len(scope_path(node)) for node in graph.nodes), default=0)
    views = [collapse(record, level) for level in range(deepest + 1)]
    return draw(next((view for view in reversed(views) if len(view.boxes) <= MOST_BOXES), views[0]))


def to_dot(graph: Graph) -> str:
    """The graph in Graphviz's language: one node an operation, one cluster a scope.

    Example:
        >>> import jax.numpy as jnp
        >>> from diffprog.graph import trace
        >>> print(to_dot(trace(lambda x: jnp.tanh(x), jnp.ones(3))))
        digraph {
          node [shape=box, style="rounded,filled", fillcolor=white, fontname="Helvetica"];
          "a0" [label="x\\nfloat32[3]", fillcolor="#e1edff"];
          "n0" [label="tanh\\nfloat32[3]"];
          "o0" [label="output\\nfloat32[3]", fillcolor="#dff5ea"];
          "a0" -> "n0";
          "n0" -> "o0";
        }
    """
    record = describe(graph)
    view = collapse(record, depth=len(record["scopes"]))
    lines = [
        "digraph {",
        '  node [shape=box, style="rounded,filled", fillcolor=white, fontname="Helvetica"];',
        *_clusters(record, view.boxes, -1, "  "),
        *(f"  {_quoted(a)} -> {_quoted(b)};" for a, b in view.edges),
        "}",
    ]
    return "\n".join(lines)


def _clusters(record: dict[str, Any], boxes: Sequence[Box], scope: int, indent: str) -> Iterator[str]:
    for box in boxes:
        if box.scope == scope:
            fill = f", fillcolor={_quoted(_FILLS[box.kind])}" if box.kind in _FILLS else ""
            yield f"{indent}{_quoted(box.id)} [label={_quoted(box.label, box.detail)}{fill}];"
    for number, inner in enumerate(record["scopes"]):
        if inner["parent"] == scope:
            yield f"{indent}subgraph {_quoted(f'cluster_{number}')} {{"
            yield f'{indent}  label={_quoted(inner["label"])}; style=rounded; color="#9aa5b3"; fontname="Helvetica";'
            yield from _clusters(record, boxes, number, indent + "  ")
            yield f"{indent}}}"


def _quoted(*lines: str) -> str:
    """A string of Graphviz's; its lines are centred one under the other."""
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") for line in lines if line)
    return '"' + "\\n".join(escaped) + '"'
