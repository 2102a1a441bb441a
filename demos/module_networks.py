"""Neural Module Networks on SHAPES: a program per question, of modules that share parameters by name.

The task of Andreas et al., "Neural Module Networks" (CVPR 2016): pictures of 30 x 30 pixels with red, green and blue
circles, squares and triangles on a grid of 3 x 3 cells, and questions with their layouts:

    is there a red circle?                           exists(and(find[red], find[circle]))
    is there red just above a circle?                exists(and(find[red], relate[above](find[circle])))
    ... left of what is above a circle?              exists(and(find[red], relate[left](relate[above](find[circle]))))

Each layout becomes a block, and all blocks share the parameters of `find red`, `relate above`, `exists` and the
encoder. A fifth of the layouts are held out: every module in them was trained, their composition was not seen. A
monolithic network of at least as many parameters (the same encoder, the words of the question, a multilayer
perceptron) is trained on the same pictures, questions and steps. Pictures and answers are generated and balanced, as
many yes as no for every question and every number of shapes in the picture; so chance is 50 %. Questions that are
hardly ever true are left out.

    python demos/module_networks.py [--small] [--out FOLDER]
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

from diffprog import blocks, rules
from diffprog.optimize import Trained, train

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLOURS, KINDS = ("red", "green", "blue"), ("circle", "square", "triangle")
WORDS, RELATIONS = COLOURS + KINDS, ("above", "below", "left", "right")
NONE = len(RELATIONS)  # the place of a relation that a question does not have
GRID, CELL = 3, 10


class Question(NamedTuple):
    """`exists(and(find[what], relate[first](relate[second](find[other]))))`, numbers of words; NONE: no relation."""

    what: int
    first: int
    second: int
    other: int

    def __str__(self) -> str:
        """The layout, as published."""
        inner = f"find[{WORDS[self.other]}]"
        for relation in (self.second, self.first):
            inner = inner if relation == NONE else f"relate[{RELATIONS[relation]}]({inner})"
        return f"exists(and(find[{WORDS[self.what]}], {inner}))"


def questions() -> list[Question]:
    """All of them: colour and kind; one relation; two relations that can both hold on the grid."""
    words, relations = range(len(WORDS)), range(len(RELATIONS))
    plain = [Question(colour, NONE, NONE, kind) for colour in range(3) for kind in range(3, 6)]
    one = [Question(a, r, NONE, b) for a in words for r in relations for b in words]
    two = [Question(a, r, s, b) for a in words for r in relations for s in relations for b in words]
    return plain + one + two


# ---- pictures and answers -------------------------------------------------------------------------------------


def stencils() -> np.ndarray:
    """Masks of circle, square and triangle, [3, CELL, CELL]."""
    row, column = np.mgrid[:CELL, :CELL] - (CELL - 1) / 2
    circle = row**2 + column**2 < 14
    square = np.maximum(abs(row), abs(column)) < 3.6
    triangle = (abs(column) < (row + 4) / 2 + 0.3) & (row < 3.6) & (row > -4)
    return np.stack([circle, square, triangle])


def drawn(scenes: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Scenes [N, 3, 3], -1 for an empty cell and else 3 colour + kind, as uint8 [N, 30, 30, 3]."""
    colours = 255 * np.eye(3, dtype=np.uint8)
    glyphs = [np.zeros((CELL, CELL, 3), np.uint8)]
    glyphs += [stencil[..., None] * colour for colour in colours for stencil in stencils()]
    cells = np.stack(glyphs)[scenes + 1]  # (N, 3, 3, CELL, CELL, 3)
    cells = np.stack([np.roll(cells[n], shift[n], (2, 3)) for n in range(len(cells))])
    return cells.transpose(0, 1, 3, 2, 4, 5).reshape(len(scenes), GRID * CELL, GRID * CELL, 3)


def has(scenes: np.ndarray, word: int) -> np.ndarray:
    """Where something of this colour or kind is, bool [N, 3, 3]."""
    part = scenes // 3 if word < 3 else scenes % 3 + 3
    return (scenes >= 0) & (part == word)


def related(mask: np.ndarray, relation: int) -> np.ndarray:
    """The cells next to a cell of the mask, above (below, left of, right of) it."""
    if relation == NONE:
        return mask
    axis, step = (1 if relation < 2 else 2), (1 if relation % 2 else -1)
    wide = np.pad(mask, [(0, 0), (1, 1), (1, 1)])
    return np.roll(wide, step, axis)[:, 1:-1, 1:-1]


def answer(scenes: np.ndarray, question: Question) -> np.ndarray:
    """The truth, by set operations, bool [N]."""
    there = related(related(has(scenes, question.other), question.second), question.first)
    return (has(scenes, question.what) & there).any((1, 2))


def balanced(truth: np.ndarray, filled: np.ndarray, each: int) -> np.ndarray:
    """As many scenes with the answer yes as with no, at every number of shapes: counting shapes tells nothing."""
    pairs = []
    for number in range(GRID * GRID + 1):
        yes, no = (np.flatnonzero((truth == wanted) & (filled == number)) for wanted in (True, False))
        pairs += list(zip(yes, no, strict=False))
    evenly = pairs[:: max(1, len(pairs) // (each // 2))][: each // 2]
    return np.array(evenly, dtype=int).reshape(-1)


def examples(asked: list[Question], counts: tuple[int, int, int], seed: int) -> dict[str, np.ndarray]:
    """Pictures for every question of no, one and two relations, half of them with the answer yes."""
    generator = np.random.default_rng(seed)
    chosen, words, answers = [], [], []
    for question in asked:
        each = counts[sum(relation != NONE for relation in question[1:3])]
        pool = max(3000, 5 * each)
        scenes = generator.integers(0, 9, (pool, GRID, GRID))
        empty = generator.random((pool, 1, 1)) * 0.7 + 0.2
        scenes = np.where(generator.random(scenes.shape) < empty, -1, scenes)
        truth = answer(scenes, question)
        picked = balanced(truth, (scenes >= 0).sum((1, 2)), each)
        if len(picked) < each // 4:
            continue  # never true, or nearly so: what is red and (above what is below what is) green
        chosen.append(scenes[picked])
        words.append(np.tile(np.array(question, np.int32), (len(picked), 1)))
        answers.append(truth[picked])
    scenes = np.concatenate(chosen)
    shift = generator.integers(-1, 2, (len(scenes), 2))
    return {"x": drawn(scenes, shift), "words": np.concatenate(words), "y": np.concatenate(answers)}


# ---- the modules, and the program of a question -----------------------------------------------------------------

ENCODER = blocks.chain(
    blocks.convolution(32, CELL, CELL, "VALID"), blocks.relu, blocks.convolution(16, 1), blocks.relu
)
FIND = blocks.chain(blocks.convolution(1, 1), blocks.sigmoid)
RELATE = blocks.chain(
    blocks.flatten, blocks.linear(18), blocks.relu, blocks.linear(9), blocks.reshape(GRID, GRID, 1)
)
EXISTS = blocks.chain(blocks.flatten, blocks.linear(16), blocks.relu, blocks.linear(1), blocks.reshape())


def program(question: Question) -> blocks.Block:
    """The network of one question, assembled by its layout: picture -> logit of yes."""

    def find(word: int) -> blocks.Block:
        return blocks.shared(f"find {WORDS[word]}", FIND)

    def relate(relation: int) -> list[blocks.Block]:
        return [] if relation == NONE else [blocks.shared(f"relate {RELATIONS[relation]}", RELATE)]

    other = blocks.chain(find(question.other), *relate(question.second), *relate(question.first))
    return blocks.chain(
        blocks.shared("encoder", ENCODER),
        blocks.branch(find(question.what), other),
        blocks.multiply,
        blocks.shared("exists", EXISTS),
    )


def whole(asked: list[Question], key: jax.Array) -> Any:
    """The parameters of all modules, by name, from the programs that use them."""
    made: dict[str, Any] = {}
    for number, question in enumerate(asked):
        block = program(question)
        if block.shared - made.keys():
            made = {**block.init(jax.random.fold_in(key, number), (1, 30, 30, 3))["shared"], **made}
    return {"shared": made}


def logits(params: Any, x: jax.Array, words: jax.Array) -> jax.Array:
    """The programs of a whole batch at once, [B]: the modules that a question names are picked by their numbers.

    The same numbers as `program(question).apply`, without compiling every layout.
    """
    modules = params["shared"]
    finds, relates = (
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *(modules[f"{kind} {word}"] for word in names))
        for kind, names in (("find", WORDS), ("relate", RELATIONS))
    )
    features = ENCODER.apply(modules["encoder"], x)

    def found(word: jax.Array, feature: jax.Array) -> jax.Array:
        return FIND.apply(jax.tree.map(lambda leaf: leaf[word], finds), feature[None])

    def moved(relation: jax.Array, attention: jax.Array) -> jax.Array:
        picked = jax.tree.map(lambda leaf: leaf[jnp.minimum(relation, NONE - 1)], relates)
        return jnp.where(relation == NONE, attention, RELATE.apply(picked, attention))

    def one(feature: jax.Array, asked: jax.Array) -> jax.Array:
        there = moved(asked[1], moved(asked[2], found(asked[3], feature)))
        return EXISTS.apply(modules["exists"], blocks.multiply.apply({}, (found(asked[0], feature), there)))[
            0
        ]

    return jax.vmap(one)(features, words)


MONOLITH = blocks.chain(
    blocks.parallel(picture=blocks.chain(ENCODER, blocks.flatten), question=blocks.identity),
    blocks.concatenate(),
    blocks.linear(24),
    blocks.relu,
    blocks.linear(24),
    blocks.relu,
    blocks.linear(1),
    blocks.reshape(),
)


def monolithic(params: Any, x: jax.Array, words: jax.Array) -> jax.Array:
    """The logit of yes from the picture and the words of the question, one-hot, [B]."""
    hot = [
        jax.nn.one_hot(words[:, n], size)
        for n, size in enumerate((len(WORDS), NONE + 1, NONE + 1, len(WORDS)))
    ]
    return MONOLITH.apply(params, (x, jnp.concatenate(hot, -1)))


# ---- training and what is measured ------------------------------------------------------------------------------


def floats(x: Any) -> jax.Array:
    """Pixels in [0, 1]."""
    return jnp.asarray(x, jnp.float32) / 255


def trained(network: Any, params: Any, data: Any, tests: dict[str, Any], epochs: float) -> Trained:
    """One of the two networks, on the same batches."""

    def cost(params: Any, batch: Any) -> jax.Array:
        found = network(params, floats(batch["x"]), batch["words"])
        return jnp.mean(rules.binary_cross_entropy(found, batch["y"].astype(jnp.float32)))

    right = jax.jit(lambda params, x, words, y: jnp.mean((network(params, floats(x), words) > 0) == y))

    def evaluate(params: Any) -> dict[str, float]:
        return {name: float(right(params, **part)) for name, part in tests.items()}

    steps = int(epochs * (len(data["y"]) // 256))
    method = optax.adam(optax.cosine_decay_schedule(1e-2, steps))
    return train(
        cost, params, method, data, batch=256, epochs=epochs, key=jax.random.key(1), evaluate=evaluate
    )


def main() -> None:
    """Train both, print, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="few pictures, two epochs")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    # There are few short questions: they get more pictures, so that every length has its share.
    counts, epochs = ((64, 16, 8), 2) if options.small else ((1600, 160, 48), 16)
    every = questions()
    order = np.random.default_rng(0).permutation(len(every))
    held = {every[n] for n in order[: len(every) // 5]}
    data = examples([question for question in every if question not in held], counts, seed=1)
    tests = {
        "seen compositions": examples(
            [question for question in every if question not in held], (4, 4, 4), seed=2
        ),
        "held-out compositions": examples(sorted(held), (16, 16, 16), seed=3),
    }
    told = {name: len(np.unique(part["words"], axis=0)) for name, part in tests.items()}
    print(
        f"{len(data['y']):,} pictures; layouts tested: "
        + ", ".join(f"{n} {name}" for name, n in told.items())
    )

    start = whole(every, jax.random.key(0))
    other = MONOLITH.init(jax.random.key(0), ((1, 30, 30, 3), (1, 22)))
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (start, other)]
    runs = {
        f"modules, {sizes[0]:,} parameters": trained(logits, start, data, tests, epochs),
        f"monolithic, {sizes[1]:,} parameters": trained(monolithic, other, data, tests, epochs),
    }
    for name, run in runs.items():
        print(
            name + ": " + ", ".join(f"{part} {value:.1%}" for part, value in run.metrics[-1].values.items())
        )
    params = next(iter(runs.values())).value
    few = tests["held-out compositions"]
    picked = (0, 16, 32)  # three pictures
    programs = [program(Question(*map(int, few["words"][n]))) for n in picked]
    alone = [
        float(block.apply(params, floats(few["x"][n][None]))[0])
        for block, n in zip(programs, picked, strict=True)
    ]
    together = np.asarray(logits(params, floats(few["x"][:33]), few["words"][:33]))[list(picked)]
    print(
        f"assembled one by one or run together: logits differ by at most {np.abs(alone - together).max():.1e}"
    )

    draw(runs, params, few, options.out / "module_networks.png")
    print(options.out / "module_networks.png")


def draw(runs: dict[str, Trained], params: Any, few: dict[str, np.ndarray], path: Path) -> None:
    """Accuracy in training, and what every module says about the cells for one held-out question.

    Modules agree on a code among themselves; nothing makes white mean yes.
    """
    figure = plt.figure(figsize=(12, 5))
    grid = figure.add_gridspec(2, 5, height_ratios=(1.3, 1), hspace=0.5)
    for place, part in ((grid[0, :2], "seen compositions"), (grid[0, 3:], "held-out compositions")):
        axis = figure.add_subplot(place)
        for name, run in runs.items():
            shown = [100 * metric.values[part] for metric in run.metrics]
            axis.plot([metric.epoch for metric in run.metrics], shown, label=f"{name}: {shown[-1]:.1f} %")
        axis.set(title=part, xlabel="epoch", ylabel="right answers in %", ylim=(45, 101))
        axis.legend(fontsize=8, loc="center right")
    two = [
        n
        for n in range(len(few["y"]))
        if few["words"][n][1] != NONE and few["words"][n][2] != NONE and few["y"][n]
    ]
    number = max(two, key=lambda n: -abs(int((few["x"][n] > 0).any(-1).sum()) - 250))  # some five shapes
    question = Question(*map(int, few["words"][number]))
    modules, x = params["shared"], floats(few["x"][number : number + 1])
    features = ENCODER.apply(modules["encoder"], x)
    shown = {"the picture": x[0]}
    there = FIND.apply(modules[f"find {WORDS[question.other]}"], features)
    shown[f"find {WORDS[question.other]}"] = there[0, ..., 0]
    for relation in (question.second, question.first):
        there = RELATE.apply(modules[f"relate {RELATIONS[relation]}"], there)
        shown[f"{'and ' if len(shown) > 2 else ''}{RELATIONS[relation]}"] = there[0, ..., 0]
    what = FIND.apply(modules[f"find {WORDS[question.what]}"], features)
    shown[f"and find {WORDS[question.what]}"] = (what * there)[0, ..., 0]
    for column, (title, picture) in enumerate(shown.items()):
        axis = figure.add_subplot(grid[1, column])
        axis.imshow(picture, vmin=0, vmax=1, cmap="gray", extent=(0, 3, 3, 0))
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=9)
    figure.text(0.5, 0.02, f"held out: {question}", ha="center", family="monospace", fontsize=9)
    figure.savefig(path, dpi=90, bbox_inches="tight")


if __name__ == "__main__":
    main()
