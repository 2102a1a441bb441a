"""A whole layer at a glance: every unit of it drawn by one compiled program, into a folder that opens as a page.

Beside each unit stand the photographs that excite it most: pictures made and pictures found should speak of the same
thing. Stopped at any moment, the same command goes on where it was.

    python demos/sweep_a_layer.py [--layer fire9/expand1x1] [--channels 24] [--recipe lucid] [--images FOLDER]
                                  [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import skimage.data
from PIL import Image

import diffprog as dp

PHOTOGRAPHS = (
    "astronaut", "brick", "camera", "chelsea", "clock", "coffee", "coins", "grass", "gravel", "hubble_deep_field",
    "moon", "page", "retina", "rocket",
)  # fmt: skip


def main() -> None:
    """Sweep the layer, and say where the page is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="squeezenet")
    parser.add_argument("--layer", default="fire9/expand1x1")
    parser.add_argument("--channels", type=int, help="the first so many (default: all)")
    parser.add_argument(
        "--recipe", choices=dp.recipes.RECIPES, help="(default: the network's own, shortened)"
    )
    parser.add_argument("--images", type=Path, help="a folder of photographs (default: scikit-image's)")
    parser.add_argument("--small", action="store_true", help="four units, 64 pixels and 8 steps")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    channels = options.channels and range(options.channels)
    recipe = options.recipe and dp.recipes.RECIPES[options.recipe].replace(size=128, steps=128)
    few = {"channels": range(4), "size": 64, "steps": 8} if options.small else {"channels": channels}
    with tempfile.TemporaryDirectory() as own:
        photographs = options.images or some_photographs(Path(own))
        folder = options.out / f"{options.model}-units"
        done = dp.sweep(
            dp.models.load(options.model),
            options.layer,
            folder,
            recipe=recipe,
            photographs=photographs,
            progress=True,
            **few,
        )
    print(done.page)


def some_photographs(folder: Path) -> Path:
    """A few real ones."""
    for name in PHOTOGRAPHS:
        Image.fromarray(getattr(skimage.data, name)()).save(folder / f"{name}.jpg", quality=90)
    return folder


if __name__ == "__main__":
    main()
