"""`diffprog graph`: a network, or a function of the user's own, as a page, a picture or Graphviz's language."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import typer

from diffprog import models
from diffprog.cli import user_code
from diffprog.errors import InvalidInput
from diffprog.files import check_path
from diffprog.graph import Graph, backprop, trace
from diffprog.graph.pages.export import ENDINGS, save


class _Program(NamedTuple):
    """What to draw the graph of."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    title: str
    running: AbstractContextManager[Any]


def write(what: str, out: Path | None, args_name: str | None, watched: bool, unit: str | None) -> None:
    """Trace a network or a function, write its graph, and say where it is.

    Args:
        what: the name of a network, or FILE.py:FUNCTION.
        out: the file, whose ending says what it is; None: a page in the current folder.
        args_name: what the arguments of the user's function are called in the file.
        watched: whether the page goes through the backward sweep too.
        unit: for a network, the class from whose score it goes back.

    Raises:
        InvalidInput: no such network, class or function; a file of another kind; a function that fails.
        Unreachable: the file cannot be written.
    """
    path = check_path(out or Path(f"{_stem(what)}.html"), (".html",) if watched else ENDINGS)
    program = _own(what, args_name, unit) if ".py" in what else _network(what, args_name, watched, unit)
    with program.running:
        swept = backprop(program.function, *program.args) if watched else None
        graph = swept.graph if swept else trace(program.function, *program.args)
    replaced = " (in place of the one before)" if path.exists() else ""
    saved = save(graph, path, swept.steps if swept else None, program.title)
    typer.echo(f"{saved}{replaced}")
    typer.echo(f"  of      {program.title}")
    typer.echo(f"  with    {_contents(graph)}{f', {len(swept.steps)} steps back' if swept else ''}")


def _own(what: str, args_name: str | None, unit: str | None) -> _Program:
    if unit is not None:
        raise InvalidInput(
            f"--unit {unit} for {what}", "a class only for a network", f"graph {what} --backprop"
        )
    user = user_code.load(what, args_name)
    return _Program(user.function, user.args, user.title, user_code.running(user))


def _network(what: str, args_name: str | None, watched: bool, unit: str | None) -> _Program:
    if args_name is not None:
        raise InvalidInput(
            f"--args {args_name} for {what}", "arguments only for FILE.py:FUNCTION", f"graph {what}"
        )
    if watched != (unit is not None):
        got = "--backprop" if watched else f"--unit {unit}"
        expected = f"for a network both: --backprop, and --unit with a class to go back from; not {got} alone"
        raise InvalidInput(
            f"{got} for {what}", expected, f"graph {what} --backprop --unit {unit or 'chameleon'}"
        )
    net = models.load(what)
    shape = (1, net.input_size, net.input_size, 3)
    if unit is None:
        return _Program(net, (jax.ShapeDtypeStruct(shape, jnp.float32),), net.title, nullcontext())
    index = net.class_index(unit)

    def score(params: Any, images: jax.Array) -> jax.Array:
        return net.apply(params, images)[0, index]

    noise = jax.random.uniform(jax.random.key(0), shape)
    return _Program(
        score, (net.params, noise), f"{net.title}, {net.label(index)}, seeing noise", nullcontext()
    )


def _stem(what: str) -> str:
    file, _, function = what.rpartition(":")
    return f"{Path(file).stem}_{function}" if file else function


def _contents(graph: Graph) -> str:
    scopes = len({node.scope for node in graph.nodes if node.scope})
    return f"{len(graph.nodes)} operations in {scopes} scopes" if scopes else f"{len(graph.nodes)} operations"
