"""How much memory one large picture takes.  python -m tests.benchmarks.canvas_memory [--size 1024] [--steps 4]

Draws with each network in a process of its own and prints the most resident memory that the process held, Python and
weights included, beside what the compiled step was said to need.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import jax

import diffprog as dp
from diffprog.machine import memory
from diffprog.optimize import initial
from diffprog.vision.program import Program

NETWORKS = ("squeezenet", "efficientnet-lite0")
MEBIBYTE = 1 << 20
WANTED = 2048  # MiB


def drawn(name: str, size: int, steps: int) -> dict[str, float]:
    """Draw one picture in this process: MiB held at most, MiB before it, and MiB that a step says it needs."""
    net = dp.models.load(name)
    peak = memory.watch_peak()
    before = peak() or 0
    recipe = dp.recipes.default_for(net).replace(size=size, steps=steps)
    dp.visualize(net, net.logit(47), recipe=recipe)
    held = peak() or 0
    program = Program(net, [net.logit(47)], recipe)
    keys = jax.random.key(0)[None]
    state = initial(program.start(keys), program.method, keys)
    needed = memory.needed(program.step.lower(state, *program.arguments([net.logit(47)])).compile()) or 0
    return {"held": held / MEBIBYTE, "before": before / MEBIBYTE, "needed": needed / MEBIBYTE}


def main() -> None:
    """One line a network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--only", choices=NETWORKS, help="in this process, as JSON")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(drawn(options.only, options.size, options.steps)))
        return
    for name in NETWORKS:
        again = [sys.executable, "-m", "tests.benchmarks.canvas_memory", "--only", name]
        sizes = ["--size", str(options.size), "--steps", str(options.steps)]
        done = subprocess.run([*again, *sizes], check=True, capture_output=True, text=True)
        told = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{name}, one picture of {options.size} px: {told['held']:.0f} MiB held at most (wanted: {WANTED}), "
            f"{told['before']:.0f} of them before; a step says that it needs {told['needed']:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
