"""Data in batches, shuffled by key: which examples step number t sees is a pure function of the key and of t.

Every epoch is a permutation of its own, so every example is seen once in it, and a run can go on at any step without
having walked the ones before. What is left over when batches do not divide the data waits for another epoch, in which
another few are left over; so all batches have one size, and a step is compiled once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput

PyTree = Any


def epoch_order(key: Array, count: int, epoch: int) -> np.ndarray:
    """The order in which an epoch sees `count` examples: a permutation, int [count].

    Example:
      >>> import jax
      >>> sorted(epoch_order(jax.random.key(0), 4, epoch=7).tolist())
      [0, 1, 2, 3]
    """
    return np.asarray(jax.random.permutation(jax.random.fold_in(key, epoch), count))


def batches(data: PyTree, size: int, key: Array, first: int = 0) -> Iterator[PyTree]:
    """The batches of step `first` and of all steps after it, without end.

    Args:
      data: pytree of arrays with one leading axis of examples.
      size: examples in a batch, at most as many as there are.
      key: of the order.
      first: the step to begin with.

    Raises:
      InvalidInput: arrays of different lengths, or a batch that is empty or larger than the data.

    Example:
      >>> import itertools, jax, numpy as np
      >>> walk = lambda first, n: list(itertools.islice(batches(np.arange(10), 4, jax.random.key(0), first), n))
      >>> np.array_equal(walk(0, 6)[3:], walk(3, 3))
      True
    """
    count = examples(data, size)
    data = jax.tree.map(np.asarray, data)
    return _walk(data, count, size, key, first)


def _walk(data: PyTree, count: int, size: int, key: Array, step: int) -> Iterator[PyTree]:
    each = count // size
    while True:
        epoch, within = divmod(step, each)
        order = epoch_order(key, count, epoch)
        for number in range(within, each):
            chosen = order[number * size : (number + 1) * size]
            yield jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], data)
        step = (epoch + 1) * each


def examples(data: PyTree, size: int) -> int:
    """How many examples there are, checked against the size of a batch.

    Raises:
      InvalidInput: as `batches`.
    """
    lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(data)}
    if len(lengths) != 1 or lengths == {()}:
        raise InvalidInput(
            f"data whose arrays begin with axes {sorted(lengths)}",
            "arrays with one leading axis of examples, equally long",
            "data=(pictures, labels), of one length",
        )
    count = int(lengths.pop()[0])
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= count:
        raise InvalidInput(
            f"batches of {size!r} from {count} examples",
            "a whole number from 1 to as many as there are",
            f"batch={min(32, max(count, 1))}",
        )
    return count
