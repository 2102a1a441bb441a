"""Averages over sliding windows, and over whole pictures, with their backward rules.

    x_out = sum of the window / n             g_in = the sum's rule of g_out / n

where n is the number of taps or, without padding, of those that see the picture. These maps are linear, so nothing
is saved; the sums are in `sums`.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.core.windows import (
    Padding,
)
from diffprog.rules.pooling.sums import OVERLAPPING, TILES, normal, sum_pool, sum_reference
from diffprog.rules.pooling.windows import (
    Sizes,
    checked,
)

# ---- average pooling: x_out = sum / n,  g_in = the sum's rule of g_out / n ----------------------------------


def avg_pool(
    x: Array,
    window_shape: Sizes,
    strides: Sizes | None = None,
    padding: Padding = "VALID",
    count_include_pad: bool = True,
) -> Array:
    """Average over sliding windows; a drop-in for `flax.linen.avg_pool` with a fast gradient.

    Args:
      x: [*batch, *spatial, C], any floating dtype, in which sum and average are taken as well.
      window_shape: taps along every spatial axis.
      strides: step along every spatial axis; all 1 when left out.
      padding: 'SAME', 'VALID', one number, or (low, high) for every spatial axis.
      count_include_pad: divide by the number of all taps; else of those that see the picture.

    Returns:
      [*batch, *positions, C], of x's dtype.

    Raises:
      InvalidInput: a window that does not fit into the picture.

    Example:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([2.0, 4.0, 8.0]).reshape(1, 3, 1)
      >>> avg_pool(x, (2,), (2,), "SAME").ravel(), avg_pool(x, (2,), (2,), "SAME", False).ravel()
      (Array([3., 4.], dtype=float32), Array([3., 8.], dtype=float32))
    """
    total = sum_pool(x, window_shape, strides, padding)
    if count_include_pad:
        return total / math.prod(window_shape)
    space = jnp.shape(x)[-1 - len(window_shape) : -1]
    with jax.ensure_compile_time_eval():
        seen = sum_pool(jnp.ones((*space, 1), total.dtype), window_shape, strides, padding)
    return total / seen


# ---- global average: x_out[c] = mean_i x_in[i, c],  g_in[i, c] = g_out[c] / n -------------------------------
# Saved: nothing. bfloat16 and float16 are summed in float32, as jnp.mean does.

_global_avg_pool = operation(
    "global_avg_pool",
    lambda x, space: jnp.mean(x, range(1, 1 + len(space)), keepdims=True),
    Backward(
        save=lambda *_, space: (),
        pull=lambda _, g_out, space: jnp.broadcast_to(
            g_out / math.prod(space), (g_out.shape[0], *space, g_out.shape[-1])
        ),
        push=lambda _, x_dot, space: jnp.mean(x_dot, range(1, 1 + len(space)), keepdims=True),
    ),
)


def global_avg_pool(x: Array, keepdims: bool = False) -> Array:
    """Average of every channel over the whole picture.

    Args:
      x: [N, *spatial, C], any floating dtype.
      keepdims: keep the spatial axes, of size 1.

    Returns:
      [N, C] of x's dtype, or [N, 1, .., 1, C].

    Raises:
      InvalidInput: no pixel to average.

    Example:
      >>> import jax.numpy as jnp
      >>> global_avg_pool(jnp.arange(8.0).reshape(1, 2, 2, 2))
      Array([[3., 4.]], dtype=float32)
    """
    space = jnp.shape(x)[1:-1]
    checked(x, space, None)
    if 0 in space:
        raise InvalidInput(
            f"pictures of shape {jnp.shape(x)}",
            "at least one pixel to average over",
            "leave empty pictures out",
        )
    out = _global_avg_pool(x, space=space)
    return out if keepdims else out.reshape(x.shape[0], x.shape[-1])


# ---- record -------------------------------------------------------------------------------------------------


def avg_reference(
    x: Array,
    window_shape: Sizes,
    strides: Sizes | None = None,
    padding: Any = "VALID",
    count_include_pad: bool = True,
) -> Array:
    """The plain JAX program of the same averages, for x [N, *spatial, C]."""
    total = sum_reference(x, window_shape, strides, padding)
    if count_include_pad:
        return total / np.prod(window_shape)
    return total / sum_reference(jnp.ones_like(x), window_shape, strides, padding)


_UNPADDED = tuple(
    Case(f"{case.name}, only what is seen", case.make, {**case.settings, "count_include_pad": False})
    for case in OVERLAPPING[1:3]
)

RULES = (
    Rule(
        name="average pooling",
        function=avg_pool,
        reference=avg_reference,
        forward=r"x_{out}[o] = \frac{1}{n_o} \sum_j x_{in}[o s + j - l]",
        backward=r"g_{in}[i] = \sum_{o, j:\; o s + j - l = i} \frac{g_{out}[o]}{n_o}",
        saved="nothing: the map is linear. Sums are taken in the input's dtype, as reduce_window does",
        source="flax.linen.avg_pool",
        cases=OVERLAPPING + TILES + _UNPADDED,
        exact=False,  # as above
    ),
    Rule(
        name="global average pooling",
        function=global_avg_pool,
        reference=lambda x, keepdims=False: jnp.mean(x, range(1, x.ndim - 1), keepdims=keepdims),
        forward=r"x_{out}[c] = \frac{1}{n} \sum_i x_{in}[i, c]",
        backward=r"g_{in}[i, c] = \frac{1}{n}\, g_{out}[c]",
        saved="nothing: the map is linear. bfloat16 and float16 are summed in float32",
        source="Lin et al. 2013, Network in Network; jnp.mean",
        cases=(
            Case("two spatial axes", normal(2, 3, 5, 4)),
            Case("one spatial axis, kept", normal(2, 5, 4), {"keepdims": True}),
        ),
    ),
)
