"""Training on some 4,400 colour drawings: which Unicode group is this emoji of? Interrupted, resumed, same result.

OpenMoji's drawings, 32 x 32 pixels, are fetched once. Families of skin tones are on one side of the split, and count
as one drawing in the cost, so that people are not half of what is learned. The training is interrupted after a third
(as by Ctrl-C) and resumed from its checkpoint; `--twice` trains once more without interruption and compares every
number. Prints the accuracy on unseen families, beside always guessing the largest group, and draws the curves, the
confusion and some mistakes.

    python demos/drawings.py [--epochs 20] [--twice] [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax

from diffprog import blocks, rules
from diffprog.data import Drawings, openmoji, split
from diffprog.optimize.progress import Progress, bar, silent
from diffprog.optimize.training import Trained, train

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BATCH = 64


class Task(NamedTuple):
    """What is learned: pictures [N, S, S, 3] in [0, 1], the number of the group of each, and its weight."""

    names: tuple[str, ...]
    learn: tuple[np.ndarray, np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray, np.ndarray]


def task(drawings: Drawings) -> Task:
    """Groups as numbers, families split; a drawing weighs one over the size of its family."""
    names = tuple(sorted(set(drawings.groups)))
    sizes = Counter(drawings.families)
    pictures = drawings.pictures.astype(np.float32) / 255
    labels = np.array([names.index(group) for group in drawings.groups], np.int32)
    weights = np.array([1 / sizes[family] for family in drawings.families], np.float32)
    learn, test = ((pictures[at], labels[at], weights[at]) for at in split(drawings))
    return Task(names, learn, test)


def network(groups: int) -> blocks.Block:
    """Three convolutions, each followed by group normalization and a pool."""

    def stage(features: int) -> blocks.Block:
        return blocks.chain(
            blocks.convolution(features), blocks.group_norm(8), blocks.relu, blocks.max_pool(2)
        )

    return blocks.chain(stage(16), stage(32), stage(64), blocks.global_avg_pool, groups=blocks.linear(groups))


def moved(key: jax.Array, pictures: jax.Array) -> jax.Array:
    """Every picture shifted by up to two pixels, white coming in, and mirrored half of the time."""
    padded = jnp.pad(pictures, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=1.0)
    offset_key, mirror_key = jax.random.split(key)
    offsets = jax.random.randint(offset_key, (len(pictures), 2), 0, 5)
    shifted = jax.vmap(lambda one, at: jax.lax.dynamic_slice(one, (*at, 0), pictures.shape[1:]))(
        padded, offsets
    )
    mirror = jax.random.bernoulli(mirror_key, shape=(len(pictures), 1, 1, 1))
    return jnp.where(mirror, shifted[:, :, ::-1], shifted)


class Halt:
    """A progress that presses Ctrl-C after so many steps."""

    def __init__(self, progress: Progress, after: int):
        self.progress, self.after = progress, after

    @contextmanager
    def __call__(self, total: int) -> Any:
        with self.progress(total) as told:

            def tell(done: int, report: Any) -> None:
                told(done, report)
                if done == self.after:
                    raise KeyboardInterrupt

            yield tell


def trainer(what: Task, epochs: float, seed: int = 0) -> Callable[..., Trained]:
    """One training as a function of its checkpoint and its progress, to be called again after an interruption."""
    net = network(len(what.names))
    start_key, key = jax.random.split(jax.random.key(seed))
    steps = max(1, round(epochs * (len(what.learn[0]) // BATCH)))
    method = optax.adamw(optax.cosine_decay_schedule(4e-3, steps), weight_decay=1e-2)

    def cost(params: Any, key: jax.Array, batch: Any) -> jax.Array:
        pictures, labels, weights = batch
        logits = net.apply(params, moved(key, pictures))
        losses = rules.softmax_cross_entropy_with_integer_labels(logits, labels)
        return jnp.sum(weights * losses) / jnp.sum(weights)

    guesses = jax.jit(lambda params, pictures: jnp.argmax(net.apply(params, pictures), -1))

    def evaluate(params: Any) -> dict[str, float]:
        sides = {"training": what.learn, "test": what.test}
        return {name: right(np.asarray(guesses(params, side[0])), *side[1:]) for name, side in sides.items()}

    def run(checkpoint: Path | None = None, progress: Progress = silent) -> Trained:
        return train(
            cost,
            net.init(start_key, (1, *what.learn[0].shape[1:])),
            method,
            what.learn,
            batch=BATCH,
            epochs=epochs,
            key=key,
            keyed=True,
            evaluate=evaluate,
            checkpoint=checkpoint,
            progress=progress,
        )

    return run


def right(found: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """The share of families whose drawings are put in the right group."""
    return float(np.average(found == labels, weights=weights))


def most_frequent(what: Task) -> float:
    """What guessing the largest group of the training gets right."""
    _, labels, weights = what.learn
    largest = np.bincount(labels, weights).argmax()
    return right(np.full(len(what.test[1]), largest), *what.test[1:])


def interrupted_and_resumed(run: Callable[..., Trained], after: int, progress: Progress) -> Trained:
    """The training, interrupted after so many steps and called again."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "drawings.safetensors")
        first = run(kept, Halt(progress, after))
        print(f"{first.stopped} after {first.steps} steps")
        return run(kept, progress)


def same(one: Trained, other: Trained) -> bool:
    """Whether two trainings agree in every bit of their parameters, costs and metrics."""
    pairs = zip(jax.tree.leaves(one.value), jax.tree.leaves(other.value), strict=True)
    return (
        all(np.array_equal(a, b) for a, b in pairs)
        and np.array_equal(one.history, other.history)
        and one.metrics == other.metrics
    )


def draw(what: Task, run: Trained, path: Path) -> None:
    """Curves, the confusion of the groups, and mistakes."""
    pictures, labels, weights = what.test
    found = np.asarray(jnp.argmax(network(len(what.names)).apply(run.value, pictures), -1))
    figure = plt.figure(figsize=(12, 6.5))
    grid = figure.add_gridspec(2, 12, hspace=0.5, height_ratios=(3, 1))
    left = figure.add_subplot(grid[0, :5])
    for name in ("training", "test"):
        shown = [100 * metric.values[name] for metric in run.metrics]
        left.plot([metric.epoch for metric in run.metrics], shown, label=f"{name}: {shown[-1]:.1f} %")
    guess = 100 * most_frequent(what)
    left.axhline(guess, color="gray", linestyle=":", label=f"always the largest group: {guess:.1f} %")
    left.set(title="families put in the right group, in %", xlabel="epoch", ylim=(0, 100))
    left.legend()
    right_side = figure.add_subplot(grid[0, 7:])
    table = np.zeros((len(what.names),) * 2)
    np.add.at(table, (labels, found), weights)
    right_side.imshow(table / np.maximum(table.sum(1, keepdims=True), 1e-9), cmap="Greens", vmin=0, vmax=1)
    right_side.set_xticks(range(len(what.names)), what.names, rotation=90, fontsize=7)
    right_side.set_yticks(range(len(what.names)), what.names, fontsize=7)
    right_side.set(title="rows: the group; columns: the guess")
    for column, index in enumerate(np.random.default_rng(0).permutation(np.flatnonzero(found != labels))[:6]):
        axis = figure.add_subplot(grid[1, 2 * column : 2 * column + 2])
        axis.imshow(pictures[index])
        axis.set_axis_off()
        axis.set_title(f"{what.names[labels[index]]}\nnot {what.names[found[index]]}", fontsize=7)
    figure.suptitle(f"{len(labels)} unseen drawings of OpenMoji (CC BY-SA 4.0)")
    figure.savefig(path, dpi=80, bbox_inches="tight")


def main() -> None:
    """Train, interrupt, resume, compare, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=float, default=20)
    parser.add_argument("--twice", action="store_true", help="train without interruption too, and compare")
    parser.add_argument("--small", action="store_true", help="300 drawings, 24 x 24, 2 epochs, twice")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    drawings = openmoji(24, most=300) if options.small else openmoji(32)
    what = task(drawings)
    print(
        f"{len(drawings.codes)} drawings of {len(set(drawings.families))} families in {len(what.names)} groups"
    )
    print(blocks.table(network(len(what.names)), (1, *what.learn[0].shape[1:])))
    epochs = 2 if options.small else options.epochs
    run = trainer(what, epochs)
    after = round(epochs * (len(what.learn[0]) // BATCH)) // 3
    resumed = interrupted_and_resumed(run, after, bar("drawings"))
    print(f"{resumed.stopped} after {resumed.steps} steps, resumed at step {after}")
    if options.small or options.twice:
        alike = same(resumed, run(progress=bar("drawings")))
        print("the uninterrupted training:", "the same, bit for bit" if alike else "ANOTHER RESULT")
        assert alike
    print(f"unseen families right: {resumed.metrics[-1].values['test']:.1%}")
    print(f"always the largest group: {most_frequent(what):.1%}")
    path = options.out / "drawings.png"
    draw(what, resumed, path)
    print(path)


if __name__ == "__main__":
    main()
