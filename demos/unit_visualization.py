"""Why R is there:  argmax_x  y_j(x) - lambda R(x),  with more and more of R.

Draws one class of a real network five times: bare gradient ascent on pixels, with total variation, with transforms as
well, on a Fourier canvas with nothing else, and with all of it. Under every picture stands what the network itself
thinks of it, and what another network does that had no part in it, with the place of the class among all classes: the
first is always sure, and only the second can tell.

    python demos/unit_visualization.py [--unit chameleon] [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib

import diffprog as dp

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DEFAULT = dp.recipes.DEFAULT
BARE = dp.recipes.PIXEL
UNIT_GRADIENT = (dp.vision.transforms.NormalizeGradient(),)
COLUMNS = {
    "bare pixel ascent": BARE,
    # The weight of the total variation is made for a gradient of length one.
    "+ total variation": BARE.replace(regularizers=DEFAULT.regularizers, transforms=UNIT_GRADIENT),
    "+ transforms": BARE.replace(regularizers=DEFAULT.regularizers, transforms=DEFAULT.transforms),
    "Fourier canvas alone": BARE.replace(canvas=DEFAULT.canvas),
    "all of it": DEFAULT,
}


def verdict(net: dp.models.Network, image: jax.Array, index: int) -> str:
    """What a network thinks of one picture [H, W, 3]: how likely the class is, and how many are no less likely."""
    likely = jax.nn.softmax(net(jnp.asarray(image)[None]))[0]
    place = int(jnp.sum(likely >= likely[index]))
    return f"{net.name}: {float(likely[index]):.1%}, place {place}"


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--unit", default="chameleon", help="a class name, or a unique part of it")
    parser.add_argument("--model", default="squeezenet")
    parser.add_argument("--judge", default="efficientnet-lite0")
    parser.add_argument(
        "--small", action="store_true", help="96 pixels and 32 steps, judged by the network itself"
    )
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    size, steps = (96, 32) if options.small else (224, 512)
    net = dp.models.load(options.model)
    judge = net if options.small else dp.models.load(options.judge)
    index = net.class_index(options.unit)
    figure, axes = plt.subplots(1, len(COLUMNS), figsize=(2 * len(COLUMNS), 3), layout="constrained")
    for axis, (title, recipe) in zip(axes, COLUMNS.items(), strict=True):
        drawing = dp.visualize(
            net, net.logit(index), recipe=recipe, size=size, steps=steps, title=title, progress=True
        )
        axis.imshow(drawing.images[0])
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("\n".join(verdict(one, drawing.images[0], index) for one in (net, judge)), fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])
    figure.suptitle(
        f"{net.label(index).split(',')[0]}: what {net.title} wants to see, and what {judge.title} makes of it"
    )
    path = options.out / "unit_visualization.png"
    figure.savefig(path, dpi=100)
    print(path)


if __name__ == "__main__":
    main()
