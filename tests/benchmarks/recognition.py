"""Does another network recognize what was drawn?  python -m tests.benchmarks.recognition [--steps N] [--out FOLDER]

Draws twenty classes with each of two networks by the default recipe, shows every picture, as it is, to networks that
had no part in it, and prints how often they put the class first and among their first five.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import diffprog as dp
from tests.benchmarks.classes import CLASSES

PAIRS = {
    "squeezenet": ("efficientnet-lite0", "efficientnet-lite2"),
    "efficientnet-lite0": ("squeezenet", "efficientnet-lite2"),
}


def main() -> None:
    """Draw, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipe", choices=dp.recipes.RECIPES, help="in place of each network's own")
    parser.add_argument("--only", choices=PAIRS, help="draw with this network alone")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    for name, judges in PAIRS.items():
        if options.only and name != options.only:
            continue
        draw(name, judges, options)


def draw(name: str, judges: tuple[str, ...], options: argparse.Namespace) -> None:
    """Draw all classes with one network and print the verdicts of its judges."""
    net = dp.models.load(name)
    recipe = dp.recipes.RECIPES[options.recipe] if options.recipe else dp.recipes.default_for(net)
    started = time.perf_counter()
    objectives = [net.logit(number) for number in CLASSES]
    drawing = dp.visualize(net, objectives, recipe=recipe, steps=options.steps, key=options.seed)
    seconds = (time.perf_counter() - started) / len(CLASSES)
    chosen = f"recipe {options.recipe or 'its own'}, {drawing.recipe.steps} steps"
    print(f"\ndrawn with {name}, {chosen}, {seconds:.1f} s a picture")
    verdicts = dp.measures.transfer(
        {judge: dp.models.load(judge) for judge in judges}, drawing.images, [*CLASSES]
    )
    for judge, found in zip(judges, zip(*verdicts, strict=True), strict=True):
        labels = zip(CLASSES.values(), found, strict=True)
        late = {label: one.rank for label, one in labels if not one.top5}
        first, five = np.mean([one.top1 for one in found]), np.mean([one.top5 for one in found])
        print(f"  {judge}: first in {first:.0%}, among the first five in {five:.0%}; later: {late}")
    if options.out:
        drawing.save(options.out / f"recognition-{name}.png")


if __name__ == "__main__":
    main()
