"""Where values meet: sums of branches, and arrays put one after the other.

    merge:        x_out = sum_k x_in_k             g_in_k = g_out              fan-in copies the gradient
    concatenate:  x_out = [x_in_1, x_in_2, ..]     g_in_k = its part of g_out

Both are linear: nothing is saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, reduce
from operator import add

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from diffprog.errors import InvalidInput
from diffprog.rules.core.axes import axes_of
from diffprog.rules.core.floating import has_derivative
from diffprog.rules.core.linear_map import LinearIn, linear_map
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.structure.branch import copies, normal, total

# ---- merge: x_out = sum_k x_in_k,  g_in_k = g_out -----------------------------------------------------------


def merge(*branches: Array) -> Array:
    """The sum of branches that meet; the gradient goes to each of them unchanged.

    Args:
      *branches: arrays of one shape and dtype. Nothing is broadcast: `broadcast` first, where that is meant.

    Returns:
      Their sum, added from left to right.

    Raises:
      InvalidInput: no branch, or branches that differ in shape or dtype.

    Example:
      >>> import jax
      >>> jax.grad(lambda a, b: merge(a, b) ** 2, (0, 1))(1.0, 2.0)
      (Array(6., dtype=float32), Array(6., dtype=float32))
    """
    kinds = sorted({f"{jnp.shape(x)} {jnp.result_type(x)}" for x in branches})
    if len(kinds) != 1:
        raise InvalidInput(
            f"branches of {' and '.join(kinds) or 'nothing'}",
            "at least one branch, all of one shape and dtype, so that every gradient fits its branch",
            "broadcast(x, shape), or .astype, before merging",
        )
    if not has_derivative(*branches):
        return total((), branches)
    return linear_map(total, copies(len(branches)), (), branches)


# ---- concatenate: x_out = [x_in_1, x_in_2, ..],  g_in_k = its part of g_out ---------------------------------


def concatenate(arrays: Sequence[Array], axis: int = 0) -> Array:
    """Arrays one after the other along an axis; the gradient is cut where they were joined.

    Args:
      arrays: of one dtype, and one shape but for `axis`.
      axis: along which; negative ones count from the end.

    Returns:
      One array.

    Raises:
      InvalidInput: no array, or arrays that do not fit.

    Example:
      >>> import jax.numpy as jnp
      >>> concatenate([jnp.zeros(2), jnp.ones(1)])
      Array([0., 0., 1.], dtype=float32)
    """
    shapes = [jnp.shape(x) for x in arrays]
    rank = len(shapes[0]) if shapes else 0
    (axis,) = axes_of("concatenate", shapes[0], axis) if rank else (axis,)
    others = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
    dtypes = {jnp.result_type(x) for x in arrays}
    if not rank or any(len(s) != rank for s in shapes) or len(others) > 1 or len(dtypes) > 1:
        raise InvalidInput(
            f"arrays of {', '.join(f'{jnp.shape(x)} {jnp.result_type(x)}' for x in arrays) or 'nothing'}, axis {axis}",
            "at least one array, all of one dtype and of one shape along every other axis",
            "an axis along which they may differ",
        )
    if not has_derivative(*arrays):
        return lax.concatenate(arrays, axis)
    ends = tuple(np.cumsum([shape[axis] for shape in shapes])[:-1].tolist())
    return linear_map(_joined(axis), _parted(axis, ends), (), tuple(arrays))


@cache
def _joined(axis: int) -> LinearIn:
    return lambda _, xs: lax.concatenate(xs, axis)


@cache
def _parted(axis: int, ends: tuple[int, ...]) -> LinearIn:
    return lambda _, g_out: tuple(jnp.split(g_out, ends, axis))


# ---- record -------------------------------------------------------------------------------------------------


RULES = (
    Rule(
        name="merge",
        function=merge,
        reference=lambda *xs: reduce(add, xs),
        forward=r"x_{out} = \sum_k x_{in,k}",
        backward=r"g_{in,k} = g_{out}",
        saved="nothing: the map is linear",
        source="lecture, slide on sharing",
        differentiable=(0, 1, 2),
        cases=(Case("three branches", normal((2, 3), (2, 3), (2, 3))),),
    ),
    Rule(
        name="concatenate",
        function=lambda *xs, axis: concatenate(xs, axis),
        reference=lambda *xs, axis: jnp.concatenate(xs, axis),
        forward=r"x_{out} = [x_{in,1}, x_{in,2}, \dots]",
        backward=r"g_{in,k} = g_{out}[\text{part } k]",
        saved="nothing: the map is linear",
        source="jax.numpy.concatenate",
        differentiable=(0, 1, 2),
        cases=(Case("channels", normal((2, 3), (2, 1), (2, 2)), {"axis": -1}),),
    ),
)
