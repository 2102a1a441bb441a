"""How a picture on white is seen in training: moved, scaled, mirrored, in slightly other colours.

Windows and colours are those of `diffprog.guide.views`, so that a tower knows the views under which it will score.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.guide import views

EXTENT = (0.75, 1.2)  # of the window, as part of the picture's side: below 1 enlarges, above 1 shrinks
COLOUR = 0.15


def seen(picture: Array, mirrors: Array, key: Array) -> Array:
    """One view of a picture.

    Args:
        picture: uint8 [S, S, 3].
        mirrors: whether it may be mirrored.
        key: of the view.

    Returns:
        float32 [S, S, 3] in [0, 1].
    """
    part, place, side, colour = jax.random.split(key, 4)
    size = picture.shape[0]
    extent = size * jax.random.uniform(part, (), minval=EXTENT[0], maxval=EXTENT[1])
    corner = jax.random.uniform(place, (2,)) * (size - extent)
    ink = 1 - picture.astype(jnp.float32) / 255  # beyond the edge a window is 0: no ink, white
    image = 1 - views.window(ink, corner, extent, size)
    image = jnp.where(mirrors & jax.random.bernoulli(side), image[:, ::-1], image)
    bright, contrast, saturation = COLOUR * jax.random.uniform(colour, (3,), minval=-1.0)
    image = views.saturated(views.contrasted(image, 1 + contrast), 1 + saturation)
    return jnp.clip(views.brightened(image, bright / 2), 0, 1)
