"""Max-pooling, as a drop-in for Flax's, with a backward rule written by hand.

The formulas are in `winners`; large windows are pooled axis by axis, dilated ones by XLA.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from diffprog.errors import InvalidInput
from diffprog.rules import choice
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.core.windows import (
    Axis,
    Padding,
)
from diffprog.rules.pooling.windows import (
    MOST_TAPS,
    Sizes,
    checked,
    in_steps,
    pooled,
)
from diffprog.rules.pooling.winners import max_pool_of_axes


def max_pool(
    x: Array,
    window_shape: Sizes,
    strides: Sizes | None = None,
    padding: Padding = "VALID",
    window_dilation: Sizes | None = None,
) -> Array:
    """Maximum over sliding windows; a drop-in for `flax.linen.max_pool` with a fast gradient.

    Args:
      x: [*batch, *spatial, C], any floating dtype; as many spatial axes as `window_shape` has entries.
      window_shape: taps along every spatial axis.
      strides: step along every spatial axis; all 1 when left out.
      padding: 'SAME', 'VALID', one number, or (low, high) for every spatial axis; padded with -inf.
      window_dilation: distance between taps. Dilated windows, and those of more than 100 taps along an axis, are
        XLA's own.

    Returns:
      [*batch, *positions, C], of x's dtype.

    Raises:
      InvalidInput: a window that does not fit into the picture.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.array([1.0, 3.0, 3.0, 2.0]).reshape(1, 4, 1)
      >>> max_pool(x, (2,), (2,)).ravel()
      Array([3., 3.], dtype=float32)
      >>> jax.grad(lambda x: max_pool(x, (4,)).sum())(x).ravel()  # a tie goes to the first
      Array([0., 1., 0., 0.], dtype=float32)
    """
    window, strides = checked(x, window_shape, strides)
    dilation = tuple(window_dilation or (1,) * len(window))
    if len(dilation) != len(window) or min(dilation) < 1:
        raise InvalidInput(
            f"window_dilation {dilation} for a window {window}",
            "one distance of at least 1 for every spatial axis",
            f"window_dilation={(1,) * len(window)}",
        )
    spread = [(size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)]
    fast = max(window) <= MOST_TAPS and max(dilation) == 1 and choice.applies(x)
    if not fast:
        return pooled(partial(_plain, window=window, dilation=dilation), x, spread, strides, padding)
    return pooled(_in_steps, x, window, strides, padding)


def _in_steps(x: Array, axes: tuple[Axis, ...]) -> Array:
    for step in in_steps(axes):
        x = max_pool_of_axes(x, axes=step)
    return x


def _plain(x: Array, axes: tuple[Axis, ...], window: Sizes, dilation: Sizes) -> Array:
    return lax.reduce_window(
        x,
        _least(x.dtype),
        lax.max,
        (1, *window, 1),
        (1, *(axis.stride for axis in axes), 1),
        ((0, 0), *((axis.low, axis.high) for axis in axes), (0, 0)),
        window_dilation=(1, *dilation, 1),
    )


def _least(dtype: Any) -> Any:
    if jnp.issubdtype(dtype, jnp.floating):
        return -jnp.inf
    return np.asarray(jnp.iinfo(dtype).min if jnp.issubdtype(dtype, jnp.integer) else False, dtype)[()]


# ---- record -------------------------------------------------------------------------------------------------


def reference(x: Array, window_shape: Sizes, strides: Sizes | None = None, padding: Any = "VALID") -> Array:
    """The plain JAX program of the same values, for x [N, *spatial, C]."""
    pads = padding if isinstance(padding, str) else ((0, 0), *padding, (0, 0))
    steps = strides or (1,) * len(window_shape)
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *window_shape, 1), (1, *steps, 1), pads)


def distinct(*shape: int) -> Any:
    """Draws in which any two numbers differ by at least 0.05 or so, so that no difference steps over a tie."""

    def make(key: Array, dtype: Any) -> tuple[Array]:
        count = math.prod(shape)
        return ((jax.random.permutation(key, count).reshape(shape) / 16 - count / 32).astype(dtype),)

    return make


CASES = (
    Case("2x2, stride 2", distinct(2, 4, 6, 3), {"window_shape": (2, 2), "strides": (2, 2)}),
    Case("2x2, stride 2, a row left over", distinct(1, 5, 4, 2), {"window_shape": (2, 2), "strides": (2, 2)}),
    Case("3x3, stride 2", distinct(1, 7, 9, 2), {"window_shape": (3, 3), "strides": (2, 2)}),
    Case(
        "3x3, stride 2, padded",
        distinct(1, 6, 5, 2),
        {"window_shape": (3, 3), "strides": (2, 2), "padding": ((1, 1), (1, 1))},
    ),
    Case("3x2, stride 1, SAME", distinct(2, 5, 4, 2), {"window_shape": (3, 2), "padding": "SAME"}),
    Case("window 2, stride 3: gaps", distinct(2, 8, 2), {"window_shape": (2,), "strides": (3,)}),
    Case("5x4, stride 1: axis by axis", distinct(1, 7, 6, 2), {"window_shape": (5, 4), "padding": "SAME"}),
    Case("the whole picture", distinct(2, 5, 5, 2), {"window_shape": (5, 5)}),
    Case("three axes", distinct(1, 3, 4, 3, 1), {"window_shape": (2, 2, 2), "strides": (1, 2, 1)}),
)

RULES = (
    Rule(
        name="max pooling",
        function=max_pool,
        reference=reference,
        forward=r"x_{out}[o] = \max_j\, x_{in}[o s + j - l]",
        backward=r"g_{in}[i] = \sum_{o, j:\; o s + j - l = i} g_{out}[o]\,[j = j^*(o)]",
        saved="the winning tap j*(o) of every window: one byte each, and neither x_in nor x_out; "
        "with more than 16 taps, the winner along every axis in turn",
        kinks="a tie goes to the first tap in row-major order, as in XLA's select-and-scatter",
        source="jax.lax.reduce_window, flax.linen.max_pool",
        cases=CASES,
    ),
)
