"""The commands about networks: `models`, `layers`, `fetch`."""

from __future__ import annotations

from typing import Annotated

import typer

from diffprog import models
from diffprog.cli import listings, units
from diffprog.cli.commands.options import Debug
from diffprog.cli.failures import told


def list_models(debug: Debug = False) -> None:
    """List the networks, their licences, and where their weights are."""
    with told(debug):
        typer.echo(listings.models())


def list_layers(
    model: Annotated[str, typer.Argument(help="See `diffprog models`.", show_default=False)],
    debug: Debug = False,
) -> None:
    """List the layers of a network, for pictures of its own size."""
    with told(debug):
        net = models.load(model)
        typer.echo(listings.layers(units.layers(net, net.input_size).layers))


def fetch(
    model: Annotated[list[str], typer.Argument(help="See `diffprog models`.", show_default=False)],
    debug: Debug = False,
) -> None:
    """Fetch the weights of networks now, to use them without a network connection later."""
    with told(debug):
        for name in model:  # all names before the first download
            if name not in models.OTHERS:
                models.card(name)
        for name in model:
            models.fetch(name)
            where = "in the cache" if name in models.OTHERS else listings.whereabouts(models.card(name))
            typer.echo(f"{name}: weights {where}")
