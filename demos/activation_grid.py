"""What a network sees where: every position of a layer, drawn, beside the photograph.

Each position of a layer holds one vector of activations, all that the rest of the network knows about that place.
Drawing the vectors turns the layer into a picture: ears, eyes and whiskers of a cat are where the cat has them, in the
words of the network and not in those of its classes. Under it stands which place spoke for the network's first answer
(activation times gradient).

    python demos/activation_grid.py [--layer fire9] [--stride 1] [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path

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
    net, photo = dp.models.load(options.model), photograph(options.small)
    steps, stride = (16, 2) if options.small else (None, options.stride)
    best = int(net(jnp.asarray(photo)[None])[0].argmax())
    grid = dp.activation_grid(net, photo, options.layer, stride=stride, steps=steps, progress=True)
    spoke = dp.attribution(net, photo, net.logit(best), options.layer).positions
    figure, axes = plt.subplots(1, 3, figsize=(15, 5.6))
    axes[0].imshow(photo)
    axes[0].set_title("photograph")
    axes[1].imshow(grid.image)
    axes[1].set_title(f"{options.layer}, {' x '.join(map(str, grid.magnitudes.shape))} positions")
    strength = np.abs(spoke) / np.abs(spoke).max()
    axes[2].imshow(photo.mean(-1), cmap="gray", vmin=-1, vmax=1.5, extent=(0, 1, 0, 1))
    axes[2].imshow(
        np.sign(spoke), cmap="PiYG", alpha=0.9 * strength, vmin=-1.3, vmax=1.3, extent=(0, 1, 0, 1)
    )
    axes[2].set_title(f"what spoke for {net.label(best).split(',')[0]} (green), and against it")
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.suptitle(f"{net.title}: what each position sees")
    figure.tight_layout()
    path = options.out / "activation_grid.png"
    figure.savefig(path, dpi=110)
    print(path)


if __name__ == "__main__":
    main()
