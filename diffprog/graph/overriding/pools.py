"""Smoothed gradients for max-pooling: not to the winner alone.

A maximum passes its gradient to one pixel of every window and none to the others, and pictures drawn through several
of them show the grid of windows. Here values stay those of the maximum and the derivative is that of another pooling
over the same windows, which counts only the pixels that there are:

    average:   mean(x)                         the same to every pixel of a window
    smooth:    mean(x^2) / (0.01 + mean |x|)   more to larger pixels, some to all

The windows are read off the operation itself: what it makes of a ramp along an axis is where its windows end, and of
the falling ramp where they begin. So it does not matter how max-pooling is written.

Source: Lucid, `optvis/overrides/smoothed_maxpool_grad.py` ("avg" and "L2").
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.graph.overriding.backward import Forward, Override, with_derivative_of
from diffprog.graph.overriding.recognize import Operation

Window = tuple[
    int, tuple[int, ...], tuple[int, ...]
]  # an axis; of every output, the first and the last pixel
OFFSET = 1e-2  # Lucid's, in the denominator


def _average(x: Array, *, windows: tuple[Window, ...]) -> Array:
    for axis, first, last in windows:
        places = np.arange(x.shape[axis])
        inside = (np.asarray(first)[:, None] <= places) & (places <= np.asarray(last)[:, None])
        weights = jnp.asarray(inside / inside.sum(1, keepdims=True), x.dtype)
        x = jnp.moveaxis(jnp.tensordot(weights, x, axes=(1, axis)), 0, axis)
    return x


def _smooth(x: Array, *, windows: tuple[Window, ...]) -> Array:
    return _average(x * x, windows=windows) / (OFFSET + _average(jnp.abs(x), windows=windows))


def _replace(operation: Operation, rule: Callable[..., Array]) -> Forward | None:
    windows = _windows(operation) if operation.kind == "max_pool" else None
    return with_derivative_of(operation, rule, windows=windows) if windows else None


def _windows(operation: Operation) -> tuple[Window, ...] | None:
    """The windows along every axis that is pooled; None where they have gaps or cannot be told."""
    if len(operation.operands) != 1 or len(operation.results) != 1:
        return None
    (before,), (after,) = operation.operands, operation.results
    dilation = dict(operation.node.settings).get("window_dilation", (1,))
    exact = (
        jnp.issubdtype(before.dtype, jnp.floating) and max(before.shape) < 2 ** jnp.finfo(before.dtype).nmant
    )
    if {*dilation} != {1} or not exact or 0 in (*before.shape, *after.shape):
        return None
    found = []
    for axis, length in enumerate(before.shape):
        first, last = _ends(operation, axis)
        if first != tuple(range(length)) or last != first:
            found.append((axis, first, last))
    return tuple(found)


def _ends(operation: Operation, axis: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First and last pixel of every window along an axis."""
    value = operation.operands[0]
    with jax.ensure_compile_time_eval():
        along = [1] * len(value.shape)
        along[axis] = -1
        ramp = jnp.broadcast_to(jnp.arange(value.shape[axis], dtype=value.dtype).reshape(along), value.shape)
        highest, lowest = operation.forward(ramp)[0], operation.forward(-ramp)[0]
        line = tuple(slice(None) if i == axis else 0 for i in range(highest.ndim))
        return tuple(map(int, -np.asarray(lowest[line]))), tuple(map(int, np.asarray(highest[line])))


average_max_pool = Override("average_max_pool", ("max_pool",), functools.partial(_replace, rule=_average))
"""Max-pooling with the derivative of averaging over the same windows."""

smooth_max_pool = Override("smooth_max_pool", ("max_pool",), functools.partial(_replace, rule=_smooth))
"""Max-pooling with the derivative of mean(x^2) / (0.01 + mean |x|) over the same windows."""
