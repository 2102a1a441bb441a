"""What every recipe's pictures are worth, measured.  python -m tests.benchmarks.recipes [--full] [--only NAME ...]

Draws a few classes from a few keys by every recipe and by our default without its canvas, its transforms and its
regularizers, and prints a markdown table of what `diffprog.vision.measures` finds, beside photographs of the same
classes. Every recipe is drawn in a process of its own, so that its memory is its own.

The small setting, which is the default, has four classes, two keys and at most 128 steps; recipes of many views and
huge canvases are cut down, and the table says how. `--full` is as published, which takes hours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import diffprog as dp
from diffprog.machine import memory
from diffprog.vision import canvases, measures, transforms
from diffprog.vision.measures import Measures

PHOTOGRAPHS = {"chelsea.png": 285, "coffee.png": 967, "rocket.jpg": 657, "astronaut.png": None}
CLASSES = (285, 967, 657, 47)  # an Egyptian cat, an espresso, a missile, as photographed; and a chameleon
FEW_STEPS, FEW_KEYS = 128, 2
MEBIBYTE = 1 << 20
COLUMNS = (
    "recipe", "drawn", "score", "robust", "lowest 5 %", "others' top-1", "top-5", "slope", "fine", "colours",
    "variety", "same again", "s a picture", "MiB",
)  # fmt: skip
DEFAULT = dp.recipes.DEFAULT
QUIET = transforms.NormalizeGradient()  # no view: it is what a regularizer's weight is relative to
ABLATIONS = {
    "default on pixels": DEFAULT.replace(canvas=canvases.Pixel()),
    "default without transforms": DEFAULT.replace(transforms=(QUIET,)),
    "default without regularizers": DEFAULT.replace(regularizers=()),
}
CUT = {
    "xplique": {"steps": 64},
    "maco": {"views": 4, "steps": 64},
    "horama": {"views": 2, "steps": 48},
    "accentuation": {"views": 2},
}


@dataclass(frozen=True)
class Setting:
    """What is drawn by every recipe."""

    network: str
    judges: tuple[str, ...]
    full: bool

    @property
    def keys(self) -> range:
        """The keys of a class's pictures."""
        return range(4 if self.full else FEW_KEYS)

    def recipe(self, name: str) -> dp.Recipe | None:
        """A recipe or ablation in this setting; None for one that this network cannot have."""
        net = dp.models.load(self.network)
        recipe = ABLATIONS.get(name) or dp.recipes.RECIPES[name]
        if recipe.naturalness and not net.statistics:
            return None
        recipe = recipe.replace(size=recipe.size or net.input_size)
        if self.full:
            return recipe
        return recipe.replace(**{"steps": min(recipe.steps, FEW_STEPS), **CUT.get(name, {})})


def photograph(name: str) -> np.ndarray:
    """One of scikit-image's, which come with it."""
    import skimage

    path = Path(skimage.__file__).parent / "data" / name
    return dp.read_photo(path, announce=lambda note: None).pixels


def starting(name: str, recipe: dp.Recipe, wanted: int) -> dp.Recipe:
    """The recipe for one class: an accentuation begins with the photograph of another."""
    if name != "accentuation":
        return recipe
    other = "coffee.png" if wanted != 967 else "chelsea.png"
    return recipe.of(measures.sight.as_seen(photograph(other), None, 224))


def drawn(name: str, setting: Setting) -> dict[str, Any]:
    """Draw all classes by one recipe in this process, and what is found about the pictures, as plain numbers."""
    recipe, net = setting.recipe(name), dp.models.load(setting.network)
    if recipe is None:
        return {}
    peak, drawings, seconds = memory.watch_peak(), [], []
    for wanted in CLASSES:
        started = time.perf_counter()
        by = starting(name, recipe, wanted)
        drawings.append(
            dp.visualize(net, net.logit(wanted), recipe=by, n=len(setting.keys), title=str(wanted))
        )
        seconds.append((time.perf_counter() - started) / len(setting.keys))
    held = peak()
    judges = {other: dp.models.load(other) for other in setting.judges}
    rows = measures.measure(*drawings, model=net, judges=judges, size=net.input_size)
    again = (
        None if name == "accentuation" else _again(drawings[-1], net)
    )  # a photograph is not in its metadata
    how = f"{'x'.join(map(str, drawings[0].images.shape[1:3]))}, {recipe.steps} steps"
    how += f" of {recipe.views} views" if recipe.views > 1 else ""
    # Programs are compiled while the first class is drawn; the median is of the others.
    spent, kept = float(np.median(seconds)), None if held is None else held / MEBIBYTE
    return {"drawn": how, "seconds": spent, "MiB": kept, "same": again, **summary(rows)}


def _again(drawing: dp.Drawing, net: Any) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        return measures.repeated(drawing.save(Path(folder) / "again.png"), net).same


def photographed(setting: Setting) -> dict[str, Any]:
    """The same of photographs, of which only those of a class have a score."""
    net = dp.models.load(setting.network)
    judges = {other: dp.models.load(other) for other in setting.judges}
    rows = []
    for name, wanted in PHOTOGRAPHS.items():
        asked = {} if wanted is None else {"model": net, "objective": net.logit(wanted), "judges": judges}
        rows += measures.measure(photograph(name), **asked)
    return {"drawn": "own size", **summary(rows)}


def summary(rows: list[Measures] | tuple[Measures, ...]) -> dict[str, Any]:
    """Means over pictures, and shares over pictures and judges."""

    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None and np.isfinite(value)]
        return float(np.mean(known)) if known else None

    names = ("score", "robust", "low", "slope", "high", "colors")
    verdicts = [one for row in rows for one in row.transfer]
    return {
        **{name: mean([getattr(row, name) for row in rows]) for name in names},
        "top1": mean([float(one.top1) for one in verdicts]),
        "top5": mean([float(one.top5) for one in verdicts]),
        "variety": mean([row.variety.value for row in rows if row.variety is not None]),
    }


def line(name: str, found: dict[str, Any]) -> str:
    """One row of the table."""

    def told(key: str, form: str) -> str:
        return "–" if found.get(key) is None else form.format(found[key])

    cells = [
        name, found["drawn"], *(told(key, "{:.1f}") for key in ("score", "robust", "low")),
        *(told(key, "{:.0%}") for key in ("top1", "top5")), told("slope", "{:.2f}"), told("high", "{:.4f}"),
        told("colors", "{:.2f}"), told("variety", "{:.2f}"),
        {None: "–", True: "yes", False: "no"}[found.get("same")], told("seconds", "{:.0f}"), told("MiB", "{:.0f}"),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="squeezenet")
    parser.add_argument("--judges", nargs="*", default=["efficientnet-lite0", "efficientnet-lite1"])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", nargs="+", help="recipes; all when left out")
    parser.add_argument("--one", help="this recipe in this process, as JSON")
    options = parser.parse_args()
    setting = Setting(options.network, tuple(options.judges), options.full)
    if options.one:
        print(json.dumps(drawn(options.one, setting)))
        return
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    print(line("photographs", photographed(setting)), flush=True)
    for name in options.only or (*dp.recipes.RECIPES, *ABLATIONS):
        arguments = ["--network", options.network, "--judges", *options.judges, "--one", name]
        command = [sys.executable, "-m", "tests.benchmarks.recipes", *arguments]
        command += ["--full"] if options.full else []
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        if found:
            print(line(name, found), flush=True)


if __name__ == "__main__":
    main()
