"""Drawing steps against Lucent's, the same weights.  python -m tests.benchmarks.lucent [--rounds N]

Lucent 0.1.8 (`pip install torch-lucent==0.1.8 kornia kornia_rs decorator tqdm --no-deps`) draws a class of
EfficientNet-Lite0 by its own `render_vis` and its own standard transforms, as it comes and in its best setting:
channels last, parameters frozen. Two canvases: its default of 128 pixels, enlarged to the 224 that the network sees,
and one of 224, which its transforms frame to 248 and more. Beside it the recipe LUCENT, which does the same, and our
default, step by step, interleaved in one process; batches of 8 as `visualize` draws them. Prints milliseconds an image
and step (medians) and ratios.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from types import ModuleType, SimpleNamespace
from typing import Any

import jax
import numpy as np

import diffprog as dp
from diffprog.optimize import initial
from diffprog.vision.program import Program
from diffprog.weights import sources

UNIT, NETWORK = 47, "efficientnet-lite0"
STEPS = 6  # of every way in a round; the first warms up
Ways = dict[str, Callable[[], list[float]]]


# ---- Lucent, as it runs today --------------------------------------------------------------------------------


class Normalize:
    """torchvision's: (x - mean) / std, channel by channel."""

    def __init__(self, mean: list[float], std: list[float]):
        self.mean, self.std = mean, std

    def __call__(self, picture: Any) -> Any:
        mean, std = (picture.new_tensor(numbers)[:, None, None] for numbers in (self.mean, self.std))
        return (picture - mean) / std


STANDINS: dict[str, dict[str, Any]] = {
    "torchvision": {},
    "torchvision.transforms": {"Normalize": Normalize},
    "IPython": {},  # for showing pictures, which nobody does here
    "IPython.display": {},
}


def lucent() -> SimpleNamespace:
    """Lucent's modules; what it imports and today's packages have no more, or elsewhere, is put where it looks."""
    for name, parts in STANDINS.items():
        module = ModuleType(name)
        vars(module).update(parts)
        sys.modules.setdefault(name, module)
    import kornia

    for name in ("get_rotation_matrix2d", "warp_affine", "translate"):
        if not hasattr(kornia, name):
            setattr(kornia, name, getattr(kornia.geometry.transform, name))
    from lucent.optvis import objectives, param, render, transform

    return SimpleNamespace(objectives=objectives, param=param, render=render, transform=transform)


def torch_network(best: bool) -> Any:
    """EfficientNet-Lite0 in PyTorch with the published weights."""
    import efficientnet_lite_pytorch as package
    import torch

    with sources.fetch(dp.models.card(NETWORK).source) as file:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    net = package.EfficientNet.from_name(NETWORK)
    net.load_state_dict(weights)
    net = net.eval()
    if best:
        net = net.requires_grad_(False).to(memory_format=torch.channels_last)
    return net


def theirs(made: SimpleNamespace, net: Any, size: int, batch: int) -> Callable[[], list[float]]:
    """A call that draws a few steps and gives the seconds of each."""
    stamps: list[float] = []

    def stamp(images: Any) -> Any:
        stamps.append(time.perf_counter())
        return images

    def call() -> list[float]:
        stamps.clear()
        made.render.render_vis(
            net,
            f"_fc:{UNIT}",
            param_f=lambda: made.param.image(size, batch=batch),
            transforms=[stamp, *made.transform.standard_transforms, lambda x: (255 * x - 127) / 128],
            preprocess=False,  # it is the last of the transforms: the one that the weights were trained with
            thresholds=(STEPS + 1,),
            progress=False,
            show_image=False,
        )
        for module in net.modules():  # it leaves its hooks behind, which slow down whatever comes after
            module._forward_hooks.clear()
        return list(np.diff(stamps))[1:]

    return call


# ---- ours ----------------------------------------------------------------------------------------------------


def ours(recipe: dp.Recipe, batch: int) -> Callable[[], list[float]]:
    """A call that draws a few steps of a batch as `visualize` does on CPUs, one picture after the other."""
    net = dp.models.load(NETWORK)
    program = Program(net, [net.logit(UNIT)], recipe)
    args = program.arguments([net.logit(UNIT)])
    keys = [jax.random.key(number)[None] for number in range(batch)]
    states = [initial(program.start(key), program.method, key) for key in keys]

    def call() -> list[float]:
        seconds = []
        for _ in range(STEPS):
            started = time.perf_counter()
            for number in range(batch):
                states[number], _ = jax.block_until_ready(program.step(states[number], *args))
            seconds.append(time.perf_counter() - started)
        return seconds[1:]

    return call


def ways(made: SimpleNamespace, size: int, batch: int) -> Ways:
    """Everything that is compared, for one canvas and one batch."""
    recipe = dp.recipes.LUCENT.replace(size=size)
    if size >= 224:  # Lucent enlarges smaller canvases only
        recipe = recipe.replace(transforms=recipe.transforms[:-1])
    found = {
        "Lucent as it comes": theirs(made, torch_network(best=False), size, batch),
        "Lucent at its best": theirs(made, torch_network(best=True), size, batch),
        "recipe LUCENT": ours(recipe, batch),
    }
    if size >= 224:
        found["our default"] = ours(dp.recipes.DEFAULT.replace(size=size), batch)
    return found


def compare(title: str, calls: Ways, batch: int, rounds: int) -> None:
    """Print medians and ratios of interleaved rounds."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            seconds = call()
            if number:  # the first round compiles
                taken[name] += seconds
    each = {name: 1000 * median(values) / batch for name, values in taken.items()}
    print(f"\n{title}, batch {batch}: " + ", ".join(f"{name} {ms:.1f} ms" for name, ms in each.items()))
    for name in each:
        if not name.startswith("Lucent "):
            ratios = [
                f"{each[other] / each[name]:.1f} x {other}" for other in each if other.startswith("Lucent ")
            ]
            print(f"  {name}: {1000 / each[name]:.0f} image-steps a second, {', '.join(ratios)}", flush=True)


def main() -> None:
    """Compare, for two canvases and two batches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 224])
    options = parser.parse_args()
    try:
        made = lucent()
    except ImportError as error:
        sys.exit(
            f"{error}: pip install torch-lucent==0.1.8 kornia kornia_rs decorator tqdm --no-deps, and a PyTorch"
        )
    import torch

    versions = f"torch {torch.__version__}, {torch.get_num_threads()} threads; jax {jax.__version__}"
    print(f"{versions}; {os.cpu_count()} cores")
    print(dp.tune())  # for all of them: both are allocating in this process
    for size in options.sizes:
        for batch in options.batches:
            compare(f"canvas of {size} px", ways(made, size, batch), batch, options.rounds)


if __name__ == "__main__":
    main()
