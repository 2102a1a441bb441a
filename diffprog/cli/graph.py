"""`diffprog graph`: a network, or a function of the user's own, as a page, a picture or Graphviz's language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import typer

from diffprog import models
from diffprog.cli import user_code
from diffprog.errors import InvalidInput
from diffprog.files import check_path
from diffprog.graph import Graph, trace
from diffprog.graph.export import ENDINGS
from diffprog.models import Network


class _Program(NamedTuple):
    """What to draw the graph of."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    title: str


def write(what: str, out: Path | None, args_name: str | None = None) -> None:
    """Trace a network or a function, write its graph, and say where it is.

    Args:
        what: the name of a network, or FILE.py:FUNCTION.
        out: the file, whose ending says what it is; None: a page in the current folder.
        args_name: what the arguments of the user's function are called in the file.

    Raises:
        InvalidInput: no such network or function; a file of another kind.
        Unreachable: the file cannot be written.
    """
    path = check_path(out or Path(f"{_stem(what)}.html"), ENDINGS)
    program = _program(what, args_name)
    graph = trace(program.function, *program.args)
    replaced = " (in place of the one before)" if path.exists() else ""
    saved = graph.save(path, title=program.title)
    typer.echo(f"{saved}{replaced}")
    typer.echo(f"  of      {program.title}")
    typer.echo(f"  with    {_contents(graph)}")


def _program(what: str, args_name: str | None) -> _Program:
    if ".py" in what:
        return _Program(*user_code.load(what, args_name))
    if args_name is not None:
        raise InvalidInput(
            f"--args {args_name} for {what}", "arguments only for FILE.py:FUNCTION", f"graph {what}"
        )
    net = models.load(what)
    return _Program(net, (_picture(net),), net.title)


def _picture(net: Network) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, net.input_size, net.input_size, 3), jnp.float32)


def _stem(what: str) -> str:
    return "_".join(part for part in (Path(what.rpartition(":")[0]).stem, what.rpartition(":")[2]) if part)


def _contents(graph: Graph) -> str:
    scopes = len({node.scope for node in graph.nodes if node.scope})
    return f"{len(graph.nodes)} operations in {scopes} scopes" if scopes else f"{len(graph.nodes)} operations"
