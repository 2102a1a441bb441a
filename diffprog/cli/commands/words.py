"""The commands about words and pictures: `guide`, `pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffprog.cli import guide as guiding
from diffprog.cli import pretrain as pretraining
from diffprog.cli.commands.options import Debug, Out
from diffprog.cli.failures import told


def guide(
    prompt: Annotated[
        str,
        typer.Argument(
            help="What the pictures should be like; several with | between them, with :weight behind each.",
            show_default=False,
        ),
    ],
    generator: Annotated[
        str,
        typer.Option(
            "--generator",
            "-g",
            help=f"One of {', '.join(guiding.GENERATORS)}; or {', '.join(guiding.PUBLISHED)}, with --weights.",
        ),
    ] = "dcgan-faces",
    weights: Annotated[
        Path | None, typer.Option(help="The weight file of a published generator.", show_default=False)
    ] = None,
    scorer: Annotated[
        str, typer.Option(help="words, conse or clip for any words, class for the name of a class.")
    ] = "words",
    clip: Annotated[
        Path | None,
        typer.Option(
            help="With --scorer clip, the weights of a CLIP: a file, or the folder it is in.",
            show_default=False,
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="With --scorer clip, its vocabulary.",
            show_default="in or beside the weights, or the published",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="The classifier that scores, see `diffprog models`.")
    ] = guiding.DEFAULT_MODEL,
    n: Annotated[int, typer.Option("--n", "-n", help="How many pictures, each from its own start.")] = 8,
    steps: Annotated[int, typer.Option(help="Steps of the optimizer.")] = 150,
    seed: Annotated[int, typer.Option(help="Another seed is other pictures.")] = 0,
    judge: Annotated[
        bool, typer.Option("--judge", help="Ask a second network, and compare with as many random draws.")
    ] = False,
    judge_model: Annotated[
        str | None, typer.Option(help="Which network judges.", show_default="one that does not score")
    ] = None,
    out: Out = None,
    film: Annotated[
        Path | None,
        typer.Option(
            "--film", "--gif", help="Write how they came about, too: a GIF or MP4.", show_default=False
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Make pictures that do what words say, by moving the latents of a generator."""
    with told(debug):
        asked = guiding.judge_for(model, judge, judge_model)
        guiding.run(
            guiding.Wish(
                prompt, generator, weights, scorer, clip, tokenizer, model, n, steps, seed, asked, out, film
            )
        )


def pretrain(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The .safetensors file to write.")
    ] = pretraining.OUT,
    epochs: Annotated[float, typer.Option(help="How often every drawing is seen.")] = pretraining.EPOCHS,
    batch: Annotated[
        int, typer.Option(help="Drawings in a step, each told from all others.")
    ] = pretraining.BATCH,
    size: Annotated[int, typer.Option(help="Height and width of the drawings in pixels.")] = 48,
    loss: Annotated[str, typer.Option(help=f"One of {', '.join(pretraining.LOSSES)}.")] = "info_nce",
    devices: Annotated[
        int | None,
        typer.Option(help="Spread every batch over so many; CPUs are split.", show_default="all there are"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another start and another order.")] = 0,
    debug: Debug = False,
) -> None:
    """Train a small CLIP on the drawings of OpenMoji and their names; stopped, it goes on where it was."""
    with told(debug):
        pretraining.run(out, epochs, batch, size, loss, devices, seed)
