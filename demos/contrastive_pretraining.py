"""CLIP, part 1: two towers learn to put drawings and their names into one space, from nothing.

    drawing --- image tower ---> a                 J = symmetric InfoNCE of all pairs of a batch:
                                  s a b^T  ---> J   each drawing should be nearest to its own name,
    "red heart" - text tower ---> b                 each name to its own drawing

Trains on OpenMoji's drawings, 48 x 48 pixels, and their names; families of skin tones are on one side of the split,
and a fifth of them is never trained on. Draws the loss, how often a name finds its drawing and a drawing its name
among those, beside chance, and the nearest names of some. The towers are saved as one file; then

    diffprog guide "a red heart" --scorer clip --clip openmoji_clip.safetensors --generator fourier

A training that is interrupted goes on when the same command is given again.

    python demos/contrastive_pretraining.py [--epochs 60] [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from diffprog.contrastive import Pairs, Pretrained, concepts, pretrain
from diffprog.contrastive.training import EPOCHS, SMALL
from diffprog.data import openmoji, split
from diffprog.models import clip
from diffprog.optimize.progress import bar

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SHOWN, NEAREST = 12, 3


def train(options: Any, kept: Path) -> tuple[Pretrained, Pairs]:
    """The training, from its checkpoint if there is one, and the pairs that it never saw."""
    drawings = openmoji(24, most=300) if options.small else openmoji(48)
    learn, test = (concepts(drawings, side) for side in split(drawings))
    print(f"{len(learn.names)} concepts to learn from, {len(test.names)} others to be found")
    small = SMALL._replace(width=32, image_layers=1, text_layers=1, patches=4)
    made = pretrain(
        learn,
        test,
        sizes=small if options.small else SMALL,
        epochs=6 if options.small else options.epochs,
        batch=64 if options.small else 256,
        checkpoint=kept,
        progress=bar("pretraining"),
    )
    return made, test


def draw_loss(axis: Any, made: Pretrained, batch: int) -> None:
    """The loss, smoothed, beside that of a guess."""
    history = made.run.history
    width = max(1, len(history) // 50)
    smooth = np.convolve(history, np.ones(width) / width, "valid")
    axis.plot(np.arange(len(smooth)) + width, smooth)
    axis.axhline(np.log(batch), color="gray", linestyle=":", label=f"a guess: log {batch}")
    axis.set(title="InfoNCE", xlabel="step", ylim=(0, None))
    axis.legend()


def draw_retrieval(axis: Any, made: Pretrained) -> None:
    """How much is found among the nearest, as training goes on."""
    steps = [metric.step for metric in made.run.metrics]
    for number, k in enumerate(made.held_out.pictures):
        for what, line in (("pictures", "-"), ("names", "--")):
            shares = [100 * metric.values[f"{what}@{k}"] for metric in made.run.metrics]
            title = "a name's drawing" if what == "pictures" else "a drawing's name"
            axis.plot(steps, shares, line, color=f"C{number}", label=f"{title} at {k}: {shares[-1]:.1f} %")
        chance = 100 * made.held_out.chance(k)
        axis.axhline(chance, color=f"C{number}", linestyle=":", label=f"chance at {k}: {chance:.1f} %")
    axis.set(
        title=f"found among {made.held_out.among} that were never seen, in %", xlabel="step", ylim=(0, None)
    )
    axis.legend(fontsize=7)


def draw_names(figure: Any, grid: Any, made: Pretrained, test: Pairs) -> None:
    """Drawings that were never seen, with the names nearest to them; their own is in bold."""
    pictures = test.pictures[:, 0].astype(np.float32) / 255
    names = [row[0] for row in test.names]
    similar = np.asarray(made.clip.similarity(pictures, names))
    chosen = np.random.default_rng(1).permutation(len(names))[:SHOWN]
    for place, number in enumerate(chosen):
        axis = figure.add_subplot(grid[place // 6 + 1, place % 6])
        axis.imshow(pictures[number])
        axis.set_axis_off()
        for line, near in enumerate(np.argsort(-similar[number])[:NEAREST]):
            weight = "bold" if near == number else "normal"
            axis.text(
                0.5, -0.1 - 0.13 * line, f"{names[near][:30]}  {similar[number, near]:.2f}", fontsize=7,
                ha="center", weight=weight, transform=axis.transAxes,
            )  # fmt: skip


def draw(made: Pretrained, test: Pairs, batch: int, path: Path) -> None:
    """Loss, retrieval against chance, and nearest names."""
    figure = plt.figure(figsize=(12, 9))
    grid = figure.add_gridspec(3, 6, height_ratios=(2, 1, 1), hspace=0.45)
    draw_loss(figure.add_subplot(grid[0, :2]), made, batch)
    draw_retrieval(figure.add_subplot(grid[0, 2:]), made)
    draw_names(figure, grid, made, test)
    figure.suptitle(
        "Drawings of OpenMoji (CC BY-SA 4.0) that were never trained on, and the names nearest to them",
        y=0.94,
    )
    figure.savefig(path, dpi=80, bbox_inches="tight")


def main() -> None:
    """Train, say what is found, save and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=float, default=EPOCHS)
    parser.add_argument("--small", action="store_true", help="300 drawings, 24 x 24, tiny towers, 6 epochs")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "contrastive_pretraining.run.safetensors"
    made, test = train(options, kept)
    if made.run.stopped == "finished":
        kept.unlink(missing_ok=True)
    print(f"{made.run.stopped} after {made.run.steps} steps\n{made.held_out}")
    print(f"of as many that it was trained on\n{made.trained}")
    print(clip.save(made.clip, options.out / "openmoji_clip.safetensors"))
    path = options.out / "contrastive_pretraining.png"
    draw(made, test, 64 if options.small else 256, path)
    print(path)


if __name__ == "__main__":
    main()
