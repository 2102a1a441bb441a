"""L2 normalization: vectors of length one.

    x_out = r x_in,  r = 1 / max(|x_in|, epsilon)
    g_in  = r (g_out - x_out <g_out, x_out>)            what would change the length is taken out
    g_in  = g_out / epsilon  where |x_in| < epsilon     there x_out is linear in x_in

Saved: the output and r, one number a vector. The sum of squares of narrower dtypes is in float32.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.axes import Axes, axes_of
from diffprog.rules.core.floating import promoted, wider
from diffprog.rules.core.record import Case, Rule


def inverse_length(x: Array, axis: tuple[int, ...], epsilon: float) -> tuple[Array, Array]:
    """1 / max(|x|, epsilon) along `axis`, and whether |x| was the greater; no NaN at 0, in any order."""
    square = jnp.sum(jnp.square(x.astype(wider(x))), axis, keepdims=True)
    long = ~(square <= epsilon * epsilon)  # so that NaN is long, and stays NaN
    return jax.lax.rsqrt(jnp.where(long, square, epsilon * epsilon)), long


def _forward(x: Array, axis: tuple[int, ...], epsilon: float) -> tuple[Array, tuple[Array, Array]]:
    rate, long = inverse_length(x, axis, epsilon)
    return (x.astype(rate.dtype) * rate).astype(x.dtype), (rate, long)


def _turned(saved: Any, g: Array, axis: tuple[int, ...], epsilon: float) -> Array:
    x_out, (rate, long) = saved
    wide, x_out = g.astype(rate.dtype), x_out.astype(rate.dtype)
    along = jnp.sum(wide * x_out, axis, keepdims=True)
    return (rate * (wide - x_out * jnp.where(long, along, 0))).astype(g.dtype)


_l2_normalize = operation(
    "l2_normalize",
    lambda x, axis, epsilon: _forward(x, axis, epsilon)[0],
    # J is symmetric: it takes out the part along x_out, whether from a change or from a cotangent.
    Backward(lambda inputs, x_out, extra, **_: (x_out, extra), _turned, _turned),
    extra=_forward,
)


def l2_normalize(x: Array, axis: Axes = -1, epsilon: float = 1e-12) -> Array:
    """x / max(|x|, epsilon) along one axis or several.

    Args:
      x: any shape with the axis.
      axis: where the vectors lie.
      epsilon: the length below which a vector is divided by epsilon instead; a vector of zeros stays one.

    Returns:
      the shape of x; vectors of length one.

    Raises:
      InvalidInput: an axis that x does not have, an epsilon whose square is not positive in float32.

    Example:
      >>> import jax.numpy as jnp
      >>> l2_normalize(jnp.array([3.0, 4.0])).round(3)
      Array([0.6, 0.8], dtype=float32)
    """
    (x,) = promoted(x)
    check_epsilon("l2_normalize", epsilon)
    return _l2_normalize(x, axis=axes_of("l2_normalize", x.shape, axis), epsilon=float(epsilon))


def check_epsilon(where: str, epsilon: float) -> None:
    """Refuse an epsilon whose square is 0 in float32: a vector of zeros would be NaN."""
    if not epsilon >= 1e-18:
        raise InvalidInput(
            f"{where} got epsilon = {epsilon}",
            "at least 1e-18, whose square is still a float32: a vector of zeros has no direction",
            "the default, 1e-12",
        )


def _plain(x: Array, axis: int = -1) -> Array:
    return x / jnp.linalg.norm(x, axis=axis, keepdims=True)


RULES = (
    Rule(
        name="L2 normalization",
        function=l2_normalize,
        reference=_plain,
        forward=r"x_{out} = x_{in} / \max(\|x_{in}\|, \epsilon)",
        backward=r"g_{in} = (g_{out} - x_{out} \langle g_{out}, x_{out} \rangle) / \|x_{in}\|",
        saved="the output and 1 / |x_in|, one number a vector in at least float32",
        kinks="below length epsilon: g_out / epsilon",
        source="values of torch.nn.functional.normalize",
        cases=(
            Case("last axis", lambda key, dtype: (jax.random.normal(key, (3, 5), dtype),)),
            Case("middle axis", lambda key, dtype: (jax.random.normal(key, (2, 4, 3), dtype),), {"axis": 1}),
        ),
        exact=False,
    ),
)
