"""Cosine similarity, with its backward rule.

    c = <a, b> / (|a| |b|)
    g_a = g (b / |b| - c a / |a|) / |a|,    g_b likewise        what would only change the length is taken out

Saved: a, b, and three numbers a row: both inverse lengths and c. Shorter than epsilon, a length counts as epsilon.
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
from diffprog.rules.normalization.l2 import check_epsilon, inverse_length


def _forward(a: Array, b: Array, axis: tuple[int, ...], epsilon: float) -> tuple[Array, Any]:
    (of_a, _), (of_b, _) = lengths = inverse_length(a, axis, epsilon), inverse_length(b, axis, epsilon)
    wide = a.astype(of_a.dtype) * b.astype(of_b.dtype)
    cosine = jnp.sum(wide, axis, keepdims=True) * of_a * of_b
    return cosine.astype(a.dtype), (*lengths, cosine)


def _save(which: int) -> Any:
    """This vector first, the other second."""

    def save(inputs: Any, _: Array, extra: Any, **__: Any) -> Any:
        return inputs[which], inputs[1 - which], extra[which], extra[1 - which][0], extra[2]

    return save


def _direction(saved: Any) -> Array:
    """The gradient of c with respect to the first vector."""
    a, b, (of_a, long), of_b, cosine = saved
    unit_a, unit_b = a.astype(of_a.dtype) * of_a, b.astype(of_b.dtype) * of_b
    return of_a * (unit_b - jnp.where(long, cosine, 0) * unit_a)


def _pull(saved: Any, g: Array, **_: Any) -> Array:
    direction = _direction(saved)
    return (g.astype(direction.dtype) * direction).astype(g.dtype)


def _push(saved: Any, dot: Array, axis: tuple[int, ...], epsilon: float) -> Array:
    direction = _direction(saved)
    return jnp.sum(dot.astype(direction.dtype) * direction, axis, keepdims=True).astype(dot.dtype)


_cosine = operation(
    "cosine_similarity",
    lambda a, b, axis, epsilon: _forward(a, b, axis, epsilon)[0],
    Backward(_save(0), _pull, _push),
    Backward(_save(1), _pull, _push),
    extra=_forward,
)


def cosine_similarity(a: Array, b: Array, axis: Axes = -1, epsilon: float = 1e-12) -> Array:
    """<a, b> / (|a| |b|) along one axis.

    Args:
      a, b: one shape, or shapes that broadcast: one picture against many prompts.
      axis: where the vectors lie.
      epsilon: what shorter lengths count as; the similarity to a vector of zeros is 0.

    Returns:
      the shape of a and b without the axis; from -1 to 1.

    Raises:
      InvalidInput: shapes that do not broadcast or whose vectors differ in length, dtypes that differ, an axis
        that is not there, an epsilon that is too small.

    Example:
      >>> import jax.numpy as jnp
      >>> cosine_similarity(jnp.array([1.0, 0.0]), jnp.array([[2.0, 0.0], [0.0, 3.0]]))
      Array([1., 0.], dtype=float32)
    """
    floating("cosine_similarity", a=a, b=b)
    check_epsilon("cosine_similarity", epsilon)
    a, b = _broadcast(a, b)
    axes = axes_of("cosine_similarity", a.shape, axis)
    return jnp.squeeze(_cosine(a, b, axis=axes, epsilon=float(epsilon)), axes)


def cosine_distance(a: Array, b: Array, axis: Axes = -1, epsilon: float = 1e-12) -> Array:
    """1 - cosine similarity, from 0 to 2; arguments and errors of `cosine_similarity`.

    Example:
      >>> import jax.numpy as jnp
      >>> cosine_distance(jnp.array([1.0, 0.0]), jnp.array([-2.0, 0.0]))
      Array(2., dtype=float32)
    """
    return 1 - cosine_similarity(a, b, axis, epsilon)


def _broadcast(a: Array, b: Array) -> tuple[Array, Array]:
    try:
        shape = jnp.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise InvalidInput(
            f"cosine_similarity got shapes {a.shape} and {b.shape}",
            "shapes that broadcast: vectors of one length",
            "a[:, None] and b[None] for every pair of two sets of vectors",
        ) from None
    return jnp.broadcast_to(a, shape), jnp.broadcast_to(b, shape)


def _plain(a: Array, b: Array, axis: int = -1) -> Array:
    lengths = jnp.linalg.norm(a, axis=axis) * jnp.linalg.norm(b, axis=axis)
    return jnp.sum(a * b, axis) / lengths


def _plain_distance(a: Array, b: Array, axis: int = -1) -> Array:
    return 1 - _plain(a, b, axis)


def _pair(key: Array, dtype: Any) -> tuple[Array, Array]:
    one, two = jax.random.split(key)
    return jax.random.normal(one, (3, 4), dtype), jax.random.normal(two, (3, 4), dtype)


RULES = (
    Rule(
        name="cosine similarity",
        function=cosine_similarity,
        reference=_plain,
        forward=r"c = \langle a, b \rangle / (|a| |b|)",
        backward=r"g_a = g\,(b / |b| - c\,a / |a|) / |a|,\quad g_b\text{ likewise}",
        saved="a, b, and three numbers a row, in at least float32",
        kinks="a length below epsilon counts as epsilon and is constant: the gradient at 0 is finite",
        source="the derivative of the cosine",
        differentiable=(0, 1),
        cases=(Case("rows", _pair), Case("columns", _pair, {"axis": 0})),
        exact=False,
    ),
    Rule(
        name="cosine distance",
        function=cosine_distance,
        reference=_plain_distance,
        forward=r"d = 1 - \langle a, b \rangle / (|a| |b|)",
        backward=r"\text{minus those of the cosine similarity}",
        saved="what the similarity saves",
        source="the derivative of the cosine",
        differentiable=(0, 1),
        cases=(Case("rows", _pair),),
        exact=False,
    ),
)
