"""One picture says what a unit likes best; several that must differ say what else it likes.

The upper row draws a channel four times, from four starts. The lower row draws four pictures together that are asked
to excite the channel and to have little in common: diversity is minus the cosine of their Gram matrices in another
layer. Under every picture stands how much the channel responds, which is what diversity costs. Drawn alone, this
channel's pictures are mostly faces; asked to differ, three of four are of keys and signs, and it responds to them half
as much: one channel, two things.

    python demos/diversity.py [--layer fire8] [--channel 15] [--weight 0.35] [--compare fire4] [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jax.numpy as jnp
import matplotlib

import diffprog as dp

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COUNT = 4


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="squeezenet")
    parser.add_argument("--layer", default="fire8")
    parser.add_argument("--channel", type=int, default=15)
    parser.add_argument("--weight", type=float, default=0.35, help="of the diversity, in responses alone")
    parser.add_argument("--compare", default="fire4", help="the layer in which pictures are to differ")
    parser.add_argument("--small", action="store_true", help="64 pixels and 16 steps")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    size, steps = (64, 16) if options.small else (160, 256)
    recipe = dp.recipes.LUCID  # strong colours, and no wish for one single thing in the picture
    net, unit = dp.models.load(options.model), dp.channel(options.layer, options.channel)
    same = {"recipe": recipe, "size": size, "steps": steps, "n": COUNT, "progress": True}
    alone = dp.visualize(net, unit, title="each alone", **same)
    loud = float(alone.scores.mean())
    wish = (1 / loud) * unit + options.weight * dp.diversity(options.compare)
    group = dp.visualize(net, wish, title="together", **same)
    figure, axes = plt.subplots(2, COUNT, figsize=(3 * COUNT, 6.6))
    for row, (name, drawing) in enumerate({"each alone": alone, "together, to differ": group}.items()):
        seen = dp.tap(net, [options.layer, options.compare])(jnp.asarray(drawing.images))[1]
        likeness = -float(dp.diversity(options.compare).together(seen).mean())
        axes[row, 0].set_ylabel(f"{name}\nmean cosine {likeness:.2f}")
        for axis, picture, response in zip(
            axes[row], drawing.images, seen[options.layer][..., options.channel].mean((1, 2)), strict=True
        ):
            axis.imshow(picture)
            axis.set_xlabel(f"response {float(response):.0f}")
            axis.set_xticks([])
            axis.set_yticks([])
    figure.suptitle(f"{net.title}, {options.layer}, channel {options.channel}: what else does it respond to?")
    figure.tight_layout()
    path = options.out / "diversity.png"
    figure.savefig(path, dpi=100)
    print(path)


if __name__ == "__main__":
    main()
