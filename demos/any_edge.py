"""Optimize any edge:  one program, one cost, and four things that move, by the same call.

    picture = sigmoid(pixels + waves(latent))        cost = -log p(class | picture)

A latent of a few waves, the picture's pixels, a hidden activation of the network, or the network's own last layer:
each is cut free in turn, and the same `dp.optimize` lowers the same cost. Drawn is what each became, and what the
network then
says: it is sure every time, and no person would be. What a picture needs besides is in `unit_visualization.py`.

    python demos/any_edge.py [--unit chameleon] [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax

import diffprog as dp

matplotlib.use("Agg")
import matplotlib.pyplot as plt

WAVES = 12  # along every side of the picture
HIDDEN = "pool5"


class Edge(NamedTuple):
    """What is cut, what it is, and how far a step goes."""

    name: str
    title: str
    learning_rate: float


EDGES = (
    Edge("latent", "a latent", 0.1),
    Edge("pixels", "the input", 0.05),
    Edge(HIDDEN, "a hidden activation", 1.0),
    Edge("params['conv10']['bias']", "a parameter", 0.2),
)


def program(net: dp.models.Network, index: int, params: Any, pixels: jax.Array, latent: jax.Array) -> Any:
    """The picture [1, H, W, 3], and the cost of not being of the class."""
    positions = (jnp.arange(pixels.shape[1]) + 0.5) / pixels.shape[1]
    waves = jnp.cos(jnp.pi * positions[:, None] * jnp.arange(WAVES))  # (H, waves)
    smooth = jnp.einsum("hi,wj,ijc->hwc", waves, waves, latent)
    picture = jax.nn.sigmoid(pixels + smooth)
    return {"picture": picture, "cost": -jax.nn.log_softmax(net.apply(params, picture))[0, index]}


def main() -> None:
    """Cut, optimize, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--unit", default="chameleon", help="a class name, or a unique part of it")
    parser.add_argument("--small", action="store_true", help="96 pixels and 64 steps")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    size, steps = (96, 64) if options.small else (192, 120)
    net = dp.models.load("squeezenet")
    index = net.class_index(options.unit)

    def f(params: Any, pixels: jax.Array, latent: jax.Array) -> Any:
        return program(net, index, params, pixels, latent)

    noise = jax.random.normal(jax.random.key(0), (1, size, size, 3))
    args = (net.params, 0.3 * noise, 0.1 * jax.random.normal(jax.random.key(1), (WAVES, WAVES, 3)))
    graph = dp.trace(f, *args)  # one graph for all four

    figure, axes = plt.subplots(
        2, len(EDGES), figsize=(3.3 * len(EDGES), 6.4), height_ratios=(3, 2), layout="constrained"
    )
    for (above, below), edge in zip(axes.T, EDGES, strict=True):
        problem = dp.cut(graph, edge.name, cost=lambda out: out["cost"], args=args)
        run = dp.optimize(
            problem, problem.start, optax.adam(edge.learning_rate), steps=steps, args=(problem.held,)
        )
        result, _ = graph.run(*args, replace=run.value)
        draw(above, edge, np.asarray(problem.start[edge.name]), np.asarray(run.value[edge.name]), result)
        moved = np.array(run.history)
        below.plot(np.exp(-moved), color="C3")
        below.set(ylim=(0, 1), xlabel="steps")
        final = float(jnp.exp(-result["cost"]))
        above.set_title(f"{edge.title}\ncut: {edge.name}", fontsize=10)
        below.set_title(f"p = {np.exp(-moved[0]):.1e} before, {final:.2f} after", fontsize=9)
        print(f"{edge.title}, {edge.name}: p {np.exp(-moved[0]):.1e} -> {final:.3f}", flush=True)
    axes[1, 0].set_ylabel(f"p({net.label(index).split(',')[0]})")
    figure.suptitle("One graph, one cost, one call: what is moved is up to you")
    path = options.out / "any_edge.png"
    figure.savefig(path, dpi=100)
    print(path)


def draw(axis: Any, edge: Edge, start: np.ndarray, end: np.ndarray, result: Any) -> None:
    """What the edge became: the picture, where the activation changed, or by how much each class's bias did."""
    if edge.name in ("latent", "pixels"):
        axis.imshow(result["picture"][0])
    elif edge.name == HIDDEN:
        shown = axis.imshow(np.sqrt(((end - start)[0] ** 2).mean(-1)), cmap="magma")
        axis.figure.colorbar(shown, ax=axis, fraction=0.045)
        axis.set_xlabel("by how much it changed, r.m.s.", fontsize=8)
    else:
        axis.plot(end - start, lw=0.6)
        axis.set_box_aspect(0.9)
        axis.set_xlabel("change of every class's bias", fontsize=8)
        return
    axis.set_xticks([])
    axis.set_yticks([])


if __name__ == "__main__":
    main()
