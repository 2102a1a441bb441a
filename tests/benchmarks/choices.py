"""Where one formulation overtakes another, on this machine: writes `diffprog/rules/data/choices.json`.

    python -m tests.benchmarks.choices [--keep MACHINE]

For every size in the file, both formulations are timed (medians of interleaved calls in one process, memory kept) at
growing sizes; the size that is kept is the one that loses least over all of them. Only the backend that
runs is measured; what the file says of others stays. Without `--keep` the ratios are only printed.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp

from diffprog import rules, tune
from diffprog.rules import choice
from tests.benchmarks.rules import NHWC, draw
from tests.benchmarks.timing import milliseconds

KEPT = Path(rules.__file__).parent / "data/choices.json"
NEVER, ALWAYS = 0.0, 1e12
REPEATS = 61  # a call takes a millisecond: with 15 repeats ratios vary by a tenth


class Ladder(NamedTuple):
    """One size: at every rung what is timed, and which side of the size is the first formulation's.

    Attributes:
      name: in `choices.json`.
      rungs: (size, a function of nothing to time), ascending.
      below: whether sizes less than the one kept take the formulation under test; else those from it on.
    """

    name: str
    rungs: tuple[tuple[float, Callable[[], Any]], ...]
    below: bool


def main() -> None:
    """Print every ladder, and keep the sizes if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", metavar="MACHINE")
    options = parser.parse_args()
    tune()
    sizes = dict(choice.choices()["cpu"].sizes)
    sizes |= {ladder.name: crossing(ladder, sizes[ladder.name]) for ladder in ladders()}
    if options.keep:
        data = json.loads(KEPT.read_text(encoding="utf-8"))
        machine = f"{options.keep}; jax {jax.__version__}"
        data[jax.default_backend()] = {
            "machine": machine,
            "script": "tests/benchmarks/choices.py",
            "sizes": sizes,
        }
        KEPT.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def crossing(ladder: Ladder, before: float) -> float:
    """The size at which the formulation under test stops (or starts) to win."""
    wins = [(size, other / tested) for size, (tested, other) in map(partial(compared, ladder), ladder.rungs)]
    print(f"{ladder.name} {before:g}: " + ", ".join(f"{size:g} {ratio:.2f}x" for size, ratio in wins))
    ends = [size for size, _ in wins]

    def loss(end: float) -> float:
        chosen = [(size < end) == ladder.below for size, _ in wins]
        return sum(
            max(0.0, 1 - r) if c else max(0.0, 1 - 1 / r) for c, (_, r) in zip(chosen, wins, strict=True)
        )

    # Between the rungs, so that it makes no difference whether the size itself is meant.
    between = [(a + b) // 2 for a, b in itertools.pairwise(ends)]
    return min([before, ends[0] - 1, *between, ends[-1] + 1], key=loss)


def compared(ladder: Ladder, rung: tuple[float, Callable[[], Any]]) -> tuple[float, tuple[float, float]]:
    """Milliseconds with and without the formulation under test, at one rung."""
    size, call = rung
    with_it, without = (ALWAYS, NEVER) if ladder.below else (NEVER, ALWAYS)
    times = milliseconds(
        {"with": forced(ladder.name, with_it, call), "without": forced(ladder.name, without, call)}, REPEATS
    )
    return size, (times["with"], times["without"])


def forced(name: str, value: float, function: Callable[[], Any]) -> Callable[[], Any]:
    """The function compiled with one size set to something else, so that the choice is made one way."""
    real = choice.size

    def size(asked: str) -> float:
        return value if asked == name else real(asked)

    with mock.patch.object(choice, "size", size):
        compiled, arguments = function()
        # A new function object: what was traced for the other choice must not be found again.
        call = jax.jit(lambda *args: compiled(*args)).lower(*arguments).compile()
    return lambda: call(*arguments)


def gradient_of(
    argument: int, x: tuple[int, ...], W: tuple[int, ...], groups: int = 1, spread: int = 1
) -> Callable[[], Any]:
    """One gradient of a convolution alone (None: the value)."""
    kernel_side = W[0]
    padding = "SAME" if spread == 1 else ((kernel_side - 2,) * 2, (kernel_side - 2,) * 2)

    def convolve(x: jax.Array, W: jax.Array) -> jax.Array:
        return rules.conv_general_dilated(
            x, W, (1, 1), padding, (spread,) * 2, None, NHWC, feature_group_count=groups
        )

    arrays = draw(*x), draw(*W, seed=1)

    def call() -> Any:
        if argument < 0:
            return convolve, arrays
        g_out = jnp.ones(jax.eval_shape(convolve, *arrays).shape)
        return lambda x, W, g: jax.vjp(convolve, x, W)[1](g)[argument], (*arrays, g_out)

    return call


def pooled(window: int) -> Callable[[], Any]:
    """Max-pooling, backward."""
    x = draw(1, 56, 56, 64)

    def call() -> Any:
        return jax.grad(lambda x: jnp.sum(rules.max_pool(x, (window, window), padding="SAME"))), (x,)

    return call


def ladders() -> Iterator[Ladder]:
    """Every size that is measured here; the others in the file bound what is compiled or kept."""
    yield Ladder(
        "dense: shifted products below",
        tuple((n, gradient_of(0, (1, n, n, 16), (3, 3, 16, 64))) for n in (13, 27, 40, 55, 80)),
        True,
    )
    yield Ladder(
        "dense: product of windows up to",
        tuple((9 * c, gradient_of(1, (64, 28, 28, c), (3, 3, c, 32))) for c in (1, 2, 4, 16)),
        True,
    )
    yield Ladder(
        "depthwise: picture by picture from",
        tuple(
            (n * n * c, gradient_of(1, (8, n, n, c), (3, 3, 1, c), c))
            for n, c in ((7, 672), (14, 384), (28, 240), (56, 96), (112, 32))
        ),
        False,
    )
    yield Ladder(
        "grouped: shifted sums up to channels",
        tuple((c, gradient_of(-1, (1, 28, 28, 32 * c), (3, 3, c, 32 * c), 32)) for c in (2, 4, 8, 14)),
        True,
    )
    yield Ladder(
        "transposed: one product from",
        tuple(
            (8 * n * n, gradient_of(-1, (8, n, n, c), (4, 4, c, c // 2), 1, 2))
            for n, c in ((4, 512), (8, 256), (16, 128), (32, 64))
        ),
        False,
    )
    yield Ladder("pooling: axis by axis beyond", tuple((w * w, pooled(w)) for w in (3, 4, 5, 7)), True)


if __name__ == "__main__":
    main()
