"""The end of every drawing: the file is written whole, and what was drawn is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import typer

from diffprog.cli.failures import INTERRUPTED, UNEXPECTED
from diffprog.vision import Drawing

MOST_SCORES = 16


def finish(drawing: Drawing, path: Path, what: str, how: str) -> None:
    """Save a drawing and say where it is, what it is of, and how well it does.

    Args:
        drawing: what was drawn, to its end or not.
        path: the PNG to write.
        what: what it is of.
        how: how it was drawn.

    Raises:
        KeyboardInterrupt: interrupted before the first step; there is nothing to save.
        typer.Exit: it did not come to its end; what there is was saved, and that is said.
    """
    taken = len(drawing.history)
    if drawing.stopped == "interrupted" and not taken and len(drawing.images) == 1:
        raise KeyboardInterrupt
    replaced = " (in place of the one before)" if path.exists() else ""
    typer.echo(f"{drawing.save(path)}{replaced}")
    typer.echo(f"  of      {what}")
    typer.echo(f"  by      {how}")
    typer.echo(f"  score   {scores(drawing.scores)} as it is")
    if drawing.recipe.transforms:
        typer.echo(f"          {scores(drawing.robust_scores)} seen through the transforms, on average")
    if drawing.stopped != "finished":
        _say_why(drawing, taken)


def scores(values: np.ndarray) -> str:
    """A few numbers in one line."""
    shown = "  ".join(f"{float(value):.2f}" for value in values[:MOST_SCORES])
    return shown if len(values) <= MOST_SCORES else f"{shown}  and {len(values) - MOST_SCORES} more"


def _say_why(drawing: Drawing, taken: int) -> None:
    steps = f"{taken} of {drawing.recipe.steps} steps"
    if drawing.stopped == "interrupted":
        whole = f"{len(drawing.images)} pictures, the last after " if len(drawing.images) > 1 else ""
        typer.echo(f"diffprog: interrupted; saved what there was: {whole}{steps}", err=True)
        raise typer.Exit(INTERRUPTED)
    typer.echo(f"diffprog: the score was not finite; saved the last picture before that: {steps}", err=True)
    raise typer.Exit(UNEXPECTED)
