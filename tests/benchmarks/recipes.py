"""What every recipe's pictures are worth, measured.  python -m tests.benchmarks.recipes [--full] [--only NAME ...]

Draws a few classes from a few keys by every recipe and by our default without its canvas, its transforms and its
regularizers, and prints a markdown table of what `diffprog.vision.measures` finds, beside photographs of the same
classes. Every recipe is drawn in a process of its own, so that its memory is its own.

The small setting, which is the default, has three classes, two keys and at most 64 steps; recipes of many views and
huge canvases are cut down, and the table says how. `--full` has four keys and all steps, as published, which takes
hours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import diffprog as dp
from diffprog.machine import memory
from diffprog.optimize.progress import Told
from diffprog.vision import canvases, measures, transforms
from diffprog.vision.measures import Measures
from diffprog.vision.measures.sight import as_seen
from diffprog.weights import cache_folder

PHOTOGRAPHS = {"chelsea.png": 285, "coffee.png": 967, "rocket.jpg": 657, "astronaut.png": None}
CLASSES = (285, 967, 657)  # an Egyptian cat, an espresso, a missile
FEW_STEPS, FEW_KEYS = 64, 2
MEBIBYTE = 1 << 20
COLUMNS = (
    "recipe", "drawn", "score", "robust", "lowest 5 %", "others' top-1", "top-5", "slope", "fine", "colours",
    "variety", "same alone", "s a picture", "MiB",
)  # fmt: skip
DEFAULT = dp.recipes.DEFAULT
QUIET = transforms.NormalizeGradient()  # no view: it is what a regularizer's weight is relative to
ABLATIONS = {
    "default on pixels": DEFAULT.replace(canvas=canvases.Pixel()),
    "default without transforms": DEFAULT.replace(transforms=(QUIET,)),
    "default without regularizers": DEFAULT.replace(regularizers=()),
}
CUT = {
    "maco": {"views": 4},
    "horama": {"views": 2, "size": 640},
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
        if name == "accentuation":  # of a photograph of something else
            recipe = recipe.of(as_seen(photograph("astronaut.png"), None, net.input_size))
        if self.full:
            return recipe
        return recipe.replace(steps=min(recipe.steps, FEW_STEPS), **CUT.get(name, {}))


def photograph(name: str) -> np.ndarray:
    """One of scikit-image's, which come with it."""
    import skimage

    path = Path(skimage.__file__).parent / "data" / name
    return dp.read_photo(path, announce=lambda note: None).pixels


class Stopwatch:
    """A progress that keeps when each step was done."""

    def __init__(self) -> None:
        self.stamps: list[float] = []

    @contextmanager
    def __call__(self, total: int) -> Iterator[Told]:
        """Silent, for so many steps."""
        yield lambda done, report: self.stamps.append(time.perf_counter())

    def seconds(self) -> float:
        """From the first step to the last, of all pictures; compiling comes before the first."""
        return self.stamps[-1] - self.stamps[0]


def drawn(name: str, setting: Setting) -> dict[str, Any]:
    """Draw all classes by one recipe in this process, and what is found about the pictures, as plain numbers."""
    recipe, net = setting.recipe(name), dp.models.load(setting.network)
    if recipe is None:
        return {}
    dp.tune(compiled=cache_folder() / "compiled")
    units = [net.logit(wanted) for wanted in CLASSES]
    watch, peak = Stopwatch(), memory.watch_peak()
    drawing = dp.visualize(net, units, recipe=recipe, n=len(setting.keys), key=0, progress=watch)
    held = peak()
    alone = dp.visualize(net, units[0], recipe=recipe, key=setting.keys[-1])
    judges = {other: dp.models.load(other) for other in setting.judges}
    rows = measures.measure(drawing, model=net, judges=judges, size=net.input_size)
    how = f"{'x'.join(map(str, drawing.images.shape[1:3]))}, {recipe.steps} steps"
    return {
        "drawn": how + (f" of {recipe.views} views" if recipe.views > 1 else ""),
        "seconds": watch.seconds() / len(drawing.images),
        "MiB": None if held is None else held / MEBIBYTE,
        "same": bool((alone.images[0] == drawing.images[len(setting.keys) - 1]).all()),
        **summary(rows),
    }


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
