"""Resizing by weights: every resized axis is multiplied by a constant matrix.

    x_out = A_h x_in A_w^T (every channel)            g_in = A_h^T g_out A_w

The transpose is as cheap as the forward pass and, since the matrices are constants of the program, up to twice as
fast as JAX's own, which computes them anew and transposes inside. Nothing is saved.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from diffprog.rules.core.anatomy import Backward, operation

# ---- weights: x_out[.., p, ..] = sum_h x_in[.., h, ..] A[h, p] for every resized axis -------------------------


def _weighted(
    x: Array, method: str, antialias: bool, sizes: tuple[tuple[int, int], ...], back: bool
) -> Array:
    """Contract every resized axis with its weights, or with the transposed ones on the way back."""
    operands: list[Any] = [x, list(range(x.ndim))]
    result = list(range(x.ndim))
    for axis, (before, after) in enumerate(sizes):
        if before == after:
            continue
        result[axis] = x.ndim + axis
        ends = [result[axis], axis] if back else [axis, result[axis]]
        operands += [_weights(before, after, method, antialias, x.dtype), ends]
    return jnp.einsum(*operands, result, precision=lax.Precision.HIGHEST)


def _weights(before: int, after: int, method: str, antialias: bool, dtype: Any) -> np.ndarray:
    return _computed_weights(
        before, after, method, antialias, jnp.dtype(dtype), jnp.result_type(float) == jnp.float64
    )


@lru_cache(maxsize=64)
def _computed_weights(
    before: int, after: int, method: str, antialias: bool, dtype: Any, x64: bool
) -> np.ndarray:
    """The matrix [before, after]: what JAX makes of the unit pictures. With 64 bits allowed it rounds differently."""
    with jax.ensure_compile_time_eval():
        unit = jnp.eye(before, dtype=dtype)
        return np.asarray(jax.image.resize(unit, (before, after), method, antialias=antialias))


def _forth(x: Array, before: Any, shape: Any, method: str, antialias: bool) -> Array:
    return _weighted(x, method, antialias, tuple(zip(before, shape, strict=True)), back=False)


interpolated = operation(
    "resize",
    _forth,
    Backward(
        save=lambda *_, **static: (),
        pull=lambda _, g_out, before, shape, method, antialias: _weighted(
            g_out, method, antialias, tuple(zip(before, shape, strict=True)), back=True
        ),
        push=lambda _, x_dot, **static: _forth(x_dot, **static),
    ),
)
