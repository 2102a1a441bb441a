"""Operations that are linear in each of two inputs, closed under differentiation.

A matrix product and every convolution come from one trilinear form. Fix two of its three arguments and what is left
is the third's linear map, so the derivatives of all orders are three formulas and no more:

    product(x_in, W)    -> x_out        <product(x_in, W), g_out>
    to_left(g_out, W)   -> g_in           = <x_in, to_left(g_out, W)>
    to_right(x_in, g_out) -> g_W          = <W, to_right(x_in, g_out)>

`family` makes an operation of each; J of an operation is the operation itself with the other input held, and J^T is a
sibling, so that a second derivative runs the hand-written formulas again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jax import Array

from diffprog.rules.core.anatomy import Backward, operation

Formula = Callable[..., Array]  # (one input, other input, **static) -> array


class Family(NamedTuple):
    """The three operations of one trilinear form; each takes its two arrays and the same static settings."""

    product: Formula
    to_left: Formula
    to_right: Formula


def family(name: str, product: Formula, to_left: Formula, to_right: Formula) -> Family:
    """Join three formulas that are each other's gradients.

    Args:
      name: of the product; its gradients are called after it.
      product: `(x_in, W, **static) -> x_out`.
      to_left: `(g_out, W, **static) -> g_in`.
      to_right: `(x_in, g_out, **static) -> g_W`.

    Returns:
      The three operations, differentiable to any order.

    Example:
      >>> import jax
      >>> scale = family("scale", lambda x, w: w * x, lambda g, w: w * g, lambda x, g: (x * g).sum())
      >>> [float(g) for g in jax.grad(scale.product, argnums=(0, 1))(3.0, 2.0)]
      [2.0, 3.0]
    """

    def forward(x: Array, W: Array, **static: Any) -> Array:
        return members.product(x, W, **static)

    def to_input(g: Array, W: Array, **static: Any) -> Array:
        return members.to_left(g, W, **static)

    def to_weights(x: Array, g: Array, **static: Any) -> Array:
        return members.to_right(x, g, **static)

    members = Family(
        _bilinear(name, product, lambda W, g, **s: to_input(g, W, **s), to_weights),
        _bilinear(
            f"{name}_input_gradient", to_left, lambda W, c, **s: forward(c, W, **s), _swapped(to_weights)
        ),
        _bilinear(f"{name}_weight_gradient", to_right, lambda g, c, **s: to_input(g, c, **s), forward),
    )
    return members


def _swapped(formula: Formula) -> Formula:
    return lambda a, b, **static: formula(b, a, **static)


def _bilinear(name: str, formula: Formula, to_first: Formula, to_second: Formula) -> Formula:
    """One member: `to_first(second, g)` and `to_second(first, g)` are its backward formulas."""

    def push_first(second: Array, first_dot: Array, **static: Any) -> Array:
        return this(first_dot, second, **static)

    def push_second(first: Array, second_dot: Array, **static: Any) -> Array:
        return this(first, second_dot, **static)

    def value(first: Array, second: Array, **static: Any) -> tuple[Array, None]:
        # The operation, not its formula: an outer derivative then meets this rule again.
        return this(first, second, **static), None

    this = operation(
        name,
        formula,
        Backward(lambda inputs, *_, **__: inputs[1], to_first, push_first),
        Backward(lambda inputs, *_, **__: inputs[0], to_second, push_second),
        extra=value,
    )
    return this
