"""`diffprog dream photo.jpg`: what the options mean, what is checked before the work, and what is said after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from diffprog import models
from diffprog.cli import checks, units
from diffprog.cli.failures import INTERRUPTED, UNEXPECTED
from diffprog.errors import InvalidInput
from diffprog.files import check_path
from diffprog.graph.objectives import Objective, layer
from diffprog.models import Network
from diffprog.vision import Dream, DreamRecipe, Film, Photo, dream, guided, read_photo, read_settings, zoom
from diffprog.vision.dreams import DEFAULT
from diffprog.vision.films import check_film
from diffprog.vision.picture_files import PICTURES

# The layers whose dreams we like best: halfway up, where there are parts of things.
LAYERS = {
    "squeezenet": "fire7",
    "efficientnet-lite0": "blocks/10",
    "efficientnet-lite1": "blocks/14",
    "efficientnet-lite2": "blocks/14",
}
SIZE, FILM_SIZE = 1024, 400
LARGEST_SIZE = 16_384
LATER_STEPS = 3
MOST_FRAMES = 2000


@dataclass(frozen=True)
class Wish:
    """What the user asked for; None is left to us."""

    photo: Path
    model: str = "squeezenet"
    layer: str | None = None
    unit: str | None = None
    guide: Path | None = None
    octaves: int | None = None
    steps: int | None = None
    strength: float = 1.0
    size: int | None = None
    zoom: int | None = None
    seed: int = 0
    out: Path | None = None


def run(wish: Wish) -> None:
    """Dream a photograph, or a film into it, and save it.

    Raises:
        DiffprogError: something that the user can change.
        KeyboardInterrupt: interrupted before there was anything to save.
        typer.Exit: it did not come to its end; what there is was saved, and that is said.
    """
    recipe = _recipe(wish)
    path = _destination(wish)
    models.card(wish.model)
    photo = read_photo(wish.photo)
    net = models.load(wish.model)
    objective, title = _objective(wish, net)
    size = _size(wish)
    if wish.zoom is None:
        made: Dream | Film = dream(
            net, photo, objective, recipe=recipe, size=size, key=wish.seed, progress=True
        )
    else:
        later = min(LATER_STEPS, recipe.steps)
        made = zoom(
            net, photo, objective, wish.zoom, recipe=recipe, later_steps=later, size=size, key=wish.seed,
            progress=True,
        )  # fmt: skip
    _finish(made, path, f"{title}; {net.title}", wish, photo)


def _recipe(wish: Wish) -> DreamRecipe:
    checks.whole("--seed", wish.seed, 0, checks.LARGEST_SEED)
    if not 0 < wish.strength <= 20:
        raise InvalidInput(f"--strength {wish.strength:g}", "a number above 0, at most 20", "--strength 1")
    for option, number in (("--octaves", wish.octaves), ("--steps", wish.steps), ("--zoom", wish.zoom)):
        most = {"--octaves": 32, "--zoom": MOST_FRAMES}.get(option)
        checks.whole(option, 1 if number is None else number, 1, most)
    changes = {"octaves": wish.octaves, "steps": wish.steps}
    chosen = {name: number for name, number in changes.items() if number is not None}
    return DEFAULT.replace(step_size=DEFAULT.step_size * wish.strength, **chosen)


def _size(wish: Wish) -> int | None:
    if wish.size == 0:
        return None
    usual = SIZE if wish.zoom is None else FILM_SIZE
    return usual if wish.size is None else checks.whole("--size", wish.size, 1, LARGEST_SIZE)


def _objective(wish: Wish, net: Network) -> tuple[Objective, str]:
    if wish.unit is not None:
        if wish.layer is not None or wish.guide is not None:
            raise InvalidInput(
                "--unit together with --layer or --guide",
                "one thing to exaggerate: a unit, a layer, or what a guide shows to a layer",
                "leaving one of them out",
            )
        unit = units.parse(wish.unit, net, net.input_size)
        return unit.objective, unit.title
    name = wish.layer or LAYERS[wish.model]
    units.layer_shape(units.layers(net, net.input_size), name, net)
    if wish.guide is None:
        return layer(name), f"layer {name}"
    return guided(net, name, wish.guide), f"layer {name}, guided by {wish.guide.name}"


def _destination(wish: Wish) -> Path:
    film = wish.zoom is not None
    check = check_film if film else lambda path: check_path(path, PICTURES)
    if wish.out is not None:
        return checks.destination(wish.out, check)
    own = Path(f"{wish.photo.stem or 'photo'}_dream{'.gif' if film else '.png'}")
    return checks.replaceable(checks.destination(own, check), read_settings, "diffprog")


def _finish(made: Dream | Film, path: Path, what: str, wish: Wish, photo: Photo) -> None:
    settings = made.settings() if isinstance(made, Dream) else made.settings
    if made.stopped == "interrupted" and not settings["steps"] and settings.get("frames", 1) == 1:
        raise KeyboardInterrupt
    replaced = " (in place of the one before)" if path.exists() else ""
    typer.echo(f"{made.save(path)}{replaced}")
    height, width = settings["size"]
    much = f"{settings['frames']} frames" if isinstance(made, Film) else f"{settings['steps']} steps in all"
    typer.echo(f"  of      {what}")
    typer.echo(f"  from    {photo.name}")
    typer.echo(f"  by      {much}, {width}x{height} pixels, strength {wish.strength:g}, seed {wish.seed}")
    _say_why(made.stopped)


def _say_why(stopped: str) -> None:
    if stopped == "interrupted":
        typer.echo("diffprog: interrupted; saved what there was", err=True)
        raise typer.Exit(INTERRUPTED)
    if stopped == "not finite":
        typer.echo("diffprog: the gradient was not finite; saved the last picture before that", err=True)
        raise typer.Exit(UNEXPECTED)
