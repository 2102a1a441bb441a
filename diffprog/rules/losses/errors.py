"""Losses of a prediction and a target: squared error and Huber, with their backward rules.

    squared error      J = 1/2 |y - t|^2           g_y = g (y - t)                g_t = -g_y
    Huber              J = sum H(y - t)            g_y = g clip(y - t, -d, d)     g_t = -g_y

Binary cross-entropy is in `binary`, that over classes in `cross_entropy`, losses of pairs of vectors are in
`similarity` and `contrastive`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.axes import Axes, axes_of
from diffprog.rules.core.floating import floating
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.pointwise.elementwise import number

Axis = tuple[int, ...]


# ---- squared error: g_y = g (y - t). Saved: the one difference, which serves both gradients ----------------


def _half_square(y: Array, t: Array, axis: Axis) -> tuple[Array, Array]:
    difference = y - t
    return 0.5 * jnp.sum(jnp.square(difference), axis, keepdims=True), difference


def _scaled(difference: Array, g: Array, axis: Axis) -> Array:
    return g * difference


def _summed(difference: Array, y_dot: Array, axis: Axis) -> Array:
    return jnp.sum(difference * y_dot, axis, keepdims=True)


def _negative(function: Any) -> Any:
    return lambda *args, **static: -function(*args, **static)


_squared_error = operation(
    "squared_error",
    lambda y, t, axis: _half_square(y, t, axis)[0],
    Backward(lambda inputs, x_out, difference, axis: difference, _scaled, _summed),
    Backward(lambda inputs, x_out, difference, axis: difference, _negative(_scaled), _negative(_summed)),
    extra=_half_square,
)


def squared_error(y: Array, t: Array, axis: Axes = None) -> Array:
    """1/2 |y - t|^2, the lecture's loss: its gradient is the error itself.

    Args:
      y: prediction.
      t: target, the shape of y.
      axis: what to sum over; None: everything, a scalar.

    Raises:
      InvalidInput: shapes or dtypes that differ, integer or complex arrays, an axis that y does not have.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> jax.value_and_grad(squared_error)(jnp.array([3.0, 1.0]), jnp.array([1.0, 1.0]))
      (Array(2., dtype=float32), Array([2., 0.], dtype=float32))
    """
    axes = checked("squared_error", y, t, axis)
    return jnp.squeeze(_squared_error(jnp.asarray(y), jnp.asarray(t), axis=axes), axes)


# ---- Huber: quadratic within delta, linear beyond. Saved: the difference ------------------------------------
# Written with a choice, not a clipped difference: XLA on CPUs writes that one to memory (0.7 of autodiff's speed).


def _huber_value(y: Array, t: Array, axis: Axis, delta: float) -> tuple[Array, Array]:
    difference = y - t
    size = jnp.abs(difference)
    losses = jnp.where(size <= delta, 0.5 * jnp.square(size), delta * (size - 0.5 * delta))
    return jnp.sum(losses, axis, keepdims=True), difference


def _huber_slope(difference: Array, delta: float) -> Array:
    return jnp.where(jnp.abs(difference) <= delta, difference, delta * jnp.sign(difference))


def _huber_scaled(difference: Array, g: Array, axis: Axis, delta: float) -> Array:
    return g * _huber_slope(difference, delta)


def _huber_summed(difference: Array, y_dot: Array, axis: Axis, delta: float) -> Array:
    return jnp.sum(_huber_slope(difference, delta) * y_dot, axis, keepdims=True)


def _huber_save(inputs: Any, x_out: Array, difference: Array, axis: Axis, delta: float) -> Array:
    return difference


_huber = operation(
    "huber",
    lambda y, t, axis, delta: _huber_value(y, t, axis, delta)[0],
    Backward(_huber_save, _huber_scaled, _huber_summed),
    Backward(_huber_save, _negative(_huber_scaled), _negative(_huber_summed)),
    extra=_huber_value,
)


def huber(y: Array, t: Array, delta: float = 1.0, axis: Axes = None) -> Array:
    """Sum of e^2/2 where |e| <= delta, and delta (|e| - delta/2) beyond, with e = y - t.

    Args:
      y: prediction.
      t: target, the shape of y.
      delta: where the square becomes a line; a positive Python number.
      axis: what to sum over; None: everything, a scalar.

    Raises:
      InvalidInput: a delta that is not positive, and whatever `squared_error` refuses.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> jax.value_and_grad(huber)(jnp.array([0.5, 3.0]), jnp.zeros(2))
      (Array(2.625, dtype=float32), Array([0.5, 1. ], dtype=float32))
    """
    axes = checked("huber", y, t, axis)
    if not number("huber", "delta", delta) > 0:
        raise InvalidInput(
            f"huber got delta = {delta}", "a positive number: beyond it errors count linearly", "1.0"
        )
    return jnp.squeeze(_huber(jnp.asarray(y), jnp.asarray(t), axis=axes, delta=delta), axes)


def checked(where: str, y: Array, t: Array, axis: Axes) -> tuple[int, ...]:
    """The axes as a tuple, when everything fits."""
    floating(where, prediction=y, target=t)
    if jnp.shape(y) != jnp.shape(t):
        raise InvalidInput(
            f"{where} got a prediction of shape {jnp.shape(y)} and a target of shape {jnp.shape(t)}",
            "equal shapes: broadcasting here is more often a mistake than meant",
            "jnp.broadcast_to(target, prediction.shape) if it is meant",
        )
    return axes_of(where, jnp.shape(y), axis)


# ---- records -----------------------------------------------------------------------------------------------


def _plain_squared(y: Array, t: Array, axis: int | None = None) -> Array:
    return 0.5 * jnp.sum(jnp.square(y - t), axis)


def _plain_huber(y: Array, t: Array, delta: float = 1.0, axis: int | None = None) -> Array:
    size = jnp.abs(y - t)
    return jnp.sum(jnp.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta)), axis)


def pair(key: Array, dtype: Any) -> tuple[Array, Array]:
    a, b = jax.random.split(key)
    return jax.random.normal(a, (3, 4), dtype), jax.random.normal(b, (3, 4), dtype)


def _off_kinks(key: Array, dtype: Any) -> tuple[Array, Array]:
    """Differences at least 0.05 from 1 and from -1."""
    y, t = pair(key, dtype)
    near = jnp.abs(jnp.abs(y - t) - 1) < 0.05
    return jnp.where(near, t + 0.5, y), t


RULES = (
    Rule(
        name="squared error",
        function=squared_error,
        reference=_plain_squared,
        forward=r"J = \tfrac12 |y - t|^2",
        backward=r"g_y = g\,(y - t),\quad g_t = -g_y",
        saved="the difference y - t",
        source="lecture, worked example",
        differentiable=(0, 1),
        cases=(Case("everything", pair), Case("last axis", pair, {"axis": -1})),
    ),
    Rule(
        name="Huber",
        function=huber,
        reference=_plain_huber,
        forward=r"J = \sum \tfrac12 e^2\,[|e| \le \delta] + \delta (|e| - \tfrac\delta2)\,[|e| > \delta],\ e = y - t",
        backward=r"g_y = g\,\min(\max(e, -\delta), \delta),\quad g_t = -g_y",
        saved="the difference",
        kinks="the first derivative is continuous; the second jumps at |e| = delta and is that of the square there",
        source="Huber 1964",
        differentiable=(0, 1),
        cases=(Case("everything", _off_kinks), Case("last axis", _off_kinks, {"axis": -1})),
        exact=False,
    ),
)
