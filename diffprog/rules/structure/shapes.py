"""The same numbers in another shape, and numbers repeated to a shape.

    reshape:      the same numbers in another order of axes: so is the gradient
    broadcast:    x_out repeats x_in               g_in = sum of g_out over what was repeated

Both are linear: nothing is saved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.axes import whole
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.structure.branch import normal

# ---- reshape: x_out = x_in,  g_in = g_out, in its own shape -------------------------------------------------

_reshape = operation(
    "reshape",
    lambda x, before, shape: x.reshape(shape),
    Backward(
        save=lambda *_, **static: (),
        pull=lambda _, g_out, before, shape: g_out.reshape(before),
        push=lambda _, x_dot, before, shape: x_dot.reshape(shape),
    ),
)


def reshape(x: Array, shape: Sequence[int]) -> Array:
    """The same numbers, row-major, in another shape; so is the gradient.

    Args:
      x: any shape, any dtype.
      shape: of the result; one entry may be -1.

    Returns:
      x in that shape.

    Raises:
      InvalidInput: a shape of another size.

    Example:
      >>> import jax.numpy as jnp
      >>> reshape(jnp.zeros((2, 3)), (3, -1)).shape
      (3, 2)
    """
    before, shape = jnp.shape(x), whole("reshape", "shape", shape)
    known = math.prod(size for size in shape if size != -1)
    if shape.count(-1) == 1 and known > 0:
        shape = tuple(math.prod(before) // known if size == -1 else size for size in shape)
    if min(shape, default=0) < 0 or math.prod(shape) != math.prod(before):
        raise InvalidInput(
            f"the shape {shape} for {math.prod(before)} numbers of shape {before}",
            "as many numbers as there are, with at most one -1",
            f"a shape whose product is {math.prod(before)}",
        )
    return _reshape(jnp.asarray(x), before=before, shape=shape)


# ---- broadcast: x_out repeats x_in,  g_in = sum of g_out over what was repeated -----------------------------


def _unbroadcast(_: Any, g_out: Array, before: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    added = len(shape) - len(before)
    repeated = [axis + added for axis, size in enumerate(before) if size == 1 and shape[axis + added] != 1]
    return g_out.sum((*range(added), *repeated)).reshape(before)


_broadcast = operation(
    "broadcast",
    lambda x, before, shape: jnp.broadcast_to(x, shape),
    Backward(
        save=lambda *_, **static: (),
        pull=_unbroadcast,
        push=lambda _, x_dot, before, shape: jnp.broadcast_to(x_dot, shape),
    ),
)


def broadcast(x: Array, shape: Sequence[int]) -> Array:
    """x repeated to a shape, by NumPy's rules; the gradient is summed over what was repeated.

    Args:
      x: any shape, any dtype. Half precision is summed in float32, as `jnp.sum` does.
      shape: of the result.

    Returns:
      x in that shape.

    Raises:
      InvalidInput: a shape that x cannot be repeated to.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> jax.grad(lambda b: broadcast(b, (4, 2)).sum())(jnp.zeros(2))
      Array([4., 4.], dtype=float32)
    """
    before, shape = jnp.shape(x), whole("broadcast", "shape", shape)
    pairs = zip(reversed(before), reversed(shape), strict=False)
    if len(shape) < len(before) or any(size not in (1, wanted) for size, wanted in pairs):
        raise InvalidInput(
            f"the shape {shape} for an array of shape {before}",
            "every axis, counted from the last, as it is or repeated from size 1",
            "reshape(x, ...) with axes of size 1 where it is to be repeated",
        )
    return _broadcast(jnp.asarray(x), before=before, shape=shape)


# ---- record -------------------------------------------------------------------------------------------------


RULES = (
    Rule(
        name="reshape",
        function=reshape,
        reference=lambda x, shape: jnp.reshape(x, shape),
        forward=r"x_{out} = x_{in}",
        backward=r"g_{in} = g_{out}",
        saved="nothing: the map is linear",
        source="jax.numpy.reshape",
        cases=(Case("flatten", normal((2, 3, 2)), {"shape": (2, -1)}),),
    ),
    Rule(
        name="broadcast",
        function=broadcast,
        reference=lambda x, shape: jnp.broadcast_to(x, shape),
        forward=r"x_{out}[i, j] = x_{in}[j]",
        backward=r"g_{in}[j] = \sum_i g_{out}[i, j]",
        saved="nothing: the map is linear",
        source="jax.numpy.broadcast_to",
        cases=(
            Case("a bias", normal((3,)), {"shape": (2, 4, 3)}),
            Case("an axis of one", normal((2, 1, 3)), {"shape": (4, 2, 5, 3)}),
        ),
    ),
)
