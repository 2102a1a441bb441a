"""Parameter sharing sums gradients:  dJ/dW = sum over the uses k of dJ/dW_k.

A recurrent network uses one matrix at every time step. The backward sweep shows what each use sends back; a network
of the same values with a copy of its own at every step has exactly these as its gradients.

    python demos/parameter_sharing.py [--small] [--out FOLDER]
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

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def unshared(copies: list[jax.Array], inputs: jax.Array, target: jax.Array) -> jax.Array:
    """A recurrent network with a matrix of its own for every time step, and its cost."""
    h = jnp.ones(target.shape)
    for W, x in zip(copies, inputs, strict=True):
        h = jnp.tanh(W @ h + x)
    return jnp.sum((h - target) ** 2) / 2


def shared(W: jax.Array, inputs: jax.Array, target: jax.Array) -> jax.Array:
    """The same with one matrix for all."""
    return unshared([W] * len(inputs), inputs, target)


def draw(panels: list[tuple[str, np.ndarray]], title: str, path: Path) -> None:
    """Matrices side by side, on one scale of colours."""
    limit = max(float(np.abs(matrix).max()) for _, matrix in panels)
    figure, axes = plt.subplots(1, len(panels), figsize=(2.3 * len(panels) + 0.8, 3.0), layout="constrained")
    for axis, (label, matrix) in zip(axes, panels, strict=True):
        image = axis.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axis.set_title(label, fontsize=10)
        axis.set_xticks([])
        axis.set_yticks([])
    figure.colorbar(image, ax=axes, shrink=0.7)
    figure.suptitle(title)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Print the terms, compare, and draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="three time steps of a 4 x 4 matrix")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    length, size = (3, 4) if options.small else (5, 8)
    with jax.enable_x64(True):
        difference, panels = compare(length, size)
    path = options.out / "parameter_sharing.png"
    draw(
        panels,
        f"The gradient of a shared matrix is the sum over its uses (difference {difference:.0e})",
        path,
    )
    print(path)


def compare(length: int, size: int) -> tuple[float, list[tuple[str, np.ndarray]]]:
    """The gradients of the copies, their sum, and that of the shared matrix."""
    keys = jax.random.split(jax.random.key(0), 3)
    W = jax.random.normal(keys[0], (size, size)) / size**0.5
    inputs, target = jax.random.normal(keys[1], (length, size)) / 2, jax.random.normal(keys[2], (size,))
    found: Any = dp.backprop(shared, W, inputs, target).variable("W")
    copies = jax.grad(unshared)([W] * length, inputs, target)
    terms = {
        term.consumer: term.array for term in reversed(found.contributions)
    }  # the sweep meets the last use first
    panels = []
    for k, (consumer, copy) in enumerate(zip(terms, copies, strict=True), 1):
        error = float(jnp.abs(terms[consumer] - copy).max())
        print(
            f"use {k}, sent back by {consumer:6}: norm {jnp.linalg.norm(copy):.6f}, from its copy's by {error:.1e}"
        )
        panels.append((f"use {k}" if k == 1 else f"+ use {k}", np.asarray(terms[consumer])))
    total = sum(copies)
    difference = float(jnp.abs(found.gradient - total).max())
    print(
        f"shared: norm {jnp.linalg.norm(found.gradient):.6f}, from the sum of the copies' by {difference:.1e}"
    )
    assert difference < 1e-12  # float64
    return difference, [
        *panels,
        ("= sum of the copies'", np.asarray(total)),
        ("the shared W's", np.asarray(found.gradient)),
    ]


if __name__ == "__main__":
    main()
