"""Softmax, its logarithm, and log-sum-exp, with their backward rules.

    p = softmax(x)         g_in = p (g_out - <g_out, p>)
    l = log_softmax(x)     g_in = g_out - e^l sum(g_out)
    z = logsumexp(x)       g_in = g_out e^(x - z)

Softmax keeps its output and nothing else. The others keep e^(x - max x), which the value needed, and its sum: to make
these again from the output would cost a second exponential for every element, and lose to autodiff, which keeps them.
Values are bit for bit those of `jax.nn`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.axes import Axes, axes_of
from diffprog.rules.core.floating import promoted
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.core.spread import AxisName, largest, summed

Axis = tuple[int, ...]


def _output(_: Any, x_out: Array, __: Any, axis: Axis) -> Array:
    return x_out


# ---- softmax: J = diag(p) - p p^T is symmetric, so J^T and J are one formula -------------------------------


def _centred(p: Array, g: Array, axis: Axis) -> Array:
    return p * (g - jnp.sum(g * p, axis, keepdims=True))


_softmax = operation(
    "softmax", lambda x, axis: jax.nn.softmax(x, axis), Backward(_output, pull=_centred, push=_centred)
)


def softmax(x: Array, axis: Axes = -1) -> Array:
    """e^x / sum(e^x) along one axis or several.

    Raises:
      InvalidInput: an axis that x does not have.

    Example:
      >>> import jax.numpy as jnp
      >>> softmax(jnp.array([1.0, 1.0]))
      Array([0.5, 0.5], dtype=float32)
    """
    (x,) = promoted(x)
    return _softmax(x, axis=axes_of("softmax", x.shape, axis))


# ---- log softmax: J = I - 1 p^T, with p = e / total --------------------------------------------------------


def exponentials(x: Array, axis: int | Axis, axis_name: AxisName = None) -> tuple[Array, Array, Array]:
    """e = exp(x - top), its sum, and top, the maximum along `axis` where it is finite and else 0.

    With an `axis_name` the axis goes on over the devices of that axis of a mesh (`core.spread`).
    """
    top = largest(lax.stop_gradient(jnp.max(x, axis, keepdims=True, initial=-jnp.inf)), axis_name)
    top = jnp.where(jnp.isfinite(top), top, 0)
    powers = jnp.exp(x - top)
    return powers, summed(jnp.sum(powers, axis, keepdims=True), axis_name), top


def _log_softmax_value(x: Array, axis: Axis) -> tuple[Array, tuple[Array, Array]]:
    shifted = x - lax.stop_gradient(jnp.max(x, axis, keepdims=True, initial=-jnp.inf))
    powers = jnp.exp(shifted)
    total = jnp.sum(powers, axis, keepdims=True)
    return shifted - jnp.log(total), (powers, total)


def _log_softmax_pull(saved: tuple[Array, Array], g: Array, axis: Axis) -> Array:
    powers, total = saved
    return g + (-jnp.sum(g, axis, keepdims=True) / total) * powers


def _log_softmax_push(saved: tuple[Array, Array], x_dot: Array, axis: Axis) -> Array:
    powers, total = saved
    return x_dot - jnp.sum(powers * x_dot, axis, keepdims=True) / total


_log_softmax = operation(
    "log_softmax",
    lambda x, axis: jax.nn.log_softmax(x, axis),
    Backward(lambda inputs, x_out, extra, axis: extra, _log_softmax_pull, _log_softmax_push),
    extra=_log_softmax_value,
)


def log_softmax(x: Array, axis: Axes = -1) -> Array:
    """x - log(sum(e^x)) along one axis or several.

    Raises:
      InvalidInput: an axis that x does not have.

    Example:
      >>> import jax.numpy as jnp
      >>> jnp.exp(log_softmax(jnp.array([1.0, 1.0])))
      Array([0.5, 0.5], dtype=float32)
    """
    (x,) = promoted(x)
    return _log_softmax(x, axis=axes_of("log_softmax", x.shape, axis))


# ---- log-sum-exp: the sum is kept with its axes of length one; 0 and not NaN where all of x is -inf -------


def _logsumexp_value(x: Array, axis: Axis) -> tuple[Array, tuple[Array, Array]]:
    powers, total, top = exponentials(x, axis)
    return jnp.log(total) + top, (powers, total)


def _some(total: Array) -> Array:
    return jnp.where(total == 0, 1, total)


def _logsumexp_pull(saved: tuple[Array, Array], g: Array, axis: Axis) -> Array:
    powers, total = saved
    return powers * (g / _some(total))


def _logsumexp_push(saved: tuple[Array, Array], x_dot: Array, axis: Axis) -> Array:
    powers, total = saved
    return jnp.sum(x_dot * powers, axis, keepdims=True) / _some(total)


_logsumexp = operation(
    "logsumexp",
    lambda x, axis: jax.nn.logsumexp(x, axis, keepdims=True),
    Backward(lambda inputs, x_out, extra, axis: extra, _logsumexp_pull, _logsumexp_push),
    extra=_logsumexp_value,
)


def logsumexp(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """log(sum(e^x)) without overflow, along one axis, several, or all.

    Args:
      x: any shape.
      axis: what to sum over; None: everything.
      keepdims: whether these axes stay, with length one.

    Raises:
      InvalidInput: an axis that x does not have.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> jax.grad(logsumexp)(jnp.zeros(4))
      Array([0.25, 0.25, 0.25, 0.25], dtype=float32)
    """
    (x,) = promoted(x)
    axes = axes_of("logsumexp", x.shape, axis)
    total = _logsumexp(x, axis=axes)
    return total if keepdims else jnp.squeeze(total, axes)


def _scores(key: Array, dtype: Any) -> tuple[Array]:
    return (2 * jax.random.normal(key, (3, 4, 5), dtype),)


CASES = (
    Case("last axis", _scores, {"axis": -1}),
    Case("first axis", _scores, {"axis": 0}),
    Case("two axes", _scores, {"axis": (0, 2)}),
)

RULES = (
    Rule(
        name="softmax",
        function=softmax,
        reference=jax.nn.softmax,
        forward=r"x_{out} = e^{x_{in}} / \sum e^{x_{in}}",
        backward=r"g_{in} = x_{out} (g_{out} - \langle g_{out}, x_{out} \rangle)",
        saved="the output",
        source="values of jax.nn.softmax",
        cases=CASES,
    ),
    Rule(
        name="log softmax",
        function=log_softmax,
        reference=jax.nn.log_softmax,
        forward=r"x_{out} = x_{in} - \log \sum e^{x_{in}}",
        backward=r"g_{in} = g_{out} - e^{x_{out}} \sum g_{out}",
        saved="the exponentials of x - max(x) and their sum",
        source="values of jax.nn.log_softmax",
        cases=CASES,
    ),
    Rule(
        name="log-sum-exp",
        function=logsumexp,
        reference=jax.nn.logsumexp,
        forward=r"x_{out} = \log \sum e^{x_{in}}",
        backward=r"g_{in} = g_{out}\, e^{x_{in} - x_{out}}",
        saved="the exponentials of x - max(x) and their sum",
        kinks="0 where every x_in is -inf",
        source="values of jax.nn.logsumexp",
        cases=(
            *CASES,
            Case("everything", _scores),
            Case("axes kept", _scores, {"axis": 1, "keepdims": True}),
        ),
    ),
)
