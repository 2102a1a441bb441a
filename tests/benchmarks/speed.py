"""How long drawing takes, and what the loop adds to the network.  python -m tests.benchmarks.speed

Prints seconds from the shell to the PNG (224 px, 512 steps; first time, and with a warm compilation cache) and, for
every network, the median step over the median bare input gradient, interleaved in one process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import jax

import diffprog as dp
from diffprog.optimize import initial
from diffprog.vision.program import Program

REPEATS = 41


def milliseconds(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median time of every call, interleaved so that all see the same machine."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(REPEATS + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            jax.block_until_ready(call())
            if number:  # the first one compiles
                times[name].append(time.perf_counter() - started)
    return {name: 1000 * median(values) for name, values in times.items()}


def overhead(name: str) -> None:
    """Print a drawing step against the bare input gradient of the same network at the same size."""
    net = dp.models.load(name)
    recipe = dp.recipes.DEFAULT.replace(size=224)
    program = Program(net, [net.logit(47)], recipe)
    keys = jax.random.key(0)[None]
    state, args = initial(program.start(keys), program.method, keys), program.arguments([net.logit(47)])
    image = jax.random.uniform(jax.random.key(1), (1, 224, 224, 3))
    bare = jax.jit(jax.grad(lambda image, params: net.apply(params, image)[0, 47]))
    times = milliseconds(
        {"bare": lambda: bare(image, net.params), "step": lambda: program.step(state, *args)}
    )
    print(
        f"{name}: bare input gradient {times['bare']:.1f} ms, whole step {times['step']:.1f} ms, "
        f"ratio {times['step'] / times['bare']:.2f}"
    )


def from_the_shell() -> None:
    """Print seconds from the shell to the PNG, with a cold and with a warm cache."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "DIFFPROG_CACHE": folder}
        for moment in ("first time", "warm cache"):
            started = time.perf_counter()
            command = [sys.executable, "-m", "diffprog.cli", "visualize", "chameleon", "--out"]
            subprocess.run(
                [*command, str(Path(folder) / "c.png")], check=True, env=environment, capture_output=True
            )
            print(f"shell to PNG, 224 px, 512 steps, {moment}: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    print(
        f"jax {jax.__version__}, {jax.device_count()} {jax.default_backend()} device(s), {os.cpu_count()} cores"
    )
    from_the_shell()
    for network in ("squeezenet", "efficientnet-lite0"):
        overhead(network)
