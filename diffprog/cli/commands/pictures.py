"""The commands that draw and measure: `visualize`, `redraw`, `dream`, `sweep`, `score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffprog import models
from diffprog.cli import checks, units
from diffprog.cli import score as scoring
from diffprog.cli import sweep as sweeping
from diffprog.cli.commands.options import UNIT_HELP, Debug, Out
from diffprog.cli.dream import Wish
from diffprog.cli.dream import run as run_dream
from diffprog.cli.failures import told
from diffprog.cli.outcome import finish
from diffprog.errors import InvalidInput
from diffprog.vision import read_request, recipes
from diffprog.vision import redraw as redraw_picture
from diffprog.vision import visualize as draw
from diffprog.vision.canvases.canvas import height_width


def visualize(
    unit: Annotated[str, typer.Argument(help=UNIT_HELP, show_default=False)],
    model: Annotated[str, typer.Option("--model", "-m", help="See `diffprog models`.")] = "squeezenet",
    size: Annotated[
        int | None, typer.Option(help="Height and width in pixels.", show_default="the network's own")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of the optimizer.", show_default="the recipe's")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(recipes.RECIPES)}.", show_default="the network's own"),
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="How many pictures, each from its own start.")] = 1,
    seed: Annotated[int, typer.Option(help="Another seed is another picture.")] = 0,
    out: Out = None,
    debug: Debug = False,
) -> None:
    """Draw what excites a unit of a network, as a PNG."""
    with told(debug):
        named = checks.recipe(recipe) if recipe else None
        size = checks.size(models.card(model), named or recipes.DEFAULT, size)
        checks.whole("--steps", 1 if steps is None else steps, 1)
        checks.whole("--n", n, 1)
        checks.whole("--seed", seed, 0, checks.LARGEST_SEED)
        path = checks.destination(out) if out else checks.default_destination(unit)
        net = models.load(model)
        found = units.parse(unit, net, size)
        known = named or recipes.default_for(net, found.objective)
        chosen = known.replace(size=size, steps=steps or known.steps)
        drawing = draw(net, found.objective, recipe=chosen, n=n, key=seed, title=found.title, progress=True)
        name = recipe or checks.recipe_name(known)
        how = f"{chosen.steps} steps of recipe {name}, {size}x{size} pixels, seed {seed}"
        finish(drawing, path, f"{found.title}; {net.title}", how)


def redraw(
    picture: Annotated[Path, typer.Argument(help="A PNG that diffprog saved.", show_default=False)],
    out: Out = None,
    debug: Debug = False,
) -> None:
    """Draw a saved picture again, from what the file says of itself."""
    with told(debug):
        path = checks.destination(out) if out else checks.default_destination(f"{picture.stem}_again")
        wish = read_request(picture)
        if wish.model not in models.names():
            raise InvalidInput(
                f"{picture}, drawn of {wish.model or 'a function of your own'}",
                "a picture of one of " + ", ".join(models.names()),
                "from Python: diffprog.redraw(path, model)",
            )
        least = min(height_width(wish.recipe.size)) if wish.recipe.size else None
        checks.size(models.card(wish.model), wish.recipe, least)
        net = models.load(wish.model)
        drawing = redraw_picture(picture, net, progress=True)
        finish(drawing, path, f"{wish.title}; {net.title}", f"{wish.recipe.steps} steps, as {picture} was")


def dream(
    photo: Annotated[Path, typer.Argument(help="JPEG, PNG, WebP, GIF, TIFF, ...", show_default=False)],
    model: Annotated[str, typer.Option("--model", "-m", help="See `diffprog models`.")] = "squeezenet",
    layer: Annotated[
        str | None,
        typer.Option(help="What to exaggerate: a layer, see `diffprog layers`.", show_default="one we like"),
    ] = None,
    unit: Annotated[str | None, typer.Option(help=f"Or: {UNIT_HELP}", show_default=False)] = None,
    guide: Annotated[
        Path | None,
        typer.Option(help="A second photograph, of what the layer shall see more of.", show_default=False),
    ] = None,
    strength: Annotated[float, typer.Option(help="How far to go.")] = 1.0,
    steps: Annotated[int | None, typer.Option(help="Steps at every scale.", show_default="20")] = None,
    octaves: Annotated[
        int | None, typer.Option(help="At how many scales.", show_default="by the photograph's size")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Longer side in pixels, to shrink to; 0 for the photograph's own.",
            show_default="1024, or 400 for a film",
        ),
    ] = None,
    zoom: Annotated[
        int | None, typer.Option(help="A film of this many frames into the dream.", show_default="a picture")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another picture.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="A PNG or JPEG; for a film a GIF or MP4.", show_default="PHOTO_dream.png"
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Let a network exaggerate what it sees in a photograph."""
    with told(debug):
        run_dream(Wish(photo, model, layer, unit, guide, octaves, steps, strength, size, zoom, seed, out))


def sweep(
    model: Annotated[str, typer.Argument(help="See `diffprog models`.", show_default=False)],
    layers: Annotated[
        list[str],
        typer.Argument(help="Layers, or patterns: fire5/expand3x3, 'fire*/squeeze'.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A folder.", show_default="MODEL-units")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Height and width in pixels.", show_default="128")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the optimizer.", show_default="128")] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help=f"One of {', '.join(recipes.RECIPES)}.", show_default="the network's own, shortened"
        ),
    ] = None,
    channels: Annotated[
        str | None, typer.Option(help="Of every layer: 0:64, or 3,5,8.", show_default="all")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="A folder of photographs: those that excite a unit most are shown beside it."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another set of pictures.")] = 0,
    debug: Debug = False,
) -> None:
    """Draw all units of whole layers into a folder that opens as a page; stopped, it goes on where it was."""
    with told(debug):
        sweeping.draw(model, layers, out, size, steps, recipe, channels, images, seed)


def score(
    pictures: Annotated[
        list[Path],
        typer.Argument(metavar="PICTURE...", help="PNGs that diffprog drew, or any.", show_default=False),
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="The network to ask.", show_default="what each picture says"),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option("--unit", "-u", help=UNIT_HELP, show_default="what each picture says"),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="A network that had no part, to ask too; may be repeated; none for none.",
            show_default="all others that are here already",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Size in pixels at which to see all of them.",
            show_default="as drawn, and the network's own for others",
        ),
    ] = None,
    draws: Annotated[int, typer.Option(help="How many random views.")] = 64,
    seed: Annotated[int, typer.Option(help="Another seed is other views.")] = 0,
    again: Annotated[
        bool, typer.Option("--redraw", help="Draw each again: is it the same, how long, how much memory?")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: JSON in place of a table.")] = False,
    debug: Debug = False,
) -> None:
    """Measure pictures: by their unit, by other networks, and by what photographs are like."""
    with told(debug):
        scoring.run(scoring.Wish(pictures, model, unit, judge or [], size, draws, seed, again, as_json))
