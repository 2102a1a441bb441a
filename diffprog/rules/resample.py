"""Affine resampling of pictures, with the exact adjoint as a gather.

    x_out[o] = sum_p hat(A o + t - p) x_in[p],      hat(d) = max(0, 1 - |d_y|) max(0, 1 - |d_x|)
    g_in[p]  = sum_o hat(A o + t - p) g_out[o]

Forward, every output reads its four neighbours (bilinear; zero outside the picture). Autodiff of that scatters;
here the backward pass visits, for every input pixel p, the outputs around A^-1 (p - t) that can have read it.
How far those lie is bounded by the magnification: `reach` outputs on either side.
Saved for the backward pass: A and t (and x_in, for the gradient to A and t only).
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.rules.boundary import boundary


def affine(image: Array, matrix: Array, shift: Array, shape: tuple[int, int], zoom: float = 1.4) -> Array:
    """Resample a picture under an affine map, bilinearly, zero outside.

    Args:
      image: [H, W, C].
      matrix: [2, 2], takes output coordinates (row, column) in pixels to input coordinates.
      shift: [2], added to them.
      shape: (h, w) of the output.
      zoom: the largest magnification that `matrix` ever has (1 / its smallest singular value). The gradient
        is exact up to this magnification, and loses contributions beyond it.

    Returns:
      [h, w, C].

    Example:
      >>> import jax.numpy as jnp
      >>> image = jnp.arange(4.0).reshape(1, 4, 1)
      >>> affine(image, jnp.eye(2), jnp.array([0.0, 0.5]), (1, 3)).ravel()
      Array([0.5, 1.5, 2.5], dtype=float32)
    """
    return _affine(image, matrix, shift, shape, math.floor(zoom * math.sqrt(2)) + 1)


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _affine(image: Array, matrix: Array, shift: Array, shape: tuple[int, int], reach: int) -> Array:
    return _bilinear(image, matrix, shift, shape)


@partial(boundary, static=(3,))
def _bilinear(image: Array, matrix: Array, shift: Array, shape: tuple[int, int]) -> Array:
    y, x = _mapped(matrix, shift, shape)
    top, left = jnp.floor(y), jnp.floor(x)
    pixels, width = _framed(image)
    total = jnp.zeros((*shape, image.shape[-1]), image.dtype)
    for dy in (0, 1):
        for dx in (0, 1):
            weight = _hat(y - (top + dy)) * _hat(x - (left + dx))
            total += weight[..., None] * _read(pixels, width, top + dy, left + dx, image.shape)
    return total


def _forward(
    image: Array, matrix: Array, shift: Array, shape: tuple[int, int], reach: int
) -> tuple[Array, tuple[Array, Array, Array]]:
    return _bilinear(image, matrix, shift, shape), (image, matrix, shift)


def _backward(
    shape: tuple[int, int], reach: int, saved: tuple[Array, Array, Array], g_out: Array
) -> tuple[Array, Array, Array]:
    image, matrix, shift = saved
    _, pull = jax.vjp(lambda matrix, shift: _bilinear(image, matrix, shift, shape), matrix, shift)
    return (_adjoint(g_out, matrix, shift, image.shape[:2], reach), *pull(g_out))


@partial(boundary, static=(3, 4))
def _adjoint(g_out: Array, matrix: Array, shift: Array, shape: tuple[int, ...], reach: int) -> Array:
    (a, b), (c, d) = matrix
    inverse = jnp.array([[d, -b], [-c, a]]) / (a * d - b * c)
    centre_y, centre_x = _mapped(inverse, -inverse @ shift, shape)
    top, left = jnp.floor(centre_y) - (reach - 1), jnp.floor(centre_x) - (reach - 1)
    # How far output (top, left) lands from this pixel; its neighbours land one column of the matrix further on.
    off_y = a * (top - centre_y) + b * (left - centre_x)
    off_x = c * (top - centre_y) + d * (left - centre_x)
    pixels, width = _framed(g_out)
    total = jnp.zeros((*shape, g_out.shape[-1]), g_out.dtype)
    for i in range(2 * reach):
        for j in range(2 * reach):
            weight = _hat(off_y + a * i + b * j) * _hat(off_x + c * i + d * j)
            total += weight[..., None] * _read(pixels, width, top + i, left + j, g_out.shape)
    return total


_affine.defvjp(_forward, _backward)


def _mapped(matrix: Array, shift: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Where every pixel of a grid lands: two [h, w]."""
    rows = jnp.arange(shape[0], dtype=matrix.dtype)[:, None]
    columns = jnp.arange(shape[1], dtype=matrix.dtype)[None, :]
    return (
        matrix[0, 0] * rows + matrix[0, 1] * columns + shift[0],
        matrix[1, 0] * rows + matrix[1, 1] * columns + shift[1],
    )


def _hat(distance: Array) -> Array:
    return jnp.maximum(0, 1 - jnp.abs(distance))


def _framed(image: Array) -> tuple[Array, int]:
    """The pixels in one row, with a frame of zeros that everything outside is read from."""
    framed = jnp.pad(image, ((1, 1), (1, 1), (0, 0)))
    return framed.reshape(-1, image.shape[-1]), framed.shape[1]


def _read(pixels: Array, width: int, y: Array, x: Array, shape: tuple[int, ...]) -> Array:
    row = jnp.clip(y, -1, shape[0]).astype(jnp.int32) + 1
    column = jnp.clip(x, -1, shape[1]).astype(jnp.int32) + 1
    return pixels.at[row * width + column].get(mode="promise_in_bounds")
