"""`diffprog`: every command by its name; their options are in `commands`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

import diffprog
from diffprog.cli import startup
from diffprog.cli.commands import networks, pictures, programs, words

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: dict[str, Callable[..., Any]] = {
    "visualize": pictures.visualize,
    "guide": words.guide,
    "dream": pictures.dream,
    "sweep": pictures.sweep,
    "redraw": pictures.redraw,
    "score": pictures.score,
    "models": networks.list_models,
    "layers": networks.list_layers,
    "fetch": networks.fetch,
    "graph": programs.show_graph,
    "explain": programs.explain,
    "diagnose": programs.diagnose,
    "rules": programs.show_rules,
    "pretrain": words.pretrain,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


def main() -> None:
    """Run the command line."""
    startup.prepare()
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"diffprog {diffprog.__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Pictures of what the units of a network respond to."""
