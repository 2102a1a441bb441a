"""The commands about programs and their gradients: `graph`, `explain`, `diagnose`, `rules`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffprog.cli import checks, rulebook
from diffprog.cli import graph as graphs
from diffprog.cli.commands.options import FUNCTION_HELP, Debug
from diffprog.cli.diagnose import diagnosis
from diffprog.cli.explain import explain as explained
from diffprog.cli.failures import told


def show_graph(
    what: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|FILE.py:FUNCTION", help="A network, or your function.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="A page (.html), a picture (.svg), or .dot.", show_default="a page here"
        ),
    ] = None,
    backprop: Annotated[
        bool, typer.Option("--backprop", help="Let the page go through the backward sweep of a cost, too.")
    ] = False,
    unit: Annotated[
        str | None,
        typer.Option(
            help="With --backprop, the class of MODEL to go back from: chameleon, 47.", show_default=False
        ),
    ] = None,
    args: Annotated[
        str | None,
        typer.Option(help="What FUNCTION's arguments are called in FILE.", show_default="FUNCTION_args"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write the graph of a network or a function: a page to open in a browser, or a picture."""
    with told(debug):
        graphs.write(what, out, args, backprop, unit)


def explain(
    what: Annotated[str, typer.Argument(help=f"`lecture`, or {FUNCTION_HELP}", show_default=False)],
    args: Annotated[
        str | None, typer.Option(help="What the arguments are called.", show_default="FUNCTION_args")
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option(help="An argument that is a parameter; may be repeated.", show_default="by custom"),
    ] = None,
    digits: Annotated[int, typer.Option(help="Digits of the numbers.")] = 4,
    debug: Debug = False,
) -> None:
    """Run backprop step by step, through the lecture's example or a function of your own."""
    with told(debug):
        typer.echo(explained(what, args, parameters or (), digits))


def diagnose(
    function: Annotated[
        str,
        typer.Argument(help="FILE.py:FUNCTION, a cost; its arguments are FUNCTION_args.", show_default=False),
    ],
    args: Annotated[
        str | None,
        typer.Option(help="What the arguments are called in the file.", show_default="FUNCTION_args"),
    ] = None,
    argnums: Annotated[
        list[int] | None,
        typer.Option(help="An argument to be optimized, from 0; may be repeated.", show_default="the first"),
    ] = None,
    products: Annotated[
        int, typer.Option(help="Hessian-vector products for the conditioning; 0 leaves it out.")
    ] = 24,
    debug: Debug = False,
) -> None:
    """Say what is not differentiable, dead, not finite or hard about a cost of your own."""
    with told(debug):
        checks.whole("--products", products, 0)
        typer.echo(diagnosis(function, args, argnums or [], products))


def show_rules(
    name: Annotated[str | None, typer.Argument(help="A rule, to see all of it.", show_default=False)] = None,
    debug: Debug = False,
) -> None:
    """Print the rule book: every hand-written backward rule, its proof and its speed."""
    with told(debug):
        typer.echo(rulebook.entry(name) if name else rulebook.table())
