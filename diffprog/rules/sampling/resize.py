"""Resizing pictures, with the transposed weights as backward rule.

    x_out = A_h x_in A_w^T (every channel)            g_in = A_h^T g_out A_w

Linear interpolation of any kind multiplies every resized axis by a constant matrix of weights, and its transpose
multiplies by the transposed matrices: as cheap as the forward pass and, since the matrices are constants of the
program, up to twice as fast as JAX's own, which computes them anew and transposes inside. Nearest-neighbour resizing
copies pixels; its transpose sums every run of copies, where autodiff scatters. Nothing is saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules import choice
from diffprog.rules.core.axes import whole
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.sampling.interpolated import interpolated
from diffprog.rules.sampling.nearest import nearest

METHODS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
_SYNONYMS = {"linear": "bilinear", "trilinear": "bilinear", "triangle": "bilinear", "cubic": "bicubic"}


def resize(images: Array, shape: Sequence[int], method: str = "bilinear", antialias: bool = True) -> Array:
    """Resize pictures; the values of `jax.image.resize`, with a fast gradient.

    Args:
      images: any shape, any floating dtype, in which the sums are taken as well.
      shape: of the result, one entry for every axis; axes that keep their size are left alone.
      method: "nearest", "bilinear", "bicubic", "lanczos3" or "lanczos5".
      antialias: widen the weights when an axis shrinks, so that every pixel counts.

    Returns:
      `shape`, of the pictures' dtype.

    Raises:
      InvalidInput: an unknown method, or a shape that does not fit.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.array([0.0, 4.0]).reshape(1, 2, 1)
      >>> resize(x, (1, 4, 1)).ravel()
      Array([0., 1., 3., 4.], dtype=float32)
      >>> jax.grad(lambda x: resize(x, (1, 4, 1)).sum())(x).ravel()
      Array([2., 2.], dtype=float32)
    """
    method = _SYNONYMS.get(method, method)
    shape = whole("resize", "shape", shape)
    _check(images, shape, method)
    resized = [axis for axis in range(images.ndim) if images.shape[axis] != shape[axis]]
    if not choice.applies(jnp.asarray(images)):
        return jax.image.resize(images, shape, method, antialias=antialias)
    if not resized:
        return images
    if method != "nearest":
        return interpolated(images, before=images.shape, shape=shape, method=method, antialias=antialias)
    for axis in resized:
        images = nearest(images, axis=axis, before=images.shape[axis], after=shape[axis])
    return images


def _check(images: Array, shape: tuple[int, ...], method: str) -> None:
    if method not in METHODS:
        raise InvalidInput(
            f"the method {method!r}", "a method of interpolation that is known here", " or ".join(METHODS)
        )
    before = jnp.shape(images)
    if len(shape) != len(before) or any(
        a != b and min(a, b) < 1 for a, b in zip(before, shape, strict=False)
    ):
        raise InvalidInput(
            f"pictures of shape {before} to resize to {shape}",
            "one positive size for every axis, batch and channels included",
            "shape=(images.shape[0], height, width, images.shape[-1])",
        )


# ---- record -------------------------------------------------------------------------------------------------


def reference(images: Array, shape: Sequence[int], method: str = "bilinear", antialias: bool = True) -> Array:
    """The plain JAX program of the same values."""
    return jax.image.resize(images, shape, method, antialias=antialias)


def _normal(*shape: int) -> Any:
    return lambda key, dtype: (jax.random.normal(key, shape, dtype),)


RULES = (
    Rule(
        name="resize",
        function=resize,
        reference=reference,
        forward=r"x_{out} = A_h\, x_{in}\, A_w^T",
        backward=r"g_{in} = A_h^T\, g_{out}\, A_w",
        saved="nothing: the map is linear and its weights are constants. Sums are taken in the input's dtype",
        source="jax.image.resize; cubic: Keys 1981, A = -0.5",
        cases=(
            Case("bilinear, larger", _normal(2, 3, 4, 2), {"shape": (2, 7, 5, 2)}),
            Case("bilinear, smaller, antialiased", _normal(1, 7, 6, 2), {"shape": (1, 3, 4, 2)}),
            Case("bilinear, smaller", _normal(1, 7, 6, 2), {"shape": (1, 3, 4, 2), "antialias": False}),
            Case("bicubic", _normal(1, 5, 4, 2), {"shape": (1, 3, 7, 2), "method": "bicubic"}),
            Case("lanczos3, one axis", _normal(1, 5, 2), {"shape": (1, 8, 2), "method": "lanczos3"}),
        ),
        exact=False,  # compiled, the constants are folded and a sum may be taken in another order
    ),
    Rule(
        name="nearest-neighbour resize",
        function=resize,
        reference=reference,
        forward=r"x_{out}[p] = x_{in}[i(p)]",
        backward=r"g_{in}[i] = \sum_{p:\; i(p) = i} g_{out}[p]",
        saved="nothing: which pixel is copied where is a constant",
        source="jax.image.resize",
        cases=(
            Case("twice as large", _normal(2, 3, 2, 2), {"shape": (2, 6, 4, 2), "method": "nearest"}),
            Case("larger", _normal(1, 3, 4, 2), {"shape": (1, 7, 5, 2), "method": "nearest"}),
            Case("smaller", _normal(1, 7, 5, 2), {"shape": (1, 3, 4, 2), "method": "nearest"}),
        ),
    ),
)
