"""Training a small convolutional network of blocks on handwritten digits, real ones, to at least 98 % of unseen ones.

1797 scans of 8 x 8 pixels come with scikit-learn; every fifth of a shuffled order is kept for the test. Pictures are
moved by up to a pixel in training. Prints the network, the metrics of every few epochs and the seconds, and draws the
curves, what the first layer learned, and every test digit that the network gets wrong.

    python demos/digits.py [--epochs 30] [--checkpoint FILE] [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from sklearn.datasets import load_digits

from diffprog import blocks, rules
from diffprog.optimize.progress import bar
from diffprog.optimize.saved import save_tree
from diffprog.optimize.training import Trained, train

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BATCH = 64
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


def pictures() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Training and test data: float32 [N, 8, 8, 1] in [0, 1] and labels int32 [N]."""
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    test, rest = order[::5], np.setdiff1d(order, order[::5])
    return (images[rest], labels[rest].astype(np.int32)), (images[test], labels[test].astype(np.int32))


def moved(key: jax.Array, images: jax.Array) -> jax.Array:
    """Every picture shifted by -1, 0 or 1 pixels down and right, zeros coming in."""
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    offsets = jax.random.randint(key, (len(images), 2), 0, 3)
    return jax.vmap(lambda one, at: jax.lax.dynamic_slice(one, (at[0], at[1], 0), (8, 8, 1)))(padded, offsets)


def cost(params: blocks.block.Params, key: jax.Array, batch: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Mean cross-entropy of moved pictures."""
    images, labels = batch
    logits = NETWORK.apply(params, moved(key, images))
    return jnp.mean(rules.softmax_cross_entropy_with_integer_labels(logits, labels))


@jax.jit
def guesses(params: blocks.block.Params, images: jax.Array) -> jax.Array:
    """The likeliest digit of every picture."""
    return jnp.argmax(NETWORK.apply(params, images), -1)


def digits(epochs: float, checkpoint: Path | None = None, seed: int = 0) -> Trained:
    """Train, and evaluate after every epoch."""
    learn, test = pictures()

    def evaluate(params: blocks.block.Params) -> dict[str, float]:
        sets = {"training": learn, "test": test}
        return {name: float(np.mean(guesses(params, x) == y)) for name, (x, y) in sets.items()}

    start_key, key = jax.random.split(jax.random.key(seed))
    steps = max(1, int(epochs * (len(learn[0]) // BATCH)))
    return train(
        cost,
        NETWORK.init(start_key, (1, 8, 8, 1)),
        optax.adam(optax.cosine_decay_schedule(3e-3, steps)),
        learn,
        batch=BATCH,
        epochs=epochs,
        key=key,
        keyed=True,
        evaluate=evaluate,
        checkpoint=checkpoint,
        progress=bar("digits"),
    )


def draw(run: Trained, path: Path) -> None:
    """Curves, kernels of the first layer, and the mistakes."""
    images, labels = pictures()[1]
    found = np.asarray(guesses(run.value, images))
    wrong = np.flatnonzero(found != labels)[:8]
    figure = plt.figure(figsize=(11, 4.4))
    grid = figure.add_gridspec(2, 16, hspace=0.55, wspace=0.15, height_ratios=(3, 1))
    left = figure.add_subplot(grid[0, :7])
    left.semilogy(run.history, linewidth=0.7, color="tab:gray")
    left.set(title="cost of every batch", xlabel="step")
    right = figure.add_subplot(grid[0, 9:])
    for name in ("training", "test"):
        shown = [100 * (1 - metric.values[name]) for metric in run.metrics]
        right.plot(
            [metric.epoch for metric in run.metrics], shown, label=f"{name}: {100 - shown[-1]:.1f} % right"
        )
    right.set(title="mistakes in %", xlabel="epoch", ylim=(0, 12))
    right.legend()
    kernels = np.asarray(run.value["edges"]["kernel"])[..., 0, :]
    for number in range(8):
        axis = figure.add_subplot(grid[1, number])
        axis.imshow(kernels[..., number], cmap="RdBu", vmin=-1, vmax=1)
        axis.set_axis_off()
        if number == 0:
            axis.set_title("eight kernels of the first layer", loc="left", fontsize=9)
    for column, index in enumerate(wrong):
        axis = figure.add_subplot(grid[1, 8 + column])
        axis.imshow(images[index, ..., 0], cmap="gray_r")
        axis.set_axis_off()
        axis.set_title(f"{labels[index]}, not {found[index]}", fontsize=8)
    figure.suptitle(
        f"Handwritten digits, {len(labels)} unseen ones, of which {(found != labels).sum()} are misread"
    )
    figure.savefig(path, dpi=100, bbox_inches="tight")


def main() -> None:
    """Train, print, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=float, default=30)
    parser.add_argument("--checkpoint", type=Path, help="go on from this file, and keep the run there")
    parser.add_argument("--small", action="store_true", help="3 epochs")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    print(blocks.table(NETWORK, (1, 8, 8, 1)))
    started, busy = time.perf_counter(), time.process_time()
    run = digits(3 if options.small else options.epochs, options.checkpoint)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    for metric in run.metrics[:: max(1, len(run.metrics) // 8)]:
        print(f"epoch {metric.epoch:4.0f}  test accuracy {metric.values['test']:.2%}")
    print(f"after {run.steps} steps: test accuracy {run.metrics[-1].values['test']:.2%}")
    print(f"{seconds:.1f} s, {busy:.1f} s of processor time")
    save_tree(options.out / "digits.safetensors", run.value)
    path = options.out / "digits.png"
    draw(run, path)
    print(path)


if __name__ == "__main__":
    main()
