"""Input gradients of whole networks: hand-written rules, plain JAX, PyTorch.  python -m tests.benchmarks.networks

The same Flax modules and weights with the rules of this package and with JAX's own operations, and the same network
in PyTorch (channels last, frozen parameters). Batch 1 on one device; batch 8 on two host devices, in a process of
its own, once as memory comes and once with `tune()` for all. Prints medians, ratios and page faults.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partialmethod
from typing import Any
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import diffprog as dp
from diffprog.models.layers import Convolution
from diffprog.models.loading import fetch
from tests.benchmarks.timing import faults, milliseconds

PLAIN = {
    "conv_general_dilated": jax.lax.conv_general_dilated,
    "max_pool": nn.max_pool,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
}
UNIT = 47
Call = Callable[[], Any]


def hand(net: dp.models.Network) -> Callable[[Any, Any], Any]:
    """The gradient of one logit by the pictures, with the rules."""

    def score(images: jax.Array, params: Any) -> jax.Array:
        return net.apply(params, images)[:, UNIT].sum()

    return jax.grad(score)


def plain(net: dp.models.Network) -> Callable[[Any, Any], Any]:
    """The same, with JAX's own operations in place of the rules while it is traced."""
    from diffprog.models.catalogue import card

    module = card(net.name).module

    def gradient(images: jax.Array, params: Any) -> jax.Array:
        # The first patch reaches what is called; a layer's default activation was bound when it was defined.
        with (
            mock.patch.multiple("diffprog.rules", **PLAIN),
            mock.patch.object(
                Convolution, "__init__", partialmethod(Convolution.__init__, activation=jax.nn.relu)
            ),
        ):
            return jax.grad(lambda x: module.apply({"params": params}, x)[:, UNIT].sum())(images)

    return gradient


def one_picture(name: str) -> None:
    """Batch 1, one device."""
    net = dp.models.load(name)
    x = jax.random.uniform(jax.random.key(0), (1, 224, 224, 3))
    ours, theirs = jax.jit(hand(net)), jax.jit(plain(net))
    expected = theirs(x, net.params)
    error = float(jnp.linalg.norm(ours(x, net.params) - expected) / jnp.linalg.norm(expected))
    calls: dict[str, Call] = {
        "hand": lambda: ours(x, net.params),
        "plain": lambda: theirs(x, net.params),
        **in_pytorch(name, np.asarray(x)),
    }
    memory = ours.lower(x, net.params).compile().memory_analysis().temp_size_in_bytes / 2**20
    report(
        f"{name}, 224 px, batch 1", calls, f"temporaries {memory:.1f} MiB, relative difference {error:.0e}"
    )


def eight_pictures(name: str) -> None:
    """Batch 8 on all host devices."""
    net = dp.models.load(name)
    x = jax.random.uniform(jax.random.key(0), (8, 224, 224, 3))
    single = hand(net)
    ours = jax.jit(dp.one_by_one(lambda image, params: single(image[None], params)[0], in_axes=(0, None)))
    theirs = jax.jit(plain(net))
    alone = jax.device_put(x, jax.devices()[0])
    calls: dict[str, Call] = {
        "hand": lambda: ours(x, net.params),
        "plain": lambda: theirs(alone, net.params),
        **in_pytorch(name, np.asarray(x)),
    }
    report(f"{name}, 224 px, batch 8, {len(jax.devices())} host devices", calls)


def in_pytorch(name: str, images: np.ndarray) -> dict[str, Call]:
    """PyTorch's call, if it is installed."""
    try:
        from tests.benchmarks import torch_networks
    except ImportError:
        return {}
    weights = fetch(name)
    return {"torch": torch_networks.input_gradient(torch_networks.network(name, weights), images, UNIT)}


def report(title: str, calls: dict[str, Call], note: str = "") -> None:
    """Print times, ratios and faults of one comparison."""
    times = milliseconds(calls)
    ratios = ", ".join(f"{name}/hand {times[name] / times['hand']:.2f}" for name in times if name != "hand")
    cells = ", ".join(f"{name} {ms:.1f} ms ({faults(calls[name])} faults)" for name, ms in times.items())
    print(f"{title}: {cells}; {ratios}" + (f"; {note}" if note else ""), flush=True)


NETWORKS = ("efficientnet-lite0", "squeezenet")


def main(arguments: list[str]) -> None:
    """Without arguments: everything, batches of 8 in processes of their own."""
    if not arguments:
        for name in NETWORKS:
            one_picture(name)
        for how in ("as it comes", "tuned"):
            command = [sys.executable, "-m", "tests.benchmarks.networks", how]
            subprocess.run(command, check=True)
        return
    print(f"batch 8, memory {arguments[0]}")
    dp.tune(memory=arguments[0] == "tuned", devices=2)
    for name in NETWORKS:
        eight_pictures(name)


if __name__ == "__main__":
    main(sys.argv[1:])
