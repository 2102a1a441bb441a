"""Nearest-neighbour resizing along one axis: pixels are copied, and gradients of copies add up.

    x_out[p] = x_in[index(p)]            g_in[i] = sum of g_out[p] over the run of p with index(p) = i

Autodiff scatters; here every run is summed. Nothing is saved: which pixel is copied where is a constant.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.rules.core.anatomy import Backward, operation

# ---- nearest: x_out[p] = x_in[index(p)],  g_in[i] = sum of g_out[p] over the run of p with index(p) = i ------


def _copied(x: Array, axis: int, before: int, after: int) -> Array:
    if after % before == 0:
        return jnp.repeat(x, after // before, axis)
    return jnp.take(x, _source(before, after), axis, mode="clip")


def _summed(_: Any, g_out: Array, axis: int, before: int, after: int) -> Array:
    if after % before == 0:
        apart = (*g_out.shape[:axis], before, after // before, *g_out.shape[axis + 1 :])
        return g_out.reshape(apart).sum(axis + 1)
    source = _source(before, after)
    first, end = (np.searchsorted(source, np.arange(before), side) for side in ("left", "right"))
    total = jnp.zeros((*g_out.shape[:axis], before, *g_out.shape[axis + 1 :]), g_out.dtype)
    for copy in range(int((end - first).max())):
        there = (first + copy < end).reshape(-1, *(1,) * (g_out.ndim - axis - 1))
        read = np.minimum(first + copy, after - 1)
        total += jnp.where(there, jnp.take(g_out, read, axis, mode="clip"), 0)
    return total


@lru_cache(maxsize=64)
def _source(before: int, after: int) -> np.ndarray:
    """Which pixel every new one is a copy of: ascending."""
    with jax.ensure_compile_time_eval():
        return np.asarray(jax.image.resize(jnp.arange(before, dtype=jnp.int32), (after,), "nearest"))


nearest = operation(
    "resize_nearest",
    _copied,
    Backward(
        save=lambda *_, **static: (),
        pull=_summed,
        push=lambda _, x_dot, **static: _copied(x_dot, **static),
    ),
)
