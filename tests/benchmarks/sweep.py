"""Watching backprop through real networks, beside the gradient alone: both compiled from nothing, in one process.

python -m tests.benchmarks.sweep [squeezenet] [efficientnet-lite0]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import jax

import diffprog as dp

MOST_SECONDS = {"trace": 3.0, "watch": 15.0}


def seconds(function: Callable[[], Any]) -> float:
    """How long a call takes, to its last array."""
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def main() -> None:
    """Print one line a network."""
    for name in sys.argv[1:] or ["squeezenet"]:
        net = dp.models.load(name)
        images = jax.random.uniform(jax.random.key(0), (1, net.input_size, net.input_size, 3))

        def cost(params: Any, images: jax.Array, net: dp.models.Network = net) -> jax.Array:
            return net.apply(params, images)[0, 47]

        traced = seconds(lambda cost=cost, net=net, images=images: dp.trace(cost, net.params, images).consts)
        watched = seconds(
            lambda cost=cost, net=net, images=images: dp.backprop(cost, net.params, images).gradients
        )
        alone = seconds(
            lambda cost=cost, net=net, images=images: jax.jit(jax.grad(cost, (0, 1)))(net.params, images)
        )
        print(
            f"{name} at {net.input_size}: traced in {traced:.1f} s (at most {MOST_SECONDS['trace']:.0f}), watched in "
            f"{watched:.1f} s (at most {MOST_SECONDS['watch']:.0f}), jax.grad alone {alone:.1f} s"
        )


if __name__ == "__main__":
    main()
