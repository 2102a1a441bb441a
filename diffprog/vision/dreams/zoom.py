"""A dream that goes on: every frame is the centre of the one before, enlarged a little and dreamt again."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.objectives import Objective
from diffprog.optimize.progress import Progress, Told, bar, silent
from diffprog.vision.dreams.ascent import ascend
from diffprog.vision.dreams.dream import (
    Source,
    as_key,
    at_size,
    check_objective_kind,
    judged,
    key_words,
    work,
)
from diffprog.vision.dreams.dreamt import Dream, Film
from diffprog.vision.dreams.recipe import DEFAULT, DreamRecipe
from diffprog.vision.dreams.scales import resized
from diffprog.vision.dreams.tiles import Tiles
from diffprog.vision.photo import Announce, as_photo, print_note
from diffprog.vision.picture_files import to_bytes
from diffprog.vision.scoring import Model

LARGEST_FILM = 2 << 30  # bytes of all frames together, kept in memory until they are written
SHRINK = 0.05


def zoom(
    model: Model,
    photo: Source,
    objective: Objective,
    frames: int,
    *,
    recipe: DreamRecipe = DEFAULT,
    later_steps: int | None = None,
    shrink: float = SHRINK,
    size: int | None = None,
    key: Array | int | None = None,
    progress: Progress | bool | None = None,
    announce: Announce = print_note,
) -> Film:
    """A film into a dream.

    Args:
      model, photo, objective, recipe, size, key, progress, announce: as `dream` takes them.
      frames: how many.
      later_steps: steps at every octave from the second frame on; left out, the recipe's.
      shrink: how much of the height and width every frame leaves out of the one before; the notebook's is 0.05.

    Returns:
      The frames; Ctrl-C ends the film with those that are whole.

    Raises:
      InvalidInput: as `dream`; fewer than one frame, a `shrink` outside 0 to 0.5, or frames that take more than 2 GiB.
      Unreachable, BadFile: a file that is not there or is no picture.
    """
    _check_request(frames, shrink)
    check_objective_kind(objective)
    taken = at_size(as_photo(photo, announce), size, announce)
    _check_memory(frames, taken.pixels.shape)
    key = as_key(key)
    first = Tiles(model, objective, recipe)
    later = first.with_recipe(recipe.replace(steps=later_steps or recipe.steps))
    each = [work(first, taken.pixels.shape), work(later, taken.pixels.shape)]
    report = bar("dreaming", float) if progress is True else (progress or silent)
    film, image, notes, stopped = [], taken.pixels, taken.notes, "finished"
    with report(each[0] + (frames - 1) * each[1]) as told:
        for number in range(frames):
            tiles, before = (first, 0) if number == 0 else (later, each[0] + (number - 1) * each[1])
            found = ascend(tiles, image, jax.random.fold_in(key, number), _after(before, told))
            stopped = found.stopped
            if number == 0:
                notes += judged(found, tiles, image.shape, announce)
            if number == 0 or stopped == "finished":
                film.append(to_bytes(found.image))
            if stopped != "finished":
                break
            image = closer(found.image, shrink)
    one = Dream(
        found.image, np.asarray(found.scores), recipe, objective, key_words(key), getattr(model, "name", None),
        taken.name, notes, stopped,
    )  # fmt: skip
    made = {"made": "zoom", "frames": len(film), "shrink": shrink, "later_steps": later.recipe.steps}
    return Film(np.stack(film), {**one.settings(), **made}, stopped)


def _after(before: int, told: Told) -> Callable[[int, float], None]:
    return lambda done, score: told(before + done, score)


def closer(image: np.ndarray, shrink: float) -> np.ndarray:
    """The centre of a picture at the size of all of it."""
    height, width = image.shape[:2]
    left, top = width * shrink / 2, height * shrink / 2
    return np.clip(resized(image, (height, width), (left, top, width - left, height - top)), 0, 1)


def _check_request(frames: int, shrink: float) -> None:
    if isinstance(frames, bool) or not isinstance(frames, int) or frames < 1:
        raise InvalidInput(f"frames={frames!r}", "a whole number of at least 1", "frames=60")
    if not 0.0 <= shrink <= 0.5:
        raise InvalidInput(f"shrink={shrink!r}", "a part of the picture, from 0 to 0.5", f"shrink={SHRINK}")


def _check_memory(frames: int, shape: tuple[int, ...]) -> None:
    needed = frames * shape[0] * shape[1] * 3
    if needed > LARGEST_FILM:
        raise InvalidInput(
            f"{frames} frames of {shape[1]} x {shape[0]} pixels, {needed / 2**30:.1f} GiB",
            f"at most {LARGEST_FILM >> 30} GiB, because all are kept until the film is written",
            "fewer frames, or a smaller size=",
        )
