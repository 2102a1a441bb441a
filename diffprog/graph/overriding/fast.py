"""The hand-written backward rules as an override: every convolution and every pooling of a function, made fast.

These are where a rule wins by more than half (`diffprog rules` prints the measurements). Activations and products,
where XLA's own backward is as good, are left as they are, and so is what a rule does not cover: integers, dilated
pooling, a precision asked for, a batch in groups. Layouts other than channels last are turned round for the gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from diffprog import rules
from diffprog.graph.overriding.backward import Forward, Override, with_derivative_of
from diffprog.graph.overriding.recognize import Operation
from diffprog.rules.convolution.exactness import same_values

Axes = tuple[int, ...]
Found = tuple[Callable[..., Array], dict[str, Any]]  # a rule and its settings


def fast(forward: bool = False) -> Override:
    """The fast rules for convolutions, max-pooling and sums over windows, in all layouts.

    Args:
      forward: whether values may differ from the plain ones by rounding (a few units in the last place of a float32),
        where a rule is then faster: grouped, transposed and pointwise convolutions. Without it values stay the same to
        the last bit; depthwise convolutions are 5 to 30 times faster on CPUs either way, wherever their rule gives
        XLA's own bits, which is asked once a shape.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from diffprog.graph import override
      >>> pool = lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 1), (1, 2, 1), "VALID")
      >>> x = jnp.array([1.0, 3.0, 2.0, 0.0]).reshape(1, 4, 1)
      >>> jax.grad(lambda x: override(pool, fast())(x).sum())(x).ravel()
      Array([0., 1., 1., 0.], dtype=float32)
    """
    name = "the fast rules, forward as well" if forward else "the fast rules"
    return Override(name, tuple(_FINDERS), functools.partial(_replace, forward=forward), required=False)


def _replace(operation: Operation, forward: bool) -> Forward | None:
    finder = _FINDERS.get(operation.kind)
    plain = operation.node.primitive in _PRIMITIVES and _floating(operation)
    found = finder(operation) if finder and plain else None
    if found is None:
        return None
    rule, settings = found
    if forward or _is_exact(operation, rule, settings):
        return lambda *inputs: [rule(*inputs, **settings)]
    return with_derivative_of(operation, rule, **settings)


def _is_exact(operation: Operation, rule: Callable[..., Array], settings: dict[str, Any]) -> bool:
    """Whether the rule's own values are the plain ones to the last bit; of pooling it is not asked."""
    if rule is not _convolution:
        return False
    x, W = operation.operands
    x_axes, W_axes = _axes(settings["layout"])
    x_shape, W_shape = (
        jax.ShapeDtypeStruct(tuple(value.shape[axis] for axis in axes), value.dtype)
        for value, axes in ((x, x_axes), (W, W_axes))
    )
    numbers = {key: value for key, value in settings.items() if key != "layout"}
    return same_values(x_shape, W_shape, **numbers)


def _floating(operation: Operation) -> bool:
    dtypes = {value.dtype for value in (*operation.operands, *operation.results)}
    return len(dtypes) == 1 and all(jnp.issubdtype(dtype, jnp.floating) for dtype in dtypes)


# ---- convolution --------------------------------------------------------------------------------------------


def _find_convolution(operation: Operation) -> Found | None:
    given = operation.node.settings
    dtype = operation.results[0].dtype
    wanted = given["preferred_element_type"]
    as_it_is = given["precision"] is None and (wanted is None or wanted == dtype)
    empty = any(0 in value.shape for value in operation.operands)
    if given["batch_group_count"] != 1 or not as_it_is or empty:
        return None
    numbers = given["dimension_numbers"]
    return _convolution, {
        "strides": tuple(given["window_strides"]),
        "padding": tuple((low, high) for low, high in given["padding"]),
        "spread": tuple(given["lhs_dilation"]),
        "dilation": tuple(given["rhs_dilation"]),
        "groups": given["feature_group_count"],
        "layout": (tuple(numbers.lhs_spec), tuple(numbers.rhs_spec), tuple(numbers.out_spec)),
    }


def _convolution(
    x: Array,
    W: Array,
    *,
    strides: Axes,
    padding: tuple[tuple[int, int], ...],
    spread: Axes,
    dilation: Axes,
    groups: int,
    layout: tuple[Axes, Axes, Axes],
) -> Array:
    """The rule for any layout: axes of `layout` are batch, channels, *space; for W outputs, inputs, *space."""
    x_axes, W_axes = _axes(layout)
    x, W = _transposed(x, x_axes), _transposed(W, W_axes)
    last = x.ndim - 1
    x_out = rules.conv_general_dilated(
        x, W, strides, padding, spread, dilation, _channels_last(last - 1), groups
    )
    # Where batch, space and channels of x_out lie now, in the order in which the layout has them.
    now = dict(zip(layout[2], (0, last, *range(1, last)), strict=True))
    return _transposed(x_out, tuple(now[axis] for axis in range(len(now))))


def _axes(layout: tuple[Axes, Axes, Axes]) -> tuple[Axes, Axes]:
    """Which axes of x and of W lie where, channels last."""
    (n, c, *space), (d, i, *taps), _ = layout
    return (n, *space, c), (*taps, i, d)


def _channels_last(space: int) -> lax.ConvDimensionNumbers:
    pictures = (0, space + 1, *range(1, space + 1))
    return lax.ConvDimensionNumbers(pictures, (space + 1, space, *range(space)), pictures)


def _transposed(x: Array, axes: Axes) -> Array:
    return x if axes == tuple(range(x.ndim)) else jnp.transpose(x, axes)


# ---- pooling ------------------------------------------------------------------------------------------------


def _find_pooling(rule: Any, operation: Operation) -> Found | None:
    given = operation.node.settings
    if {*given["base_dilation"], *given["window_dilation"]} != {1}:
        return None
    each = zip(given["window_dimensions"], given["window_strides"], given["padding"], strict=True)
    slid = [(size, step, tuple(pads)) != (1, 1, (0, 0)) for size, step, pads in each]
    space = tuple(axis for axis, moves in enumerate(slid) if moves)
    rest = tuple(axis for axis, moves in enumerate(slid) if not moves)
    if not space or not rest or 0 in operation.operands[0].shape or 0 in operation.results[0].shape:
        return None
    return rule, {
        "axes": (*rest[:-1], *space, rest[-1]),
        "window": tuple(given["window_dimensions"][axis] for axis in space),
        "strides": tuple(given["window_strides"][axis] for axis in space),
        "padding": tuple(tuple(given["padding"][axis]) for axis in space),
    }


def _max_pool(x: Array, *, axes: Axes, **window: Any) -> Array:
    return _pooled(rules.max_pool, x, axes, **window)


def _sum_pool(x: Array, *, axes: Axes, **window: Any) -> Array:
    return _pooled(rules.sum_pool, x, axes, **window)


def _pooled(rule: Any, x: Array, axes: Axes, window: Axes, strides: Axes, padding: Any) -> Array:
    x_out = rule(_transposed(x, axes), window, strides, padding)
    return _transposed(x_out, tuple(axes.index(axis) for axis in range(x.ndim)))


_FINDERS: dict[str, Callable[[Operation], Found | None]] = {
    "conv": _find_convolution,
    "max_pool": functools.partial(_find_pooling, _max_pool),
    "sum_pool": functools.partial(_find_pooling, _sum_pool),
}
_PRIMITIVES = ("conv_general_dilated", "reduce_window_max", "reduce_window_sum")
