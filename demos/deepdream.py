"""DeepDream:  argmax_x  y(x)  from a photograph on, and what a network sees at three depths.

Dreams scikit-image's photograph of the cat Chelsea at an early, a middle and a late layer of a real network: edges and
rings first, then eyes and fur, then heads. The same photograph is dreamt once more under the guidance of another one.

    python demos/deepdream.py [--model efficientnet-lite0] [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from skimage import data

import diffprog as dp

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# An early, a middle and a late layer, and the one at which the guide is followed.
LAYERS = {
    "squeezenet": ("fire4", "fire5", "fire7", "fire6"),
    "efficientnet-lite0": ("blocks/4", "blocks/7", "blocks/10", "blocks/10"),
}


def main() -> None:
    """Dream and draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="squeezenet", choices=LAYERS)
    parser.add_argument("--small", action="store_true", help="96 pixels, 2 steps at 2 octaves")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    few = {"octaves": 2, "steps": 2, "size": 96} if options.small else {}
    net = dp.models.load(options.model)
    cat, coffee = (picture.astype(np.float32) / 255 for picture in (data.chelsea(), data.coffee()))
    *layers, place = LAYERS[options.model]
    pictures = {"the photograph": cat}
    for name in layers:
        dreamt = dp.dream(net, cat, dp.layer(name), progress=True, **few)
        dreamt.save(options.out / f"deepdream_{name.replace('/', '_')}.png")
        pictures[f"dreamt at {name}"] = dreamt.image
    pictures["the guide"] = coffee
    guide = dp.guided(net, place, coffee)
    pictures[f"guided at {place}"] = dp.dream(net, cat, guide, progress=True, **few).image
    figure, axes = plt.subplots(2, 3, figsize=(12, 6.2), layout="constrained")
    for axis, (title, picture) in zip(axes.ravel(), pictures.items(), strict=True):
        axis.imshow(picture)
        axis.set_title(title)
        axis.axis("off")
    figure.suptitle(f"What {net.title} sees in a cat, exaggerated")
    path = options.out / "deepdream.jpg"
    figure.savefig(path, dpi=75, pil_kwargs={"quality": 82})
    print(path)


if __name__ == "__main__":
    main()
