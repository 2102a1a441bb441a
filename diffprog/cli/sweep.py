"""`diffprog sweep`: all units of whole layers, in a folder that goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import typer

from diffprog import models
from diffprog.cli import checks
from diffprog.cli.failures import INTERRUPTED
from diffprog.errors import InvalidInput
from diffprog.vision import sweep
from diffprog.vision.recipes import Recipe
from diffprog.vision.sweeps.run import short

MOST_CHANNELS = 100_000


def draw(
    model: str,
    layers: list[str],
    out: Path | None,
    size: int | None,
    steps: int | None,
    recipe: str | None,
    channels: str | None,
    photographs: Path | None,
    seed: int,
) -> None:
    """Draw the units, and say where they are.

    Raises:
      typer.Exit: it was interrupted; what was drawn is there.
    """
    named = checks.recipe(recipe) if recipe else None
    checks.whole("--steps", 1 if steps is None else steps, 1)
    checks.whole("--seed", seed, 0, checks.LARGEST_SEED)
    wanted = channels_of(channels) if channels else None
    net = models.load(model)
    usual = short(net, layers)
    chosen: Recipe = named.replace(size=named.size or usual.size) if named else usual
    checks.size(models.card(model), chosen, size)
    folder = out or Path(f"{model}-units")
    done = sweep(
        net, layers, folder, channels=wanted, recipe=chosen, size=size, steps=steps, key=seed,
        photographs=photographs, progress=True,
    )  # fmt: skip
    typer.echo(done.page)
    typer.echo(
        f"  drew    {done.drawn} of {done.units} units; the others were there"
        if done.drawn < done.units and done.stopped == "finished"
        else f"  drew    {done.drawn} of {done.units} units"
    )
    if done.stopped != "finished":
        typer.echo("diffprog: interrupted; the same command goes on where it stopped", err=True)
        raise typer.Exit(INTERRUPTED)


def channels_of(text: str) -> list[int]:
    """Channels as `0:64`, `3,5,8` or `7`.

    Raises:
      InvalidInput: anything else.

    Example:
      >>> channels_of("2:4,9")
      [2, 3, 9]
    """
    found: list[int] = []
    try:
        for part in text.split(","):
            first, colon, last = part.partition(":")
            ends = int(first), int(last) if colon else int(first) + 1
            if not 0 <= ends[0] < ends[1] <= MOST_CHANNELS:
                raise ValueError(part)
            found += range(*ends)
    except ValueError:
        raise InvalidInput(
            f"--channels {text}", "numbers and ranges such as 0:64 or 3,5,8", "--channels 0:64"
        ) from None
    return sorted(set(found))
