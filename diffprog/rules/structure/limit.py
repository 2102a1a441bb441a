"""Gradients limited on their way back: clipped, or brought to a length.

Forward, both are the identity. Neither is linear in g_out, so neither is the derivative of anything; they act on
gradients only, and forward mode passes through them (see `cotangent`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from diffprog.errors import InvalidInput
from diffprog.rules.core.cotangent import with_cotangent
from diffprog.rules.core.floating import floating
from diffprog.rules.core.record import Case, Rule

# ---- clip: x_out = x_in,  g_in = g_out, no longer than it may be --------------------------------------------


def clip_gradient(x: Any, norm: float | Array | None = None, value: float | Array | None = None) -> Any:
    """x as it is; the gradient that comes back through it is at most so long, or so large in every entry.

    Under `vmap` every example's gradient is clipped by itself. Forward mode passes through unchanged.

    Args:
      x: pytree of floating-point arrays.
      norm: the largest Euclidean length of the whole gradient, which keeps its direction.
      value: the largest magnitude of every entry. Give one of the two.

    Returns:
      x.

    Raises:
      InvalidInput: both limits or none, or integers.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.array([3.0, 4.0])
      >>> jax.grad(lambda x: (clip_gradient(x, norm=1.0) ** 2).sum())(x)
      Array([0.6, 0.8], dtype=float32)
      >>> jax.grad(lambda x: (clip_gradient(x, value=7.0) ** 2).sum())(x)
      Array([6., 7.], dtype=float32)
    """
    if (norm is None) == (value is None):
        raise InvalidInput(
            f"norm={norm} and value={value}", "exactly one limit", "clip_gradient(x, norm=1.0) or value=0.1"
        )
    if norm is not None:
        return with_cotangent(_of_norm_at_most, _floating(x), norm)
    return with_cotangent(_of_value_at_most, _floating(x), value)


def _of_norm_at_most(g_out: Any, limit: Array) -> Any:
    length = _length(g_out)
    longer = length > limit  # False for NaN, which passes as it is
    return _scaled(g_out, jnp.where(longer, limit / jnp.where(longer, length, 1), 1))


def _of_value_at_most(g_out: Any, limit: Array) -> Any:
    return jax.tree.map(lambda g: jnp.clip(g, -limit.astype(g.dtype), limit.astype(g.dtype)), g_out)


# ---- normalize: x_out = x_in,  g_in = scale g_out / |g_out| -------------------------------------------------


def normalize_gradient(x: Any, scale: float | Array = 1.0) -> Any:
    """x as it is; the gradient that comes back through it has the Euclidean length `scale`, or is zero.

    Under `vmap` every example's gradient is normalized by itself. Forward mode passes through unchanged.

    Args:
      x: pytree of floating-point arrays; the length is that of all together.
      scale: the length.

    Returns:
      x.

    Raises:
      InvalidInput: integers.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> jax.grad(lambda x: (normalize_gradient(x) ** 2).sum())(jnp.array([30.0, 40.0])).round(3)
      Array([0.6, 0.8], dtype=float32)
    """
    return with_cotangent(_of_length, _floating(x), scale)


def _of_length(g_out: Any, scale: Array) -> Any:
    length = _length(g_out)
    return _scaled(g_out, jnp.where(length == 0, 0, scale / jnp.where(length == 0, 1, length)))


def _length(g: Any) -> Array:
    """Euclidean length of a pytree, in at least float32, without overflow and with a finite derivative at zero."""
    leaves = [leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)) for leaf in jax.tree.leaves(g)]
    peak = lax.stop_gradient(jnp.stack([jnp.abs(leaf).max(initial=0) for leaf in leaves]).max())
    unit = jnp.where((peak > 0) & jnp.isfinite(peak), peak, 1)
    square = sum((jnp.square(leaf / unit).sum() for leaf in leaves), jnp.zeros((), unit.dtype))
    return jnp.where(square == 0, 0, unit * jnp.sqrt(jnp.where(square == 0, 1, square)))


def _scaled(g: Any, factor: Array) -> Any:
    return jax.tree.map(lambda leaf: (leaf * factor).astype(leaf.dtype), g)


def _floating(tree: Any) -> Any:
    for leaf in jax.tree.leaves(tree):
        floating("a gradient's limit", x=leaf)
    return jax.tree.map(jnp.asarray, tree)


# ---- record -------------------------------------------------------------------------------------------------
# No finite difference agrees with these, and that is their purpose: they are proven against programs with the same
# gradients, and kept apart from the rules that are derivatives.


def _normal(key: Array, dtype: Any) -> tuple[Array]:
    return (jax.random.normal(key, (4, 3), dtype),)


def _changed(change: Callable[..., Any], x: Array, limit: float) -> Array:
    """The plain JAX program of a changed gradient; it refuses forward mode."""
    same = jax.custom_vjp(lambda x: x)
    same.defvjp(lambda x: (x, None), lambda _, g: (change(g, limit),))
    return same(x)


def _plain_clip(g: Array, limit: float) -> Array:
    return g * jnp.minimum(1, limit / jnp.linalg.norm(g))


OVERRIDES = (
    Rule(
        name="gradient clipping",
        function=clip_gradient,
        reference=lambda x, norm: _changed(_plain_clip, x, norm),
        forward=r"x_{out} = x_{in}",
        backward=r"g_{in} = g_{out} \min(1, c / \lVert g_{out} \rVert)",
        saved="nothing but the limit; not linear in g_out, and forward mode passes unchanged",
        kinks="at the limit, the derivative of the gradient is that of the unclipped side",
        source="Pascanu, Mikolov and Bengio 2013",
        cases=(Case("clipped", _normal, {"norm": 0.1}), Case("short enough", _normal, {"norm": 100.0})),
    ),
    Rule(
        name="gradient normalization",
        function=normalize_gradient,
        reference=partial(_changed, lambda g, scale: scale * g / jnp.linalg.norm(g), limit=1.0),
        forward=r"x_{out} = x_{in}",
        backward=r"g_{in} = g_{out} / \lVert g_{out} \rVert",
        saved="nothing; not linear in g_out, and forward mode passes unchanged",
        kinks="a zero gradient stays zero",
        source="lucid, redirected gradients",
        cases=(Case("length one", _normal),),
    ),
)
