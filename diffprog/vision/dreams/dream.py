"""Dream a photograph: let a network exaggerate what it sees in it.

    argmax_x  y(x)   from a photograph on, not from noise, and without going far

`y` is any objective; with the mean square of a layer (`layer("fire7")`) whatever the network sees a little of becomes
more. The photograph may have any size: the network sees it in tiles.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.objectives import Objective
from diffprog.optimize.progress import Progress, bar, silent
from diffprog.vision.dreams.ascent import Ascent, ascend
from diffprog.vision.dreams.dreamt import Dream
from diffprog.vision.dreams.recipe import DEFAULT, DreamRecipe
from diffprog.vision.dreams.scales import resized
from diffprog.vision.dreams.tiles import Tiles
from diffprog.vision.photo import Announce, Photo, as_photo, print_note
from diffprog.vision.scoring import Model

Source = Photo | np.ndarray | str | os.PathLike[str]


def dream(
    model: Model,
    photo: Source,
    objective: Objective,
    *,
    recipe: DreamRecipe = DEFAULT,
    octaves: int | None = None,
    steps: int | None = None,
    step_size: float | None = None,
    size: int | None = None,
    key: Array | int | None = None,
    progress: Progress | bool | None = None,
    announce: Announce = print_note,
) -> Dream:
    """A photograph with more of what excites an objective.

    Args:
      model: any JAX function of pictures [B, H, W, 3], RGB in [0, 1].
      photo: a path, a `Photo`, or floating-point [H, W, 3] in [0, 1], of any size.
      objective: what to exaggerate: `layer("fire7")`, a channel, a sum of them, `guided(...)`. It scores every tile.
      recipe: how, see `DreamRecipe`.
      octaves: in place of the recipe's.
      steps: in place of the recipe's, at every octave.
      step_size: in place of the recipe's.
      size: the longer side to shrink the photograph to; left out, its own. Never enlarged.
      key: draws how the tiles lie; a number or a PRNG key, 0 when left out. Same key, same picture.
      progress: True for a bar with the score and the seconds left, counted in tiles; or a progress of your own.
      announce: is told, once, what was changed in the photograph and where there was nothing to exaggerate.

    Returns:
      The dream: a picture of the photograph's size. Ctrl-C ends it early with what there is.

    Raises:
      InvalidInput: a photograph, objective or recipe that cannot be used; an objective whose gradient is 0 everywhere.
      Unreachable, BadFile: a file that is not there or is no picture.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> from diffprog.graph.objectives import channel
      >>> ramp = np.linspace(0.2, 0.8, 30, dtype=np.float32).reshape(1, 30, 1) * np.ones((20, 1, 3), np.float32)
      >>> contrast = lambda images: jnp.var(images, axis=(1, 2, 3))[:, None]
      >>> dreamt = dream(contrast, ramp, channel("output", 0), recipe=DreamRecipe(tile=64))
      >>> dreamt.image.shape, bool(dreamt.image.std() > ramp.std())
      ((20, 30, 3), True)
    """
    changes = {"octaves": octaves, "steps": steps, "step_size": step_size}
    recipe = recipe.replace(**{name: value for name, value in changes.items() if value is not None})
    check_objective_kind(objective)
    taken = at_size(as_photo(photo, announce), size, announce)
    tiles, key = Tiles(model, objective, recipe), as_key(key)
    report = bar("dreaming", float) if progress is True else (progress or silent)
    with report(work(tiles, taken.pixels.shape)) as told:
        found = ascend(tiles, taken.pixels, key, told)
    notes = taken.notes + judged(found, tiles, taken.pixels.shape, announce)
    return Dream(
        image=found.image, scores=np.asarray(found.scores, np.float32), recipe=recipe, objective=objective,
        key=key_words(key), model=getattr(model, "name", None), photo=taken.name, notes=notes,
        stopped=found.stopped,
    )  # fmt: skip


def work(tiles: Tiles, shape: Sequence[int]) -> int:
    """How many tiles a dream of this height and width will see."""
    octaves = tiles.recipe.shapes((shape[0], shape[1]), tiles.tile)
    return tiles.recipe.steps * sum(tiles.count(octave) for octave in octaves)


def at_size(photo: Photo, size: int | None, announce: Announce) -> Photo:
    """The photograph with its longer side shrunk to `size`, which is said.

    Raises:
      InvalidInput: a size below one.
    """
    if size is None:
        return photo
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InvalidInput(
            f"size={size!r}", "the longer side in pixels, a whole number of at least 1", "size=1024"
        )
    height, width = photo.pixels.shape[:2]
    if max(height, width) <= size:
        return photo
    scale = size / max(height, width)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    note = f"{width} x {height} pixels, shrunk to {shape[1]} x {shape[0]}"
    announce(f"{photo.name or 'the photograph'}: {note}")
    return Photo(resized(photo.pixels, shape), photo.name, (*photo.notes, note))


def judged(found: Ascent, tiles: Tiles, shape: Sequence[int], announce: Announce) -> tuple[str, ...]:
    """What is to be said about octaves that gave no gradient.

    Raises:
      InvalidInput: none gave any.
    """
    if not found.silent:
        return ()
    count = len(tiles.recipe.shapes((shape[0], shape[1]), tiles.tile))
    if len(found.silent) == count and found.stopped == "finished":
        raise InvalidInput(
            f"a gradient of exactly 0 everywhere, for {tiles.objective!r} at all {count} octaves",
            "an objective that something in the photograph excites, because what is off passes no gradient back",
            "a whole layer, another channel, more octaves, or visualize(model, objective) to see what it looks for",
        )
    listed = ", ".join(str(octave + 1) for octave in found.silent)
    note = f"the gradient was 0 everywhere at octave {listed} of {count}, where nothing was changed"
    announce(note)
    return (note,)


def as_key(key: Array | int | None) -> Array:
    """One PRNG key from whatever stands for one.

    Raises:
      InvalidInput: several keys, or something that is none.
    """
    if key is None or (isinstance(key, int) and not isinstance(key, bool)):
        return jax.random.key(key or 0)
    if isinstance(key, jax.Array):
        typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        one = key if typed else jax.random.wrap_key_data(key)
        if one.ndim == 0:
            return one
    raise InvalidInput(f"key={key!r}", "one PRNG key or a whole number", "key=0, or jax.random.key(0)")


def key_words(key: Array) -> tuple[int, ...]:
    """The numbers that a key is made of."""
    return tuple(int(word) for word in np.asarray(jax.random.key_data(key)).ravel())


def check_objective_kind(objective: Any) -> None:
    """Refuse what is no objective.

    Raises:
      InvalidInput: a string, a function, several objectives.
    """
    if isinstance(objective, Objective):
        return
    remedy = (
        f"layer({objective!r})" if isinstance(objective, str) else 'layer("fire7"), or a sum of objectives'
    )
    raise InvalidInput(f"the objective {objective!r}", "an objective, which scores activations", remedy)
