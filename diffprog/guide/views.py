"""Ways to see a picture: windows, shifts, colours, holes; each of a fixed shape, keyed, and with a gradient.

A window of any place and size is a product with a matrix of weights on either side
(`jax.image.scale_and_translate`), so programs compile once where cropping compiles anew for every size, and pictures
of 64 pixels are seen by a network of 224 without a picture between.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog import rules

# Red, green and blue to brightness and two colour axes (YIQ); turning the two is a change of hue.
TO_YIQ = np.array(
    [[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32
)  # NumPy: an import must not start a backend


def window(image: Array, corner: Array, extent: Array | float, size: int, method: str = "linear") -> Array:
    """A window of a picture, resampled to size x size, black beyond the picture's edge.

    Args:
      image: [H, W, C].
      corner: (row, column) of the window's first edge, in pixels; may be traced.
      extent: its height and width, in pixels; may be traced.
      size: of the result.
      method: "linear" or "cubic", both antialiased where the window shrinks, or "nearest".

    Returns:
      [size, size, C].
    """
    corner, extent = (jnp.broadcast_to(jnp.asarray(x, jnp.float32), (2,)) for x in (corner, extent))
    if method == "nearest":
        rows, columns = (_nearest(corner[i], extent[i], size, image.shape[i]) for i in (0, 1))
        return jnp.einsum("sh,hwc,tw->stc", rows, image, columns)
    scale = size / extent
    shape = (size, size, image.shape[-1])
    return jax.image.scale_and_translate(image, shape, (0, 1), scale, -corner * scale, method)


def whole(images: Array, size: int) -> Array:
    """Whole pictures [B, H, W, C] at another size, smoothly: how a picture is seen that is scored as it is."""
    if images.shape[1:3] == (size, size):
        return images
    return rules.resize(images, (images.shape[0], size, size, images.shape[-1]), "bicubic").clip(0, 1)


def crop(image: Array, key: Array, part: Array | float, size: int, method: str = "linear") -> Array:
    """A square window of a random place; its side is `part` of the picture's shorter side."""
    height, width = image.shape[:2]
    extent = part * min(height, width)
    room = jnp.array([height, width]) - extent
    return window(image, jax.random.uniform(key, (2,)) * jnp.maximum(room, 0), extent, size, method)


def warp(image: Array, matrix: Array) -> Array:
    """A picture seen through a projective map from output to input, both centred and from -1 to 1; black outside.

    Args:
      image: [H, W, C].
      matrix: [3, 3], of (row, column, 1).
    """
    height, width = image.shape[:2]
    rows, columns = jnp.meshgrid(jnp.linspace(-1, 1, height), jnp.linspace(-1, 1, width), indexing="ij")
    places = jnp.einsum("ij,jhw->ihw", matrix, jnp.stack([rows, columns, jnp.ones_like(rows)]))
    at = (places[:2] / places[2] + 1) / 2 * jnp.array([height - 1, width - 1])[:, None, None]

    def sample(channel: Array) -> Array:
        return jax.scipy.ndimage.map_coordinates(channel, [at[0], at[1]], order=1)

    return jax.vmap(sample, -1, -1)(image)


def affine_map(degrees: Array, shift: Array, shear: Array) -> Array:
    """The matrix of `warp` for a turn, a shift as part of the picture's size, and a shear in degrees."""
    angle, lean = jnp.deg2rad(degrees), jnp.deg2rad(shear)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.array([[cosine, -sine], [sine, cosine]]) @ jnp.array([[1.0, 0.0], [jnp.tan(lean), 1.0]])
    return jnp.eye(3).at[:2, :2].set(turn).at[:2, 2].set(2 * shift)


def perspective_map(corners: Array) -> Array:
    """The matrix of `warp` that takes the square's corners to these: [4, 2], in the order of `CORNERS`."""
    zero, one = jnp.zeros(3), jnp.ones(1)
    rows = []
    for source, (u, v) in zip(CORNERS, corners, strict=True):
        place = jnp.concatenate([jnp.asarray(source), one])
        rows.append(jnp.concatenate([place, zero, -u * place[:2]]))
        rows.append(jnp.concatenate([zero, place, -v * place[:2]]))
    solved = jnp.linalg.solve(jnp.stack(rows), corners.ravel())
    return jnp.append(solved, 1.0).reshape(3, 3)


CORNERS = ((-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0))


def brightened(image: Array, amount: Array) -> Array:
    """Brighter by an amount."""
    return image + amount


def saturated(image: Array, factor: Array) -> Array:
    """Distance from grey (the mean of the channels) times a factor."""
    grey = image.mean(-1, keepdims=True)
    return grey + factor * (image - grey)


def contrasted(image: Array, factor: Array) -> Array:
    """Distance from the picture's mean times a factor."""
    mean = image.mean()
    return mean + factor * (image - mean)


def hued(image: Array, turns: Array) -> Array:
    """Hues turned by a part of the circle, brightness kept."""
    angle = 2 * math.pi * turns
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.eye(3).at[1:, 1:].set(jnp.array([[cosine, -sine], [sine, cosine]]))
    return image @ (jnp.linalg.inv(TO_YIQ) @ turn @ TO_YIQ).T


def without(image: Array, corner: Array, extent: Array) -> Array:
    """Black in a window: corner and extent in pixels, both (row, column)."""
    inside = jnp.ones(image.shape[:2], bool)
    for axis in (0, 1):
        places = jnp.arange(image.shape[axis])
        within = (places >= corner[axis]) & (places < corner[axis] + extent[axis])
        inside &= jnp.expand_dims(within, 1 - axis)
    return jnp.where(inside[..., None], 0.0, image)


def _nearest(corner: Array, extent: Array, size: int, pixels: int) -> Array:
    """[size, pixels]: 1 where an output reads a pixel, which is where its first edge lies, as in PyTorch."""
    places = jnp.floor(corner + jnp.arange(size) * extent / size)
    return jax.nn.one_hot(jnp.clip(places, 0, pixels - 1).astype(jnp.int32), pixels)
