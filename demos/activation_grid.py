"""What a network sees where: every position of a layer, drawn, beside the photograph.

Each position of a layer holds one vector of activations, all that the rest of the network knows about that place.
Drawing the vectors turns the layer into a picture: eyes, nose and whiskers of a cat are where the cat has them, in the
words of the network and not in those of its classes. Beside it stands which places spoke for the network's answer
(activation times gradient).

    python demos/activation_grid.py [--layer fire9] [--stride 1] [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import matplotlib
import numpy as np
from skimage import data

import diffprog as dp

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def photograph(small: bool) -> np.ndarray:
    """The face of a cat called Chelsea, a real photograph: [H, W, 3] in [0, 1]."""
    return data.chelsea()[20:280, 90:350][:: 2 if small else 1, :: 2 if small else 1].astype(np.float32) / 255


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="squeezenet")
    parser.add_argument("--layer", default="fire9")
    parser.add_argument("--stride", type=int, default=1, help="draw every so many positions")
    parser.add_argument("--small", action="store_true", help="a smaller photograph, 16 steps a cell")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    net, photo = dp.models.load(options.model), photograph(options.small)
    steps, stride = (16, 2) if options.small else (None, options.stride)
    best = int(net(jnp.asarray(photo)[None])[0].argmax())
    grid = dp.activation_grid(net, photo, options.layer, stride=stride, steps=steps, progress=True)
    spoke = dp.attribution(net, photo, net.logit(best), options.layer).positions
    path = options.out / "activation_grid.png"
    draw(photo, grid, spoke, net.label(best).split(",")[0], net.title, path)
    print(path)


def draw(photo: np.ndarray, grid: Any, spoke: np.ndarray, answer: str, who: str, path: Path) -> None:
    """The grid large; beside it the photograph, and what spoke for the answer."""
    figure = plt.figure(figsize=(10, 7.2), layout="constrained")
    axes = figure.subplot_mosaic([["photograph", "grid"], ["spoke", "grid"]], width_ratios=(1, 2))
    axes["photograph"].imshow(photo)
    axes["photograph"].set_title("the photograph")
    rows, columns = grid.magnitudes.shape
    axes["grid"].imshow(grid.image)
    axes["grid"].set_title(f"what {who} sees at the {rows} x {columns} positions of {grid.layer}")
    strength = np.abs(spoke) / np.abs(spoke).max()
    whole = (0, 1, 0, 1)
    axes["spoke"].imshow(photo.mean(-1), cmap="gray", vmin=-1, vmax=1.5, extent=whole)
    axes["spoke"].imshow(np.sign(spoke), cmap="PiYG", alpha=0.9 * strength, vmin=-1.3, vmax=1.3, extent=whole)
    axes["spoke"].set_title(f"for '{answer}' (green),\nagainst it (pink)")
    for axis in axes.values():
        axis.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
