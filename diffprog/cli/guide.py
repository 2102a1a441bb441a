"""`diffprog guide`: from words to pictures, and what a scorer that had no part makes of them.

Here the strings of the command line become objects; everything is checked before the first network is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from diffprog import models
from diffprog.cli import checks
from diffprog.cli.failures import INTERRUPTED, UNEXPECTED
from diffprog.errors import InvalidInput, Unreachable
from diffprog.guide import Guided, Scorer, generators, guide, judged, prompt, read_manifest, scorers
from diffprog.vision.canvases import CPPN, Fourier, Pixel
from diffprog.vision.films import check_film

GENERATORS: dict[str, Callable[[], Any]] = {
    "dcgan-faces": lambda: models.load("dcgan-faces"),
    "fourier": lambda: generators.canvas(Fourier(decay=1.5), 128),
    "pixel": lambda: generators.canvas(Pixel(), 128),
    "cppn": lambda: generators.canvas(CPPN(), 128),
}
PUBLISHED = models.gans.names()  # generators that are read from --weights
SCORERS: dict[str, Callable[..., Scorer]] = {
    "words": scorers.words,
    "conse": scorers.conse,
    "class": scorers.classifier,
    "clip": scorers.clip,
}
DEFAULT_MODEL, DEFAULT_JUDGE = "efficientnet-lite0", "efficientnet-lite1"


@dataclass(frozen=True)
class Wish:
    """The options of the command, as they were typed; None is left to us."""

    prompt: str
    generator: str
    weights: Path | None
    scorer: str
    clip: Path | None
    tokenizer: Path | None
    model: str
    n: int
    steps: int
    seed: int
    judge: str | None
    out: Path | None
    film: Path | None


def run(wish: Wish) -> None:
    """Make the pictures, save them, and say how they do.

    Raises:
        InvalidInput: an empty prompt, an unknown name, a number out of range, a judge that is the scorer's network.
        Unreachable: a folder that cannot be written, or weights that cannot be fetched.
        typer.Exit: it did not come to its end; what there is was saved, and that is said.
    """
    words, make = prompt(wish.prompt), maker(wish.generator, wish.weights)
    check(wish)
    path = (
        checks.destination(wish.out)
        if wish.out
        else checks.default_destination(wish.prompt, read_manifest, "diffprog guide")
    )
    film = None if wish.film is None else check_film(wish.film)
    scoring, making = scorer_of(wish), make()
    made = guide(
        words,
        generator=making,
        scorer=scoring,
        n=wish.n,
        steps=wish.steps,
        key=wish.seed,
        trajectory=film is not None,
        progress=True,
    )
    if made.stopped == "interrupted" and not len(made.history["plain"]):
        raise KeyboardInterrupt
    tell(made, made.save(path), None if film is None else made.save_film(film), wish.steps)
    if wish.judge is not None and made.stopped == "finished":
        asked = SCORERS["words" if wish.scorer == "clip" else wish.scorer](wish.judge)
        verdicts = judged(made, generator=making, scorer=scoring, judge=asked)
        typer.echo("\n".join(f"  judge     {verdict}" for verdict in verdicts))
    finish(made, wish.steps)


def check(wish: Wish) -> None:
    """Refuse unknown names, numbers out of range, and a judge that takes part.

    Raises:
        InvalidInput, Unreachable: what is wrong.
    """
    checks.one_of("--scorer", wish.scorer, SCORERS)
    checks.one_of("--model", wish.model, models.names())
    check_clip(wish.scorer, wish.clip, wish.tokenizer)
    if wish.judge is not None:
        checks.one_of("--judge-model", wish.judge, models.names())
    if wish.judge == wish.model and wish.scorer != "clip":
        raise InvalidInput(
            f"the judge {wish.judge}, which is the network that scores",
            "one that had no part",
            f"--judge-model {_other(wish.model)}",
        )
    for name, number, most in (("--n", wish.n, 256), ("--steps", wish.steps, 100_000)):
        checks.whole(name, number, 1, most)
    checks.whole("--seed", wish.seed, 0, checks.LARGEST_SEED)


def scorer_of(wish: Wish) -> Scorer:
    """The scorer, with its network."""
    make = SCORERS[wish.scorer]
    return make(wish.clip, tokenizer=wish.tokenizer) if wish.scorer == "clip" else make(wish.model)


def check_clip(scorer: str, clip: Path | None, tokenizer: Path | None) -> None:
    """Refuse a CLIP without its weights, weights that nobody asked for, and paths where nothing is.

    Raises:
        InvalidInput: options that do not belong together.
        Unreachable: nothing is at a path.
    """
    if scorer == "clip" and clip is None:
        raise InvalidInput(
            "--scorer clip without --clip",
            "the weights of a CLIP: a file or folder of Hugging Face's, OpenAI's or OpenCLIP's, or one of your own",
            "--clip path/to/model.safetensors; `diffprog pretrain` trains a small one",
        )
    for option, path in (("--clip", clip), ("--tokenizer", tokenizer)):
        if path is not None and scorer != "clip":
            raise InvalidInput(
                f"{option} with --scorer {scorer}, which has no use for it", "--scorer clip", "--scorer clip"
            )
        if path is not None and not path.exists():
            raise Unreachable(
                f"{option} {path}, where there is nothing", "a file or a folder", "check the path"
            )


def maker(generator: str, weights: Path | None) -> Callable[[], Any]:
    """What loads a generator, by its name and, for a published one, from its weights.

    Raises:
        InvalidInput: an unknown name, weights that are missing, or that a generator has of its own.
        Unreachable: no such file.
    """
    checks.one_of("--generator", generator, [*GENERATORS, *PUBLISHED])
    if generator in PUBLISHED:
        if weights is None:
            raise InvalidInput(
                f"--generator {generator} without --weights",
                "the file of its weights, which are not shipped and not fetched",
                f"--generator {generator} --weights path/to/model.safetensors",
            )
        if not weights.is_file():
            raise Unreachable(f"no file {weights}", "a weight file", "--weights with the path of one")
        return lambda: models.gans.load(weights, generator)
    if weights is not None:
        raise InvalidInput(
            f"--weights {weights} for --generator {generator}",
            "weights for one of " + ", ".join(PUBLISHED) + "; the others have their own, or none",
            f"--generator {PUBLISHED[0]} --weights {weights}",
        )
    return GENERATORS[generator]


def tell(made: Guided, path: Path, film: Path | None, steps: int) -> None:
    """Where the pictures are, of what, by what, and their scores."""
    settings = made.settings
    typer.echo(f"{path}" + (f" and {film}" if film else ""))
    typer.echo(f"  of        {made.prompts[0]}")
    typer.echo(f"  by        {settings['generator']} and {settings['scorer']}, {steps} steps")
    typer.echo(f"  at first  {line(made.start_scores)}")
    typer.echo(f"  now       {line(made.scores)} as they are")
    typer.echo(f"            {line(made.augmented)} under random views, on average")


def finish(made: Guided, steps: int) -> None:
    """Say why a run did not come to its end.

    Raises:
        typer.Exit: it did not.
    """
    taken = f"{len(made.history['plain'])} of {steps} steps"
    if made.stopped == "interrupted":
        typer.echo(f"diffprog: interrupted; saved what there was: {taken}", err=True)
        raise typer.Exit(INTERRUPTED)
    if made.stopped != "finished":
        typer.echo(f"diffprog: saved the last good pictures, after {taken}: {made.why}", err=True)
        raise typer.Exit(UNEXPECTED)
    if "not finite" in made.why:
        typer.echo(f"diffprog: {made.why}", err=True)


def line(scores: np.ndarray) -> str:
    """A few scores in one line."""
    shown = "  ".join(f"{score:.2f}" for score in scores[:8])
    return shown if len(scores) <= 8 else f"{shown}  and {len(scores) - 8} more"


def judge_for(model: str, judge: bool, named: str | None) -> str | None:
    """The network of the judge: the one that was named, else one that is not the scorer's; None for no judge."""
    return (named or _other(model)) if judge or named else None


def _other(model: str, choices: Sequence[str] = (DEFAULT_JUDGE, "efficientnet-lite2")) -> str:
    return next(name for name in choices if name != model)
