"""What `override(f)` costs at run time.  python -m tests.benchmarks.override

SqueezeNet and EfficientNet-Lite0 in JAX's own operations, their gradients by the pictures (batch 1) and by the
parameters (batch 4): as they are, overridden with the default (values bitwise the same), overridden with
`fast(forward=True)` (values as the rules compute them), and written with the rules. Prints medians of interleaved
calls, their ratios to the network written with the rules, and how far values are from the plain ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp

import diffprog as dp
from diffprog.graph import override, overrides
from diffprog.models.catalogue import card
from tests.benchmarks.networks import PLAIN, UNIT
from tests.benchmarks.timing import milliseconds

Apply = Callable[[Any, jax.Array], jax.Array]


def contestants(name: str) -> dict[str, Apply]:
    """The same network four times, each `(params, images) -> logits`."""
    module = card(name).module

    def plain(params: Any, images: jax.Array) -> jax.Array:
        with mock.patch.multiple("diffprog.rules", **PLAIN):
            return module.apply({"params": params}, images)

    return {
        "rules": lambda params, images: module.apply({"params": params}, images),
        "override": override(plain),
        "override, forward": override(plain, overrides.fast(forward=True)),
        "plain": plain,
    }


def gradients(apply: Apply, of: int) -> Callable[..., Any]:
    """The compiled gradient of one logit by the parameters (0) or the pictures (1)."""
    return jax.jit(jax.grad(lambda params, images: apply(params, images)[:, UNIT].sum(), argnums=of))


def compare(name: str, batch: int, of: int) -> None:
    """Time the four and print a line."""
    net, networks = dp.models.load(name), contestants(name)
    x = jax.random.uniform(jax.random.key(0), (batch, net.input_size, net.input_size, 3))
    steps = {label: gradients(apply, of) for label, apply in networks.items()}
    calls = {label: (lambda step=step: step(net.params, x)) for label, step in steps.items()}
    times = milliseconds(calls)
    ratios = ", ".join(f"{label} {ms / times['rules']:.2f}" for label, ms in times.items())
    values = {label: jax.jit(apply)(net.params, x) for label, apply in networks.items()}
    far = {label: float(jnp.abs(out - values["plain"]).max()) for label, out in values.items()}
    print(
        f"{name}, {net.input_size} px, batch {batch}, gradient by the {('parameters', 'pictures')[of]}: "
        f"rules {times['rules']:.1f} ms; as many times that: {ratios}; "
        f"logits differ from plain: override {far['override']:.0e}, forward {far['override, forward']:.0e}",
        flush=True,
    )


def main(names: list[str]) -> None:
    """Both networks, or those named."""
    for name in names or ["squeezenet", "efficientnet-lite0"]:
        compare(name, batch=1, of=1)
        compare(name, batch=4, of=0)


if __name__ == "__main__":
    main(sys.argv[1:])
