"""Gradients that are not the derivative, on purpose: stopped, passed straight through, reversed, clipped, normalized.

Forward, every one of these is the identity (or a function that has no useful derivative); backward it does what its
name says. Those that are linear in g_out are ordinary rules, in forward mode as well: what `grad` sees, `jvp` sees.
Clipping and normalizing are not linear; they act on gradients only, and forward mode passes through them (see
`cotangent`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from diffprog.errors import InvalidInput
from diffprog.rules.anatomy import Backward, operation
from diffprog.rules.cotangent import with_cotangent
from diffprog.rules.record import Case, Rule

# ---- stop: x_out = x_in,  g_in = 0.  Saved: nothing ---------------------------------------------------------


def stop_gradient(x: Any) -> Any:
    """A constant as far as gradients are concerned; any pytree. JAX's own, which costs nothing.

    Example:
      >>> import jax
      >>> jax.grad(lambda x: x * stop_gradient(x))(3.0)
      Array(3., dtype=float32, weak_type=True)
    """
    return lax.stop_gradient(x)


# ---- straight through: x_out = f(x_in),  g_in = g_out.  Saved: nothing --------------------------------------

_straight: Callable[..., Any] = operation(
    "straight_through",
    lambda x, function: function(x),
    Backward(
        save=lambda *_, function: (), pull=lambda _, g, function: g, push=lambda _, x_dot, function: x_dot
    ),
    extra=lambda x, function: (_straight(x, function=function), None),  # so that f passes at every order
)


def straight_through(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """`function` forward, the identity backward: a gradient for what rounds, quantizes or decides.

    Args:
      function: array to array of the same shape and dtype. Define it once: every new one compiles anew.

    Returns:
      array to array; its derivative, of any mode, is the identity's.

    Raises:
      InvalidInput: a function that changes the shape or the dtype.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> jax.value_and_grad(straight_through(jnp.round))(0.7)
      (Array(1., dtype=float32, weak_type=True), Array(1., dtype=float32, weak_type=True))
    """

    def apply(x: Array) -> Array:
        out = jax.eval_shape(function, x)
        before = (jnp.shape(x), jnp.result_type(x))
        if (out.shape, out.dtype) != before:
            raise InvalidInput(
                f"a function from {before[0]} {before[1]} to {out.shape} {out.dtype}",
                "the same shape and dtype, so that the gradient can pass unchanged",
                "casting its result: lambda x: f(x).astype(x.dtype)",
            )
        return _straight(x, function=function)

    return apply


# ---- reverse: x_out = x_in,  g_in = -scale g_out.  Saved: nothing -------------------------------------------

_reversed: Callable[..., Any] = operation(
    "reverse_gradient",
    lambda x, scale: x,
    Backward(
        save=lambda inputs, *_: inputs[1],
        pull=lambda scale, g: -scale * g,
        push=lambda scale, x_dot: -scale * x_dot,
    ),
    None,
    extra=lambda x, scale: (_reversed(x, scale), None),  # so that every order is reversed
)


def reverse_gradient(x: Array, scale: float | Array = 1.0) -> Array:
    """x as it is; its derivative, of any mode, is -`scale`: what follows descends, what precedes climbs.

    Args:
      x: any shape, any floating dtype.
      scale: how strongly; a number or a scalar array, as when it grows during training.

    Returns:
      x.

    Example:
      >>> import jax
      >>> jax.grad(lambda x: reverse_gradient(x, 0.5) ** 2)(3.0)
      Array(-3., dtype=float32)
    """
    return _reversed(_floating(x), jnp.asarray(scale, jnp.result_type(x)))


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
        return with_cotangent(_of_norm_at_most, jax.tree.map(_floating, x), norm)
    return with_cotangent(_of_value_at_most, jax.tree.map(_floating, x), value)


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
    return with_cotangent(_of_length, jax.tree.map(_floating, x), scale)


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


def _floating(x: Any) -> Array:
    if not jnp.issubdtype(jnp.result_type(x), jnp.floating):
        raise InvalidInput(
            f"an array of dtype {jnp.result_type(x)}",
            "a floating-point array: others have no gradient to change",
            "x.astype(jnp.float32)",
        )
    return jnp.asarray(x)


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
        name="stop-gradient",
        function=stop_gradient,
        reference=lax.stop_gradient,
        forward=r"x_{out} = x_{in}",
        backward=r"g_{in} = 0",
        saved="nothing",
        source="jax.lax.stop_gradient",
        cases=(Case("any shape", _normal),),
    ),
    Rule(
        name="straight-through",
        function=straight_through(jnp.round),
        reference=lambda x: x + lax.stop_gradient(jnp.round(x) - x),
        forward=r"x_{out} = f(x_{in})",
        backward=r"g_{in} = g_{out}",
        saved="nothing",
        source="Bengio, Léonard and Courville 2013",
        cases=(Case("round", _normal),),
        exact=False,  # the reference rounds a difference
    ),
    Rule(
        name="gradient reversal",
        function=reverse_gradient,
        reference=lambda x, scale=1.0: lax.stop_gradient(x + scale * x) - scale * x,
        forward=r"x_{out} = x_{in}",
        backward=r"g_{in} = -\lambda\, g_{out}",
        saved="lambda",
        source="Ganin and Lempitsky 2015",
        cases=(Case("half as strong", _normal, {"scale": 0.5}),),
        exact=False,  # the reference adds and subtracts
    ),
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
