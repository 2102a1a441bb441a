"""Affine resampling of pictures, with the exact adjoint as a gather.

    x_out[o] = sum_p hat(A o + t - p) x_in[p],      hat(d) = max(0, 1 - |d_y|) max(0, 1 - |d_x|)
    g_in[p]  = sum_o hat(A o + t - p) g_out[o]
    g_t      = sum_o s[o] g_out[o],   g_A = sum_o s[o] g_out[o] o^T,   s = the slope of x_in at A o + t

Forward, every output reads its four neighbours (bilinear; zero outside the picture). Autodiff of that scatters;
here the backward pass visits, for every input pixel p, the outputs around A^-1 (p - t) that can have read it.
How far those lie is bounded by the magnification: `reach` outputs on either side.

A bilinear picture has kinks along its rows and columns of pixels. There the slope is the one towards the next pixel,
as in `jax.scipy.ndimage.map_coordinates` and PyTorch's grid_sample.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules import choice
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.axes import whole
from diffprog.rules.core.boundary import boundary
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.sampling.places import framed, hat, mapped, places, read

Shape = tuple[int, int]


def affine(image: Array, matrix: Array, shift: Array, shape: Shape, zoom: float = 1.4) -> Array:
    """Resample a picture under an affine map, bilinearly, zero outside.

    Args:
      image: [H, W, C], any floating dtype; coordinates and sums are taken in at least float32.
      matrix: [2, 2], takes output coordinates (row, column) in pixels to input coordinates.
      shift: [2], added to them.
      shape: (h, w) of the output.
      zoom: the largest magnification that `matrix` ever has (1 / its smallest singular value). The gradient to the
        image is exact up to this magnification, and loses contributions beyond it. A known matrix is
    checked; inside `jit` its numbers are not known.

    Returns:
      [h, w, C], of the image's dtype.

    Raises:
      InvalidInput: shapes that do not fit, or a known matrix that magnifies more than `zoom`.

    Example:
      >>> import jax.numpy as jnp
      >>> image = jnp.arange(4.0).reshape(1, 4, 1)
      >>> affine(image, jnp.eye(2), jnp.array([0.0, 0.5]), (1, 3)).ravel()
      Array([0.5, 1.5, 2.5], dtype=float32)
    """
    image, matrix, shift = jnp.asarray(image), jnp.asarray(matrix), jnp.asarray(shift)
    _check(image, matrix, shift, whole("affine", "shape", shape), zoom)
    height, width = map(int, shape)
    if not choice.applies(image, matrix, shift):
        return reference(image, matrix, shift, (height, width))
    place = jnp.concatenate([matrix, shift[:, None].astype(matrix.dtype)], axis=1)  # [A | t]
    place = place.astype(jnp.promote_types(place.dtype, jnp.float32))
    reach = math.floor(zoom * math.sqrt(2)) + 1
    return _affine(image, place, size=image.shape[:2], shape=(height, width), reach=reach)


def _check(image: Array, matrix: Array, shift: Array, shape: tuple[int, ...], zoom: float) -> None:
    if image.ndim != 3 or matrix.shape != (2, 2) or shift.shape != (2,):
        raise InvalidInput(
            f"an image {image.shape}, a matrix {matrix.shape} and a shift {shift.shape}",
            "one image [H, W, C], a matrix [2, 2] and a shift [2]",
            "jax.vmap over the axes of a batch",
        )
    if len(shape) != 2 or min(*shape, *image.shape[:2]) < 1 or not zoom > 0:
        raise InvalidInput(
            f"an output of shape {tuple(shape)} with zoom {zoom} from an image {image.shape}",
            "a height and a width of at least one pixel on both sides, and a positive zoom",
            "shape=image.shape[:2]",
        )
    magnified = 0.0 if isinstance(matrix, jax.core.Tracer) else _magnification(matrix)
    if magnified > zoom * (1 + 1e-6):
        raise InvalidInput(
            f"a matrix that magnifies {magnified:.3g} times, with zoom {zoom}",
            "zoom at least as large as the magnification: beyond it the gradient to the image is incomplete",
            f"zoom={magnified * 1.01:.3g}" if magnified < 1000 else "a matrix that is not singular",
        )


def _magnification(matrix: Array) -> float:
    """1 / the smallest singular value of a matrix whose numbers are known."""
    least = float(np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)[-1])
    return 1 / least if least else math.inf


# ---- forward ------------------------------------------------------------------------------------------------


@partial(boundary, static=(2,))
def _bilinear(image: Array, place: Array, shape: Shape) -> Array:
    corners, down, right = _neighbours(image, place, shape)
    total = sum(
        ((down if dy else 1 - down) * (right if dx else 1 - right))[..., None] * corners[dy][dx]
        for dy in (0, 1)
        for dx in (0, 1)
    )
    return total.astype(image.dtype)  # type: ignore[union-attr]


def _neighbours(image: Array, place: Array, shape: Shape) -> tuple[list[list[Array]], Array, Array]:
    """The four pixels around every output's place, and how far down and right of the first it lies, in [0, 1)."""
    y, x = places(place, shape)
    top, left = jnp.floor(y), jnp.floor(x)
    pixels, width = framed(image)
    corners = [[read(pixels, width, top + dy, left + dx, image.shape) for dx in (0, 1)] for dy in (0, 1)]
    return corners, y - top, x - left


# ---- backward to the image: g_in[p] = sum_o hat(A o + t - p) g_out[o].  Saved: A and t ------------------------


@partial(boundary, static=(2, 3))
def _adjoint(g_out: Array, place: Array, size: Shape, reach: int) -> Array:
    (a, b), (c, d) = place[:, :2]
    inverse = jnp.array([[d, -b], [-c, a]]) / (a * d - b * c)
    centre_y, centre_x = places(jnp.column_stack([inverse, -inverse @ place[:, 2]]), size)
    top, left = jnp.floor(centre_y) - (reach - 1), jnp.floor(centre_x) - (reach - 1)
    # How far output (top, left) lands from this pixel; its neighbours land one column of the matrix further on.
    off_y = a * (top - centre_y) + b * (left - centre_x)
    off_x = c * (top - centre_y) + d * (left - centre_x)
    pixels, width = framed(g_out)
    total = jnp.zeros((*size, g_out.shape[-1]), pixels.dtype)
    for i in range(2 * reach):
        for j in range(2 * reach):
            weight = hat(off_y + a * i + b * j) * hat(off_x + c * i + d * j)
            total += weight[..., None] * read(pixels, width, top + i, left + j, g_out.shape)
    return total.astype(g_out.dtype)


# ---- backward to the map: g_[A|t] = sum_o s[o] g_out[o] (o, 1)^T.  Saved: x_in, A and t -----------------------


@partial(boundary, static=(2,))
def _slopes(image: Array, place: Array, shape: Shape) -> tuple[Array, Array]:
    """By how much every output changes as its place moves down, and right: two [h, w, C]."""
    ((here, east), (south, across)), down, right = _neighbours(image, place, shape)
    down, right = down[..., None], right[..., None]
    return (
        (1 - right) * (south - here) + right * (across - east),
        (1 - down) * (east - here) + down * (across - south),
    )


def _pull_place(saved: tuple[Array, Array], g_out: Array, shape: Shape, **_: Any) -> Array:
    rows, columns = (jnp.arange(n, dtype=saved[1].dtype) for n in shape)
    along = []
    for slope in _slopes(*saved, shape):
        g = (slope * g_out).sum(-1)  # (h, w, C) -> (h, w): the gradient to every output's place
        along.append(jnp.stack([g.sum(1) @ rows, g.sum(0) @ columns, g.sum()]))
    return jnp.stack(along).astype(saved[1].dtype)  # [2, 3]


def _push_place(saved: tuple[Array, Array], place_dot: Array, shape: Shape, **_: Any) -> Array:
    moved = mapped(place_dot, shape)
    down, right = (slope * step[..., None] for slope, step in zip(_slopes(*saved, shape), moved, strict=True))
    return (down + right).astype(saved[0].dtype)


_affine = operation(
    "affine",
    lambda image, place, size, shape, reach: _bilinear(image, place, shape),
    Backward(
        save=lambda inputs, *_, **static: inputs[1],
        pull=lambda place, g_out, size, shape, reach: _adjoint(g_out, place, size, reach),
        push=lambda place, x_dot, size, shape, reach: _bilinear(x_dot, place, shape),
    ),
    Backward(save=lambda inputs, *_, **static: inputs, pull=_pull_place, push=_push_place),
)


# ---- record -------------------------------------------------------------------------------------------------


def reference(image: Array, matrix: Array, shift: Array, shape: Shape, zoom: float = 1.4) -> Array:
    """The plain JAX program of the same values."""
    wide = jnp.promote_types(matrix.dtype, jnp.float32)
    grid = jnp.stack(jnp.meshgrid(*(jnp.arange(n, dtype=wide) for n in shape), indexing="ij"))
    places = jnp.einsum("ij,jhw->ihw", matrix.astype(wide), grid) + shift.astype(wide)[:, None, None]
    sample = partial(jax.scipy.ndimage.map_coordinates, coordinates=list(places), order=1)
    out = jax.vmap(sample, in_axes=-1, out_axes=-1)(image.astype(jnp.promote_types(image.dtype, jnp.float32)))
    return out.astype(image.dtype)


def _turned(factor: float, degrees: float, *size: int) -> Any:
    """A picture, and a turn and magnification about a place that puts no output on a row or column of pixels."""

    def make(key: Array, dtype: Any) -> tuple[Array, Array, Array]:
        cosine, sine = (f(math.radians(degrees)) / factor for f in (math.cos, math.sin))
        matrix = jnp.asarray([[cosine, sine], [-sine, cosine]], dtype)
        return jax.random.normal(key, (*size, 2), dtype), matrix, jnp.asarray([0.3137, -0.2718], dtype)

    return make


RULES = (
    Rule(
        name="affine resampling",
        function=affine,
        reference=reference,
        forward=r"x_{out}[o] = \sum_p \wedge(A o + t - p)\, x_{in}[p]",
        backward=r"g_{in}[p] = \sum_o \wedge(A o + t - p)\, g_{out}[o],\quad "
        r"g_t = \sum_o s[o]\, g_{out}[o],\quad g_A = \sum_o s[o]\, g_{out}[o]\, o^T",
        saved="A and t, and for their own gradient x_in. Coordinates and sums are in at least float32. g_in is exact "
        "up to the magnification `zoom`, 1.4 by default; beyond, incomplete: refused where A is known, unseen in jit",
        kinks="on a row or column of pixels, the slope towards the next pixel, as map_coordinates",
        source="jax.scipy.ndimage.map_coordinates, order 1, zero outside",
        differentiable=(0, 1, 2),
        cases=(
            Case("shift by less than a pixel", _turned(1.0, 0.0, 5, 6), {"shape": (5, 6)}),
            Case("turn", _turned(1.0, 23.0, 6, 5), {"shape": (5, 4)}),
            Case("turn and magnify", _turned(1.3, -40.0, 4, 5), {"shape": (6, 7)}),
            Case("make smaller", _turned(0.61, 11.0, 7, 6), {"shape": (4, 5)}),
        ),
        exact=False,  # the weights are multiplied in another order
        orders=2,
    ),
)
