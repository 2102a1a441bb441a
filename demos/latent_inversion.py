"""Find the latent of a given picture: how well can a generator make what it did not make?

Left a picture that the generator did make, which it finds again from most starts and not from all; right a drawn
face, of which it makes what it can. Under each, the error by step of every start.

    python demos/latent_inversion.py [--picture FILE] [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from PIL import Image

import diffprog as dp

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OWN = 11  # the key of the generator's own picture


def drawn_face(size: int = 64) -> np.ndarray:
    """A face of four ellipses."""
    rows, columns = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    picture = np.full((size, size, 3), (0.35, 0.5, 0.35), np.float32)
    ellipses = (
        ((0.0, -0.1), (0.62, 0.8), (0.25, 0.15, 0.1)),
        ((0.0, 0.15), (0.5, 0.7), (0.85, 0.65, 0.55)),
        ((-0.2, 0.05), (0.09, 0.05), (0.1, 0.1, 0.1)),
        ((0.2, 0.05), (0.09, 0.05), (0.1, 0.1, 0.1)),
        ((0.0, 0.5), (0.2, 0.06), (0.6, 0.2, 0.2)),
    )
    for (x, y), (width, height), colour in ellipses:
        picture[((columns - x) / width) ** 2 + ((rows - y) / height) ** 2 < 1] = colour
    return picture


def generator(small: bool) -> Any:
    """The real one, or a small linear one that needs no download."""
    if not small:
        return dp.generators.as_generator(dp.models.load("dcgan-faces"))
    mix = jax.random.normal(jax.random.key(0), (8, 16 * 16 * 3))
    return dp.generators.function(
        lambda z: jax.nn.sigmoid((z @ mix).reshape(-1, 16, 16, 3)), lambda key: jax.random.normal(key, (8,))
    )


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--picture", type=Path, help="a photograph in place of the drawn face")
    parser.add_argument("--small", action="store_true", help="a small generator and 40 steps")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    making = generator(options.small)
    starts, steps = (2, 40) if options.small else (8, 600)
    own = making.images(jnp.asarray(making.draw(jax.random.key(OWN)))[None])[0]
    given = (
        drawn_face()
        if options.picture is None
        else np.asarray(Image.open(options.picture).convert("RGB")) / 255
    )
    found = {
        title: dp.invert(
            making,
            np.asarray(picture, np.float32),
            n=starts,
            steps=steps,
            prior=dp.priors.Chi(1e-4),
            progress=True,
        )
        for title, picture in (("a picture of its own", own), ("another picture", given))
    }
    path = options.out / "latent_inversion.png"
    draw(found, path)
    print(path)


def draw(found: dict[str, Any], path: Path) -> None:
    """What was wanted and found, above the error of every start."""
    figure = plt.figure(figsize=(10, 5), layout="constrained")
    for part, (title, one) in zip(figure.subfigures(1, 2, wspace=0.04), found.items(), strict=True):
        part.suptitle(title)
        axes = part.subplot_mosaic([["wanted", "found"], ["error", "error"]], height_ratios=(2, 1))
        for name, picture in (("wanted", one.wanted), ("found", one.image)):
            axes[name].imshow(picture)
            axes[name].set_title(name + (f": {one.decibels:.1f} dB" if name == "found" else ""), fontsize=10)
            axes[name].set_axis_off()
        best = one.history[-1].argmin()
        for start, errors in enumerate(one.history.T):
            axes["error"].semilogy(
                errors, color="black" if start == best else "0.7", zorder=2 + (start == best)
            )
        axes["error"].set(xlabel="step", ylabel="mean squared error")
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
