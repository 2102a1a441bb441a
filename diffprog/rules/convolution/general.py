"""Convolution with backward rules written by hand, as a drop-in for `jax.lax.conv_general_dilated`.

    x_out[o, d]  = sum_{j, c} x_in[o * stride + j - low, c] W[j, c, d]
    g_in[i, c]   = sum over (o, j) that read i of  g_out[o, d] W[j, c, d]
    g_W[j, c, d] = sum_o x_in[o * stride + j - low, c] g_out[o, d]

The three are one family (see `bilinear`), so derivatives of every order are by hand. What computes them is chosen by
the shape of the convolution, each formulation in a file of its own: `one_tap`, `depthwise`, `grouped`,
`transposed`, `dense`; what is none of these is XLA's convolution, forward and backward. Other layouts,
a batch in groups, and a precision asked for are the plain operation.
Saved for the backward pass: x_in (for g_W only) and W (for g_in only).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax import Array, lax

from diffprog.rules import choice
from diffprog.rules.convolution import dense, depthwise, depthwise_transposed, grouped, one_tap, transposed
from diffprog.rules.convolution.plain import Formulation, channels_last, plain
from diffprog.rules.convolution.shape import Shape, convolution_shape
from diffprog.rules.core.bilinear import family
from diffprog.rules.core.floating import floating, has_derivative


def formulation(shape: Shape, kernel: tuple[int, ...]) -> Formulation:
    """What computes a convolution of this geometry with kernels of this shape."""
    if one_tap.applies(shape):
        return one_tap.POINTWISE
    if depthwise.applies(shape, kernel[-2]):
        return depthwise.DEPTHWISE
    if depthwise_transposed.applies(shape, kernel):
        return depthwise_transposed.DEPTHWISE_TRANSPOSED
    if grouped.applies(shape):
        return grouped.GROUPED
    if transposed.applies(shape):
        return transposed.TRANSPOSED
    if dense.applies(shape):
        return dense.DENSE
    return Formulation()


def _product(x: Array, W: Array, *, shape: Shape) -> Array:
    return formulation(shape, W.shape).forward(x, W, shape)


def _to_input(g: Array, W: Array, *, shape: Shape) -> Array:
    return formulation(shape, W.shape).input_gradient(g, W, shape)


def _to_weights(x: Array, g: Array, *, shape: Shape) -> Array:
    kernel = (*shape.sizes, x.shape[-1] // shape.groups, g.shape[-1])
    return formulation(shape, kernel).weight_gradient(x, g, shape)


_convolution = family("convolution", _product, _to_input, _to_weights)


def conv_general_dilated(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
    **rest: Any,
) -> Array:
    """Convolve pictures with kernels; same arguments and values as `jax.lax.conv_general_dilated`.

    Give it to Flax: `nn.Conv(..., conv_general_dilated=rules.conv_general_dilated)`.

    Args:
      lhs: [N, *spatial, C] for the fast rules; any layout otherwise.
      rhs: [*taps, C / groups, D].
      window_strides: step along every spatial axis.
      padding: 'SAME', 'SAME_LOWER', 'VALID' or (low, high) for every spatial axis.
      lhs_dilation, rhs_dilation, dimension_numbers, feature_group_count, batch_group_count, precision,
        preferred_element_type, rest: as in `jax.lax`; what has no rule of its own goes there.

    Returns:
      [N, *positions, D], in the dtype of the inputs.

    Raises:
      InvalidInput: shapes that do not fit, an empty array, a window that fits nowhere, integers, mixed dtypes.

    Example:
      >>> import jax.numpy as jnp
      >>> x, W = jnp.arange(4.0).reshape(1, 4, 1), jnp.ones((2, 1, 1))
      >>> conv_general_dilated(x, W, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")).ravel()
      Array([1., 3., 5.], dtype=float32)
    """
    asked = {"precision": precision, "preferred_element_type": preferred_element_type, **rest}
    special = batch_group_count != 1 or given(asked) or not (has_derivative(lhs) or has_derivative(rhs))
    if special or not is_channels_last(lhs, rhs, dimension_numbers):
        return lax.conv_general_dilated(
            lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers,
            feature_group_count, batch_group_count, precision, preferred_element_type, **rest,
        )  # fmt: skip
    floating("conv_general_dilated", lhs=lhs, rhs=rhs)
    shape = convolution_shape(
        lhs.shape, rhs.shape, window_strides, padding, lhs_dilation, rhs_dilation, feature_group_count
    )
    return _convolution.product(lhs, rhs, shape=shape) if choice.applies(lhs, rhs) else plain(lhs, rhs, shape)


def given(rest: dict[str, Any]) -> bool:
    return any(value is not None and value is not False for value in rest.values())


def is_channels_last(lhs: Array, rhs: Array, dimension_numbers: Any) -> bool:
    if dimension_numbers is None:
        return False
    if lhs.ndim != rhs.ndim:
        return True  # the check of shapes says what is wrong
    return lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers) == channels_last(lhs.ndim - 2)
