"""Products summed over any axes, as a drop-in for `jax.lax.dot_general`.

    x_out[b, i, j] = sum_k A[b, i, k] B[b, j, k]              for any choice of batch axes b and summed axes k
    g_A[b, i, k]   = sum_j g_out[b, i, j] B[b, j, k]
    g_B[b, j, k]   = sum_i g_out[b, i, j] A[b, i, k]

Saved: B for the gradient of A and A for that of B, each only if asked for. Both gradients are products of the same
kind, so they are written with the operation itself, and so are all further derivatives. Gradients have the dtype of
the inputs; XLA sums products of bfloat16 in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from diffprog.errors import InvalidInput
from diffprog.rules import choice
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.record import Case, Rule

Axes = tuple[int, ...]
Numbers = tuple[tuple[Axes, Axes], tuple[Axes, Axes]]  # (summed of A, of B), (batch of A, of B)


def _free(ndim: int, *taken: Axes) -> Axes:
    return tuple(axis for axis in range(ndim) if not any(axis in axes for axes in taken))


def _pull_left(B: Array, g: Array, *, numbers: Numbers, precision: Any) -> Array:
    (sum_a, sum_b), (batch_a, batch_b) = numbers
    free_b = _free(B.ndim, sum_b, batch_b)
    batch = tuple(range(len(batch_b)))
    columns = tuple(range(g.ndim - len(free_b), g.ndim))
    g_A = _dot_general(g, B, numbers=((columns, free_b), (batch, batch_b)), precision=precision)
    # Axes now: batch, free of A, and the summed ones in the order in which they lie in B.
    summed = tuple(sum_a[i] for i in sorted(range(len(sum_b)), key=sum_b.__getitem__))
    return _ordered(g_A, (*batch_a, *_free(g_A.ndim, sum_a, batch_a), *summed))


def _pull_right(A: Array, g: Array, *, numbers: Numbers, precision: Any) -> Array:
    (sum_a, sum_b), (batch_a, batch_b) = numbers
    free_a = _free(A.ndim, sum_a, batch_a)
    batch = tuple(range(len(batch_a)))
    rows = tuple(range(len(batch), len(batch) + len(free_a)))
    g_B = _dot_general(A, g, numbers=((free_a, rows), (batch_a, batch)), precision=precision)
    # Axes now: batch, the summed ones in the order in which they lie in A, and free of B.
    summed = tuple(sum_b[i] for i in sorted(range(len(sum_a)), key=sum_a.__getitem__))
    return _ordered(g_B, (*batch_b, *summed, *_free(g_B.ndim, sum_b, batch_b)))


def _ordered(x: Array, axes: Axes) -> Array:
    """Axis i of x is the `axes[i]`-th of the result."""
    return jnp.transpose(x, sorted(range(x.ndim), key=axes.__getitem__))


def _push_left(B: Array, A_dot: Array, **static: Any) -> Array:
    return _dot_general(A_dot, B, **static)


def _push_right(A: Array, B_dot: Array, **static: Any) -> Array:
    return _dot_general(A, B_dot, **static)


_dot_general: Callable[..., Array] = operation(
    "dot_general",
    lambda A, B, *, numbers, precision: lax.dot_general(A, B, numbers, precision),
    Backward(lambda inputs, *_, **__: inputs[1], _pull_left, _push_left),
    Backward(lambda inputs, *_, **__: inputs[0], _pull_right, _push_right),
    # The operation, not its formula: an outer derivative then meets this rule again.
    extra=lambda A, B, **static: (_dot_general(A, B, **static), None),
)


def dot_general(
    lhs: Array,
    rhs: Array,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    **rest: Any,
) -> Array:
    """Sum products over chosen axes; same arguments and values as `jax.lax.dot_general`.

    Give it to Flax: `nn.Dense(..., dot_general=rules.dot_general)`.

    Args:
      lhs, rhs: arrays; integers, complex numbers and mixed dtypes are left to the plain operation.
      dimension_numbers: ((summed axes of lhs, of rhs), (batch axes of lhs, of rhs)).
      precision: as in `jax.lax`; the gradients have it too.
      preferred_element_type, rest: as in `jax.lax`, and left to it.

    Returns:
      [*batch, *free axes of lhs, *free axes of rhs].

    Raises:
      InvalidInput: axes that do not exist or whose lengths differ.

    Example:
      >>> import jax.numpy as jnp
      >>> dot_general(jnp.ones((2, 3)), jnp.ones((4, 3)), (((1,), (1,)), ((), ()))).shape
      (2, 4)
    """
    numbers = _numbers(lhs, rhs, dimension_numbers)
    special = preferred_element_type is not None or any(value is not None for value in rest.values())
    if special or lhs.dtype != rhs.dtype or not choice.applies(lhs, rhs):
        return lax.dot_general(lhs, rhs, numbers, precision, preferred_element_type, **rest)
    return _dot_general(lhs, rhs, numbers=numbers, precision=precision)


def _numbers(A: Array, B: Array, dimension_numbers: Any) -> Numbers:
    (sum_a, sum_b), (batch_a, batch_b) = dimension_numbers
    a, b = [*batch_a, *sum_a], [*batch_b, *sum_b]
    exist = all(_distinct(axes, array.ndim) for axes, array in ((a, A), (b, B)))
    paired = len(batch_a) == len(batch_b) and len(sum_a) == len(sum_b)
    if not exist or not paired or any(A.shape[i] != B.shape[j] for i, j in zip(a, b, strict=True)):
        raise InvalidInput(
            f"arrays of shapes {A.shape} and {B.shape}, batch axes {tuple(batch_a)} and {tuple(batch_b)}, "
            f"summed axes {tuple(sum_a)} and {tuple(sum_b)}",
            "distinct axes that exist, and pairs of equal length",
            "transpose one array, or choose other axes",
        )
    a, b = ([int(i) % array.ndim for i in axes] for axes, array in ((a, A), (b, B)))
    batch = len(batch_a)
    return (tuple(a[batch:]), tuple(b[batch:])), (tuple(a[:batch]), tuple(b[:batch]))


def _distinct(axes: Sequence[int], ndim: int) -> bool:
    return all(-ndim <= i < ndim for i in axes) and len({i % ndim for i in axes}) == len(axes)


def normal(*shapes: tuple[int, ...]) -> Any:
    """Arguments of these shapes, scaled so that products of them stay near 1."""

    def make(key: Array, dtype: Any) -> tuple[Array, ...]:
        keys = jax.random.split(key, len(shapes))
        scales = [1 / math.sqrt(max(1, shape[-1])) for shape in shapes]
        return tuple(
            scale * jax.random.normal(k, shape, dtype)
            for k, shape, scale in zip(keys, shapes, scales, strict=True)
        )

    return make


RULES = (
    Rule(
        name="dot_general",
        function=dot_general,
        reference=lax.dot_general,
        forward=r"x_{out}[b,i,j] = \sum_k A[b,i,k]\, B[b,j,k]",
        backward=(
            r"g_A[b,i,k] = \sum_j g_{out}[b,i,j] B[b,j,k],\quad g_B[b,j,k] = \sum_i g_{out}[b,i,j] A[b,i,k]"
        ),
        saved="B for the gradient of A, A for that of B: each only if asked for",
        source="jax.lax.dot_general",
        cases=(
            Case("matrices", normal((4, 3), (3, 5)), {"dimension_numbers": (((1,), (0,)), ((), ()))}),
            Case(
                "batch and crossed axes",
                normal((3, 2, 4, 5), (5, 2, 3, 4)),
                {"dimension_numbers": (((3, 0), (0, 2)), ((1,), (1,)))},
            ),
            Case("outer product", normal((2, 3), (4,)), {"dimension_numbers": (((), ()), ((), ()))}),
            Case("all summed", normal((2, 3), (3, 2)), {"dimension_numbers": (((0, 1), (1, 0)), ((), ()))}),
        ),
        differentiable=(0, 1),
    ),
)
