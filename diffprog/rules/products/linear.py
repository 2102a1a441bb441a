"""The linear layer, in the lecture's form.

    x_out = x_in W + b      g_in = g_out W^T      dJ/dW = x_in^T g_out      dJ/db = sum of g_out

for row vectors x_in; dJ/dW and dJ/db sum over the batch, because one W and one b are shared by all its members.
Saved: W for g_in, x_in for dJ/dW, nothing for dJ/db. Gradients have the dtype of the inputs; XLA sums products of
bfloat16 in float32. Shape letters: n inputs, m outputs, `...` any batch.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules import choice
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.floating import floating, has_derivative
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.products.dot_general import dot_general, normal


def _product(x: Array, W: Array) -> Array:
    return dot_general(x, W, (((x.ndim - 1,), (0,)), ((), ())))  # (..., n) (n, m) -> (..., m)


def _g_in(W: Array, g: Array) -> Array:
    return dot_general(g, W, (((g.ndim - 1,), (1,)), ((), ())))  # (..., m) (n, m) -> (..., n)


def _g_W(x: Array, g: Array) -> Array:
    batch = tuple(range(x.ndim - 1))
    return dot_general(x, g, ((batch, batch), ((), ())))  # (..., n) (..., m) -> (n, m)


_linear: Callable[..., Array] = operation(
    "linear",
    lambda x, W, b: _product(x, W) + b,
    Backward(lambda inputs, *_: inputs[1], _g_in, lambda W, x_dot: _product(x_dot, W)),
    Backward(lambda inputs, *_: inputs[0], _g_W, _product),
    Backward(lambda *_: (), lambda _, g: g.sum(range(g.ndim - 1))),
    extra=lambda x, W, b: (_linear(x, W, b), None),
)


def linear(x: Array, W: Array, b: Array | None = None) -> Array:
    """The linear layer x W + b on row vectors.

    Args:
      x: [..., n], any batch, also none.
      W: [n, m].
      b: [m], or nothing.

    Returns:
      [..., m].

    Raises:
      InvalidInput: shapes that do not fit, mixed dtypes.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> x, W, b = jnp.array([[1.0, 2.0]]), jnp.array([[3.0], [4.0]]), jnp.array([5.0])
      >>> linear(x, W, b), jax.grad(lambda W: linear(x, W, b).sum())(W)
      (Array([[16.]], dtype=float32), Array([[1.],
             [2.]], dtype=float32))
    """
    _check_linear(x, W, b)
    if not choice.applies(x, W):
        return _plain_linear(x, W, b)
    return _product(x, W) if b is None else _linear(x, W, b)


def _check_linear(x: Array, W: Array, b: Array | None) -> None:
    arrays = [x, W] if b is None else [x, W, b]
    if x.ndim < 1 or W.ndim != 2 or x.shape[-1] != W.shape[0] or (b is not None and b.shape != W.shape[1:]):
        raise InvalidInput(
            "x, W" + ("" if b is None else ", b") + " of shapes " + ", ".join(str(a.shape) for a in arrays),
            "[..., n], [n, m] and [m]: x holds row vectors that multiply W from the left",
            "W.T if it was stored as [m, n]",
        )
    if all(map(has_derivative, arrays)):
        floating("linear", **dict(zip(("x", "W", "b"), arrays, strict=False)))


def _plain_linear(x: Array, W: Array, b: Array | None = None) -> Array:
    product = jnp.matmul(x, W)
    return product if b is None else product + b


RULES = (
    Rule(
        name="linear",
        function=linear,
        reference=_plain_linear,
        forward=r"x_{out} = x_{in} W + b",
        backward=(
            r"g_{in} = g_{out} W^\top,\quad \partial J/\partial W = x_{in}^\top g_{out},"
            r"\quad \partial J/\partial b = \textstyle\sum g_{out}"
        ),
        saved="W for g_in, x_in for dJ/dW, nothing for dJ/db: each only if asked for",
        source="lecture, slide on the linear layer",
        cases=(
            Case("with bias", normal((4, 3), (3, 5), (5,))),
            Case("without bias", normal((4, 3), (3, 5))),
            Case("two batch axes", normal((2, 3, 4), (4, 5), (5,))),
            Case("one vector", normal((4,), (4, 2), (2,))),
        ),
        differentiable=(0, 1, 2),
        exact=False,
    ),
)
