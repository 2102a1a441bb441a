"""Stochastic gradients: a cost of data becomes a cost that draws a batch of them in every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.optimize.method import PyTree


def on_batches(cost: Callable[..., Any], size: int) -> Callable[..., Any]:
    """A cost `(value, key, data, *args)` from one `(value, batch, *args)`: draws `size` examples with replacement.

    Independent draws make the gradient unbiased, which the theory of its noise assumes.

    Args:
      cost: of a value and a batch, whose leaves have the same leading axis as the data's.
      size: examples per batch.

    Raises:
      InvalidInput: a batch of no examples, or (when called) one larger than the data.

    Example:
      >>> import jax.numpy as jnp
      >>> from diffprog.optimize import optimize, sgd
      >>> cost = on_batches(lambda w, x: jnp.mean((w - x) ** 2), size=4)
      >>> run = optimize(cost, 0.0, sgd(0.1), steps=200, key=jax.random.key(0), args=(jnp.arange(10.0),))
      >>> bool(abs(run.value - 4.5) < 2)
      True
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InvalidInput(f"a batch of {size!r} examples", "a whole number, 1 or more", "size=32")

    def keyed(value: PyTree, key: Array, data: PyTree, *args: Any) -> Any:
        lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(data)}
        if len(lengths) != 1 or lengths == {()}:
            raise InvalidInput(
                f"data whose arrays begin with axes {sorted(lengths)}",
                "arrays with one leading axis of examples, equally long",
                "the first of `args` is the data",
            )
        (count,) = lengths.pop()
        if size > count:
            raise InvalidInput(
                f"batches of {size} from {count} examples",
                "batches no larger than the data",
                f"size={count} or less, or the plain cost of all the data",
            )
        chosen = jax.random.randint(key, (size,), 0, count)
        return cost(value, jax.tree.map(lambda leaf: leaf[chosen], data), *args)

    return keyed
