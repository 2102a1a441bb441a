"""Draw a saved picture again, from what it says of itself."""

from __future__ import annotations

import os

import jax
import jax.numpy as jnp

from diffprog.optimize.progress import Progress
from diffprog.vision.drawing import Drawing, read_request
from diffprog.vision.scoring import Model
from diffprog.vision.visualize import visualize


def redraw(path: str | os.PathLike[str], model: Model, progress: Progress | bool | None = None) -> Drawing:
    """The same picture once more; bit for bit, on the same machine with the same versions.

    Args:
      path: a PNG that `Drawing.save` wrote.
      model: what it was drawn with (`read_request(path).model` is its name).
      progress: as in `visualize`.

    Raises:
      BadFile: not a PNG that says how it was drawn.
    """
    wish = read_request(path)
    keys = jax.random.wrap_key_data(jnp.asarray(wish.keys, jnp.uint32))
    return visualize(
        model, wish.objectives, recipe=wish.recipe, n=len(keys), key=keys, title=wish.title, progress=progress
    )
