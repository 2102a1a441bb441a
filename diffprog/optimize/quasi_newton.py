"""Between the levels: L-BFGS, which learns the curvature from the gradients it has seen. It is optax's."""

from __future__ import annotations

import functools

import optax

from diffprog.errors import InvalidInput
from diffprog.optimize.method import FromOptax


@functools.lru_cache
def lbfgs(memory: int = 10) -> FromOptax:
    """Limited-memory BFGS with optax's zoom line search, whose evaluations are counted.

    `optax.lbfgs()` itself does the same; this one is equal to itself from call to call, so compiles once.

    Args:
      memory: how many past steps the curvature is made of.

    Raises:
      InvalidInput: less than one.

    Example:
      >>> import jax.numpy as jnp
      >>> from diffprog.optimize import optimize
      >>> run = optimize(lambda w: jnp.sum(jnp.array([1.0, 50.0]) * w**2), jnp.ones(2), lbfgs(), steps=12)
      >>> bool(abs(run.value).max() < 1e-3)
      True
    """
    if isinstance(memory, bool) or not isinstance(memory, int) or memory < 1:
        raise InvalidInput(f"memory={memory!r}", "a whole number of steps, 1 or more", "memory=10")
    return FromOptax(optax.lbfgs(memory_size=memory))
