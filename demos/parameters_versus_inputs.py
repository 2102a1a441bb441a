"""One network, one call, two questions:  dJ/dtheta, which is training, then  dy/dx, which is looking inside.

    training:  minimize over theta   the mean cost J(theta, x) of real digits x
    looking:   minimize over x       -log p_j(x; theta) + lambda R(x),  theta held

`optimize` is called twice with the same network; what differs is which argument is the variable. Draws the pictures
that the ten units want beside the mean digit of each class, and prints what can be measured about both: accuracy on
unseen digits, how sure the network is of the pictures made for it, and how much they resemble the digit they stand
for (correlation with the mean of its class, against that with the means of the other nine).

    python demos/parameters_versus_inputs.py [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from sklearn.datasets import load_digits

import diffprog as dp
from diffprog import blocks, rules

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NETWORK = blocks.chain(
    blocks.convolution(16).named("edges"),
    blocks.softplus,
    blocks.avg_pool(2),
    blocks.convolution(32).named("parts"),
    blocks.softplus,
    blocks.flatten,
    digits=blocks.linear(10),
)
BATCH = 256
PENALTY = 0.1  # lambda
NOISE = 0.3  # added to pictures in training and in looking, so that neither relies on single pixels


def noise(key: jax.Array, x: jax.Array) -> jax.Array:
    """x with noise on every pixel."""
    return x + NOISE * jax.random.normal(key, x.shape)


def cost(theta: Any, key: jax.Array, x: jax.Array, labels: jax.Array) -> jax.Array:
    """J(theta): how wrong the network is about a batch of noisy digits."""
    own, other = jax.random.split(key)
    chosen = jax.random.randint(own, (BATCH,), 0, len(x))
    logits = NETWORK.apply(theta, noise(other, x[chosen]))
    return jnp.mean(rules.softmax_cross_entropy_with_integer_labels(logits, labels[chosen]))


def dislike(z: jax.Array, key: jax.Array, theta: Any, units: jax.Array) -> jax.Array:
    """-log p_j(x) and lambda R(x), how rough x is; x = sigmoid(z), so that ink is between none and all."""
    x = rules.sigmoid(z)
    scores = rules.log_softmax(NETWORK.apply(theta, noise(key, x)))[jnp.arange(len(units)), units]
    rough = sum(jnp.sum(jnp.diff(x, axis=axis) ** 2) for axis in (1, 2))
    return -jnp.sum(scores) + PENALTY * rough


def measured(theta: Any, wanted: np.ndarray, means: np.ndarray) -> dict[str, float]:
    """How sure, and how alike; correlations over pixels, [10, 10] between wanted pictures and mean digits."""
    sure = jax.nn.softmax(NETWORK.apply(theta, jnp.asarray(wanted)))
    flat = [
        pictures.reshape(10, -1) - pictures.reshape(10, -1).mean(1, keepdims=True)
        for pictures in (wanted, means)
    ]
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in flat]
    alike = unit[0] @ unit[1].T  # (10, 64) (64, 10) -> (10, 10)
    return {
        "sure": float(np.mean(np.diag(np.asarray(sure)))),
        "own": float(np.mean(np.diag(alike))),
        "others": float(np.mean(alike[~np.eye(10, dtype=bool)])),
        "nearest": int(np.sum(alike.argmax(1) == np.arange(10))),
    }


def main() -> None:
    """Train, look, print, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="fewer steps")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    learn, test = order[360:], order[:360]
    steps = (60, 60) if options.small else (400, 300)

    theta = NETWORK.init(jax.random.key(0), images[:1])
    data = (jnp.asarray(images[learn]), jnp.asarray(labels[learn]))
    trained = dp.optimize(cost, theta, optax.adam(4e-3), steps=steps[0], key=jax.random.key(1), args=data)
    z = jnp.full((10, 8, 8, 1), -1.0)
    held = (trained.value, jnp.arange(10))
    looked = dp.optimize(dislike, z, optax.adam(0.1), steps=steps[1], key=jax.random.key(2), args=held)

    accuracy = float(np.mean(NETWORK.apply(trained.value, images[test]).argmax(-1) == labels[test]))
    means = np.stack([images[learn][labels[learn] == digit].mean(0) for digit in range(10)])
    wanted = np.asarray(rules.sigmoid(looked.value))
    found = measured(trained.value, wanted, means)
    print(
        f"dJ/dtheta: cost {trained.history[0]:.2f} -> {trained.history[-1]:.2f}, {accuracy:.1%} of unseen digits"
    )
    print(f"dy/dx:     the network is {found['sure']:.1%} sure of the pictures made for its units")
    own, others = found["own"], found["others"]
    print(
        f"           correlation with the mean of their digit {own:.2f}, with those of the others {others:.2f}"
    )
    print(f"           {found['nearest']} of 10 pictures are nearest to the digit they stand for")

    path = options.out / "parameters_versus_inputs.png"
    draw(trained.history, looked.history, wanted, means, path)
    print(path)


def draw(over_theta: Any, over_x: Any, wanted: np.ndarray, means: np.ndarray, path: Path) -> None:
    """The two curves, and under them the pictures that the units want above the mean digits."""
    figure = plt.figure(figsize=(10, 4.6), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.1))
    left, right = upper.subplots(1, 2)
    for axis, history, name, title in (
        (left, over_theta, "cost", "over theta: the mean cost of digits"),
        (right, over_x, "cost", "over x: -log p of ten units, and lambda R(x)"),
    ):
        axis.plot(history, color="black", linewidth=1)
        axis.set(xlabel="step", ylabel=name)
        axis.set_title(title, fontsize=10)
    axes = lower.subplots(2, 10)
    for row, (name, pictures) in enumerate(
        {"what the\nunit wants": wanted, "mean of\nthe digit": means}.items()
    ):
        axes[row, 0].set_ylabel(name, fontsize=9)
        for axis, picture in zip(axes[row], pictures, strict=True):
            axis.imshow(picture[..., 0], cmap="gray_r", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
    for digit, axis in enumerate(axes[0]):
        axis.set_title(str(digit), fontsize=10)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
