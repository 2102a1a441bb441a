"""What a layer keeps of a photograph, and what it makes much of.

For each layer two pictures are drawn from noise. One has the same activations, as nearly as that could be reached
(feature inversion), which shows what the layer still knows of the photograph. The other goes as far as it can in the
direction of those activations (a caricature), which shows what the layer holds to be important. Early layers keep
every whisker; late ones know a cat.

    python demos/caricature.py [--layers fire2 fire4 fire6 fire8] [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from skimage import data
from skimage.transform import resize

import diffprog as dp

matplotlib.use("Agg")
import matplotlib.pyplot as plt

EXACT = dp.recipes.DEFAULT.replace(
    transforms=(dp.vision.transforms.NormalizeGradient(), dp.vision.transforms.Shift(1.0)), regularizers=()
)
"""Hardly any moves and no price: what is drawn shall be what the layer knows, and nothing else."""
KINDS = {
    "nearly the same activations": (dp.feature_inversion, EXACT, "square error {:.0%}"),
    "a caricature": (dp.caricature, None, "score {:.1f}"),
}


def photograph(size: int) -> np.ndarray:
    """The face of a cat called Chelsea, a real photograph: [size, size, 3] in [0, 1]."""
    return resize(data.chelsea()[20:280, 90:350] / 255, (size, size), anti_aliasing=True).astype(np.float32)


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="squeezenet")
    parser.add_argument("--layers", nargs="+", default=["fire2", "fire4", "fire6", "fire8"])
    parser.add_argument("--small", action="store_true", help="64 pixels, 24 steps, two layers")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    size, steps = (64, 24) if options.small else (224, 256)
    layers = options.layers[:2] if options.small else options.layers
    net, photo = dp.models.load(options.model), photograph(size)
    figure, axes = plt.subplots(
        2, 1 + len(layers), figsize=(2 * (1 + len(layers)), 4.9), layout="constrained"
    )
    for row, (kind, (make, recipe, told)) in enumerate(KINDS.items()):
        axes[row, 0].imshow(photo)
        axes[row, 0].set_ylabel(kind)
        axes[row, 0].set_xlabel(told.format(float(kind == "a caricature")))  # the photograph's own score
        for axis, layer in zip(axes[row, 1:], layers, strict=True):
            drawing = dp.visualize(
                net,
                make(net, photo, layer),
                recipe=recipe,
                size=size,
                steps=steps,
                title=f"{layer}, {kind}",
                progress=True,
            )
            axis.imshow(drawing.images[0])
            axis.set_xlabel(told.format(abs(drawing.scores[0])))
    for axis, name in zip(axes[0], ["photograph", *layers], strict=True):
        axis.set_title(name)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.suptitle(f"A photograph as the layers of {net.title} know it")
    path = options.out / "caricature.png"
    figure.savefig(path, dpi=100)
    print(path)


if __name__ == "__main__":
    main()
