"""Where the pixels of a grid land under an affine map, and what a picture holds there.

place(o) = A o + t,   weight of pixel p = hat(place - p),   zero outside the picture
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from diffprog.rules.core.boundary import boundary


def mapped(place: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Where every pixel of a grid lands under [A | t]: two [h, w]."""
    rows = jnp.arange(shape[0], dtype=place.dtype)[:, None]
    columns = jnp.arange(shape[1], dtype=place.dtype)[None, :]
    return (
        place[0, 0] * rows + place[0, 1] * columns + place[0, 2],
        place[1, 0] * rows + place[1, 1] * columns + place[1, 2],
    )


# Materialised: computed once for the pixel that is read and once for its weight, a place next to a whole number rounds
# to either side of it, and the weight meets the wrong pixel (one output in 50 000, seen at 224 x 224 in float32).
places = boundary(mapped, static=(1,))


def hat(distance: Array) -> Array:
    """The weight of a pixel at this distance along one axis."""
    return jnp.maximum(0, 1 - jnp.abs(distance))


def framed(image: Array) -> tuple[Array, int]:
    """The pixels in one row, with a frame of zeros that everything outside is read from; at least float32."""
    framed = jnp.pad(image, ((1, 1), (1, 1), (0, 0)))
    return framed.reshape(-1, image.shape[-1]).astype(
        jnp.promote_types(image.dtype, jnp.float32)
    ), framed.shape[1]


def read(pixels: Array, width: int, y: Array, x: Array, shape: tuple[int, ...]) -> Array:
    """The pixels at whole places (y, x) of a framed picture of this shape; zero outside."""
    row = jnp.clip(y, -1, shape[0]).astype(jnp.int32) + 1
    column = jnp.clip(x, -1, shape[1]).astype(jnp.int32) + 1
    return pixels.at[row * width + column].get(mode="promise_in_bounds")
