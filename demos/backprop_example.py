"""Backprop reuses what it has:  dJ/dx_(l-1) = dJ/dx_l  dx_l/dx_(l-1),  every factor multiplied once.

Runs the lecture's worked example (x = (1.0, 0.1), target 0.5) through the backward sweep, prints every step, and
checks the update against the slides. Then counts, for chains of growing depth, the vector-Jacobian products that
the sweep takes and those that the chain rule takes for one parameter at a time.

    python demos/backprop_example.py [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

import diffprog as dp
from diffprog.graph.sweeps.layouts import convert

matplotlib.use("Agg")
import matplotlib.pyplot as plt

INK, VALUE, GRADIENT, AGAIN = "#222222", "#1f6f4a", "#b3261e", "#f0c9c4"
FLOW = ("x0", "dot", "tanh", "dot_1", "cost")  # what flows from left to right in the example
LABEL = {"x0": "x0", "dot": "x1 = W0 x0", "tanh": "x2 = tanh(x1)", "dot_1": "x3 = W1 x2", "cost": "L"}
WEIGHTS = {"dot": "W0", "dot_1": "W1"}


def example(W0: jax.Array, W1: jax.Array, x0: jax.Array, y: float) -> jax.Array:
    """The lecture's network and its loss, for column vectors."""
    return jnp.sum((W1 @ jnp.tanh(W0 @ x0) - y) ** 2) / 2


def example_args() -> tuple[Any, ...]:
    """What the lecture calls it with; `diffprog explain` finds it by its name."""
    W0, W1 = jnp.array([[1.0, -3.0], [0.2, 1.0]]), jnp.array([[1.0, -1.0]])
    return W0, W1, jnp.array([[1.0], [0.1]]), 0.5


def chain(parameters: list[jax.Array], x: jax.Array) -> jax.Array:
    """Layers x <- w x, each with a parameter of its own."""
    for w in parameters:
        x = w * x
    return x


def lecture() -> Any:
    """The sweep through the example; prints it and the updated weights."""
    W0, W1, x0, y = example_args()
    steps = dp.backprop(example, W0, W1, x0, y, parameters=["W0", "W1"])
    print(steps.table(digits=10))
    eta = -0.2
    for name, W, slide in (("W0", W0, [[1.02, -3.0], [0.17, 1.0]]), ("W1", W1, [[1.02, -0.989]])):
        new = W + eta * steps.gradient(name, layout="lecture").T
        print(f"{name}' = {name} + eta (dL/d{name})^T = {np.round(new, 10).tolist()}")
        np.testing.assert_allclose(new, slide, atol=5e-3)  # the slide rounds to two digits
    return steps


def draw_example(axis: Any, steps: Any) -> None:
    """Forward above the line, backward below it; weights and their gradients farthest out."""
    for k, name in enumerate(FLOW):
        above, below = numbers(steps, name)
        box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": INK}
        axis.text(k, 0, LABEL[name], ha="center", va="center", bbox=box, color=INK)
        axis.text(k, 0.25, above, ha="center", va="bottom", color=VALUE, family="monospace")
        axis.text(k, -0.25, below, ha="center", va="top", color=GRADIENT, family="monospace")
        if name in WEIGHTS:
            weights = steps.variable(WEIGHTS[name]).array, steps.gradient(WEIGHTS[name], "lecture")
            above, below = (f"{label}\n{_entries(w)}" for label, w in zip(labels(name), weights, strict=True))
            axis.text(k, 0.65, above, ha="center", va="bottom", color=VALUE, family="monospace")
            axis.text(k, -0.6, below, ha="center", va="top", color=GRADIENT, family="monospace")
        if k:
            for start, end, y, color in ((0.73, 0.27, 0.1, VALUE), (0.27, 0.73, -0.1, GRADIENT)):
                arrow = {"arrowstyle": "->", "color": color}
                axis.annotate("", (k - end, y), (k - start, y), arrowprops=arrow)
    axis.set(xlim=(-0.5, len(FLOW) - 0.5), ylim=(-1.2, 1.15))
    axis.axis("off")
    axis.set_title(
        "The worked example, as the lecture lays it out: values forward (above), dL/d(...) back (below)"
    )


def numbers(steps: Any, name: str) -> tuple[str, str]:
    """A value of the example, and the derivative of L by it."""
    if name == "cost":
        return f"{float(steps.value):.4f}", "1"
    if name == "x0":
        return _entries(steps.variable("x0").array), _entries(steps.gradient("x0", "lecture"))
    g_out = steps[name].g_out[0].array
    return _entries(steps[name].x_out[0].array), _entries(convert(g_out, (), g_out.shape))


def labels(name: str) -> tuple[str, str]:
    """What the weights of a layer and their gradient are called."""
    return f"{WEIGHTS[name]} =", f"dL/d{WEIGHTS[name]} ="


def draw_reuse(axis: Any, depth: int) -> None:
    """One row for every parameter: the products of its chain rule; the red ones are all that the sweep takes."""
    steps = dp.backprop(chain, [jnp.float32(0.9)] * depth, jnp.float32(2.0)).steps
    taken = set()
    for row in range(depth):  # the last layer's parameter first: its chain is the shortest
        for column, step in enumerate(steps[: row + 1]):
            operand = "own" if column == row else "before"
            new = (step.name, operand) not in taken
            taken.add((step.name, operand))
            axis.add_patch(plt.Rectangle((column, row), 0.94, 0.94, color=GRADIENT if new else AGAIN))
    axis.set(xlim=(0, depth), ylim=(depth, 0))
    axis.set_xticks(np.arange(depth) + 0.5, [f"x{depth - k}" for k in range(depth)])
    axis.set_yticks(np.arange(depth) + 0.5, [f"dJ/dw{depth - k}" for k in range(depth)])
    axis.set_xlabel("product with the Jacobian of")
    axis.set_title("Chain rule for every parameter:\ntaken (dark), taken before and used again (light)")


def draw_counts(axis: Any, depths: list[int]) -> None:
    """Linear against quadratic, counted."""
    found = [dp.backprop(chain, [jnp.float32(0.9)] * depth, jnp.float32(2.0)) for depth in depths]
    axis.plot(
        depths, [steps.naive_products for steps in found], "o-", color=AGAIN, label="one parameter at a time"
    )
    axis.plot(depths, [steps.products for steps in found], "o-", color=GRADIENT, label="backprop")
    for steps, depth in zip(found, depths, strict=True):
        print(f"depth {depth:3}: {steps.products:4} products, {steps.naive_products:4} without reuse")
        assert steps.products == 2 * depth
    axis.set_xlabel("layers")
    axis.set_xticks(depths)
    axis.set_title("Vector-Jacobian products")
    axis.set_ylim(0)
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)


def _entries(array: jax.Array) -> str:
    return "\n".join("  ".join(f"{entry:7.4f}" for entry in row) for row in np.atleast_2d(array))


def main() -> None:
    """Print the sweep and draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="chains of at most 8 layers")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with jax.enable_x64(True):
        steps = lecture()
    figure = plt.figure(figsize=(12, 8.5))
    draw_example(figure.add_subplot(2, 1, 1), steps)
    draw_reuse(figure.add_subplot(2, 2, 3), 6)
    draw_counts(figure.add_subplot(2, 2, 4), [1, 2, 4, 8] if options.small else [1, 4, 8, 12, 16, 20])
    figure.tight_layout()
    path = options.out / "backprop_example.png"
    figure.savefig(path, dpi=100)
    print(path)


if __name__ == "__main__":
    main()
