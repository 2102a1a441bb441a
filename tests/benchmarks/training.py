"""One training step of the digits' network: our rules, plain Flax, PyTorch.  python -m tests.benchmarks.training

The network of `demos/digits.py`, 64 pictures of 8 x 8, Adam; the same parameters and the same batch for all three, in
one process, calls interleaved. PyTorch runs channels last, forward, backward and `optimizer.step()`. That the three
compute the same is checked before anything is timed: the cost, and the cost after one step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from diffprog import blocks, rules
from diffprog.optimize import compiled, initial
from tests.benchmarks.timing import milliseconds

Call = Callable[[], Any]
WIDTHS = {"edges": 32, "strokes": 32, "parts": 64}
LEARNING_RATE = 1e-3


class Plain(nn.Module):
    """The network in Flax, as one would write it."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.relu(nn.Conv(32, (3, 3), name="edges")(x))
        x = nn.relu(nn.Conv(32, (3, 3), name="strokes")(x))
        x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.relu(nn.Conv(64, (3, 3), name="parts")(x))
        x = nn.max_pool(x, (2, 2), (2, 2))
        return nn.Dense(10, name="digits")(x.reshape(len(x), -1))


NETWORK = blocks.chain(
    blocks.convolution(32).named("edges"),
    blocks.relu,
    blocks.convolution(32).named("strokes"),
    blocks.relu,
    blocks.max_pool(2),
    blocks.convolution(64).named("parts"),
    blocks.relu,
    blocks.max_pool(2),
    blocks.flatten,
    digits=blocks.linear(10),
)


def ours(params: Any, batch: Any) -> jax.Array:
    """The cost by our rules."""
    logits = NETWORK.apply(params, batch[0])
    return jnp.mean(rules.softmax_cross_entropy_with_integer_labels(logits, batch[1]))


def flax(params: Any, batch: Any) -> jax.Array:
    """The cost by Flax and optax."""
    logits = Plain().apply({"params": params}, batch[0])
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, batch[1]))


def stepping(cost: Callable[..., Any], params: Any, batch: Any) -> Call:
    """A call that takes one more step and returns the cost before it."""
    method = optax.adam(LEARNING_RATE)
    step, state = compiled(cost, method), [initial(params, method)]

    def call() -> Any:
        state[0], report = step(state[0], batch)
        return report.cost

    return call


def torch_stepping(params: Any, batch: Any) -> Call:
    """The same in PyTorch, channels last."""
    import torch
    from torch.nn import functional

    tensors = {}
    for name in (*WIDTHS, "digits"):
        kernel = np.asarray(params[name]["kernel"])
        kernel = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
        made = torch.from_numpy(np.ascontiguousarray(kernel))
        made = made.contiguous(memory_format=torch.channels_last) if kernel.ndim == 4 else made
        tensors[name] = (
            made.requires_grad_(),
            torch.from_numpy(np.array(params[name]["bias"])).requires_grad_(),
        )
    x = torch.from_numpy(np.array(batch[0])).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(np.array(batch[1])).long()
    optimizer = torch.optim.Adam([leaf for pair in tensors.values() for leaf in pair], lr=LEARNING_RATE)

    def call() -> Any:
        optimizer.zero_grad()
        y = functional.relu(functional.conv2d(x, *tensors["edges"], padding=1))
        y = functional.relu(functional.conv2d(y, *tensors["strokes"], padding=1))
        y = functional.relu(functional.conv2d(functional.max_pool2d(y, 2), *tensors["parts"], padding=1))
        y = functional.max_pool2d(y, 2).permute(0, 2, 3, 1).flatten(1)  # in Flax's order of features
        loss = functional.cross_entropy(functional.linear(y, *tensors["digits"]), labels)
        loss.backward()
        optimizer.step()
        return loss.detach().numpy()

    return call


def calls() -> dict[str, Call]:
    """One training step for each, from the same parameters."""
    x = jax.random.uniform(jax.random.key(0), (64, 8, 8, 1))
    labels = jax.random.randint(jax.random.key(1), (64,), 0, 10)
    params = NETWORK.init(jax.random.key(2), x)
    batch = (x, labels)
    found = {"ours": stepping(ours, params, batch), "flax": stepping(flax, params, batch)}
    try:
        import torch  # noqa: F401
    except ImportError:
        return found
    return {**found, "torch": torch_stepping(params, batch)}


def agree(found: dict[str, Call]) -> list[float]:
    """The cost before the first and before the second step, checked to be the same for all."""
    told = []
    for _ in range(2):
        costs = {name: float(call()) for name, call in found.items()}
        # float32, sums of 600 products in other orders; Adam's first step moves by the sign of a gradient.
        assert max(costs.values()) - min(costs.values()) < 1e-3 * costs["ours"], costs
        told.append(costs["ours"])
    assert told[1] < told[0]
    return told


if __name__ == "__main__":
    steps = calls()
    print("costs before the first two steps:", agree(steps))
    times = milliseconds(steps)
    for name, each in times.items():
        print(f"{name:6s} {each:7.2f} ms   {each / times['ours']:5.2f} times ours")
