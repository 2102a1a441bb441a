"""A traced program, and its backward sweep, as one HTML page that works without a network.

`write_page(graph, "graph.html")` shows the operations grouped by scope; with `steps`, one goes through the backward
sweep node by node and sees every array of each. The parts of the page lie in `data/page/`: a template, a style, and
scripts of which each holds one idea; `data/dagre.min.js` finds the places. What is shown is
`page_record`'s and `page_steps`'s.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from diffprog.files import check_path, write_whole
from diffprog.graph.pages.record import describe
from diffprog.graph.pages.steps import describe_steps

if TYPE_CHECKING:  # those modules use this one
    from diffprog.graph.program import Graph
    from diffprog.graph.sweeps.step import Step

_SCRIPTS = ("model", "layout", "draw", "sweep", "panel", "search", "view", "keys", "main", "start")
_NOTEBOOK_HEIGHT = 560


def write_page(
    graph: Graph, path: str | os.PathLike[str], steps: Sequence[Step] | None = None, title: str | None = None
) -> Path:
    """Write the page: a single file, which needs nothing else and fetches nothing.

    Args:
        graph: what was traced.
        path: a file that ends in .html; its folder is there.
        steps: the backward sweep to go through, in its order; None: the graph alone, with shapes.
        title: what the page is called.

    Returns:
        The path.

    Raises:
        InvalidInput: another ending.
        Unreachable: a folder that is not there or cannot be written.
    """
    path = check_path(path, (".html", ".htm"))
    write_whole(path, page(graph, steps, title).encode())
    return path


def page(graph: Graph, steps: Sequence[Step] | None = None, title: str | None = None) -> str:
    """The page as a string; see `write_page`."""
    used = {flow.name for step in steps or () for flow in step.parameters}
    record = describe(graph, used)
    if steps is not None:
        record |= describe_steps(steps, graph.input_names)
    style, library, script = _asset("page/page.css"), _asset("dagre.min.js"), _script()
    return _template().render(
        title=title or ("Graph" if steps is None else "Backward sweep"),
        record=record,
        style=style,
        library=library,
        script=script,
        style_hash=_hash(style),
        script_hashes=f"{_hash(library)} {_hash(script)}",
    )


def notebook_view(graph: Graph, steps: Sequence[Step] | None = None) -> str:
    """The page inside a frame, as a notebook shows it; what runs in it cannot reach the notebook."""
    inner = html.escape(page(graph, steps), quote=True)
    return (
        f'<iframe srcdoc="{inner}" sandbox="allow-scripts allow-downloads" title="graph" '
        f'style="width: 100%; height: {_NOTEBOOK_HEIGHT}px; border: 1px solid #8886; border-radius: 8px"></iframe>'
    )


@functools.cache
def _asset(name: str) -> str:
    return (files("diffprog.graph.pages") / "data" / name).read_text(encoding="utf-8")


@functools.cache
def _script() -> str:
    inner = "\n".join(_asset(f"page/{name}.js") for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{inner}}})();\n'


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_asset("page/page.html.j2"))


def _hash(text: str) -> str:
    """What the page's own policy lets run: these very scripts, and nothing that a name might smuggle in."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
