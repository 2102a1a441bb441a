"""The loop of a dream: gradient ascent on a photograph, from its smallest octave to its full size.

    detail <- 0;  at every octave:  x <- photo at this scale + detail, enlarged;  some steps;  detail <- x - photo

What is here knows tiles and scales, and nothing of files or of people. Every step is handed out, so whoever runs the
loop can stop at any moment and keep the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from diffprog.vision.dreams.scales import normalized, resized
from diffprog.vision.dreams.tiles import Tiles

PATIENCE = 2  # steps without any gradient after which an octave is given up


class Step(NamedTuple):
    """Where the dream is after a step: the picture and the photograph it grew from, at the octave's scale."""

    octave: int
    photo: np.ndarray
    image: np.ndarray
    score: float
    silent: bool


class Ascent(NamedTuple):
    """What a dream came to.

    Attributes:
      image: float32 [H, W, 3], at the photograph's own size.
      scores: the mean score of the tiles at every step, before it.
      stopped: 'finished', 'interrupted' or 'not finite'.
      silent: the octaves, from 0, in which nothing gave a gradient.
    """

    image: np.ndarray
    scores: tuple[float, ...]
    stopped: str
    silent: tuple[int, ...]


def ascend(tiles: Tiles, photo: np.ndarray, key: Array, told: Callable[[int, float], None]) -> Ascent:
    """Dream a photograph float32 [H, W, 3]; Ctrl-C ends it with the last step's picture.

    Args:
      tiles: what takes gradients.
      photo: what to start from.
      key: draws how the grid of tiles moves.
      told: is told how many tiles were seen so far, and the last score.
    """
    last, scores, heard, stopped = None, [], set(), "finished"
    progress = _Count(told)
    try:
        for step in steps(tiles, photo, key, progress.seen):
            last = step
            scores.append(step.score)
            progress.score = step.score
            if not step.silent:
                heard.add(step.octave)
    except KeyboardInterrupt:
        stopped = "interrupted"
    except FloatingPointError:
        stopped = "not finite"
    begun = range(last.octave + 1) if last else ()
    image = photo if last is None else _enlarged(photo, last)
    return Ascent(image, tuple(scores), stopped, tuple(o for o in begun if o not in heard))


def steps(tiles: Tiles, photo: np.ndarray, key: Array, seen: Callable[[int], None]) -> Iterator[Step]:
    """The steps of a dream, one after the other.

    Raises:
      FloatingPointError: a gradient that is not finite.
    """
    recipe, last = tiles.recipe, None
    for octave, shape in enumerate(recipe.shapes(photo.shape[:2], tiles.tile)):
        base = resized(photo, shape)
        image = base if last is None else _enlarged(base, last)
        silent = 0
        for number in range(recipe.steps):
            shift = [float(part) for part in _shift(key, octave, number)]
            gradient, score = tiles.gradient(image, shift, seen)
            if not np.isfinite(gradient).all():
                raise FloatingPointError
            move = normalized(gradient, recipe.bands)
            image = np.clip(image + np.float32(recipe.step_size) * move, 0, 1)
            silent = 0 if move.any() else silent + 1
            last = Step(octave, base, image, score, silent > 0)
            yield last
            if silent == PATIENCE:
                break


@jax.jit
def _shift(key: Array, octave: int, number: int) -> Array:
    """Where the photograph lies on the grid in one step, as parts of the room there is."""
    return jax.random.uniform(jax.random.fold_in(jax.random.fold_in(key, octave), number), (2,))


def _enlarged(photo: np.ndarray, step: Step) -> np.ndarray:
    """The photograph with what was dreamt at another scale."""
    if step.image.shape == photo.shape:
        return step.image
    return np.clip(photo + resized(step.image - step.photo, photo.shape[:2]), 0, 1)


class _Count:
    """Adds up the tiles that were seen."""

    def __init__(self, told: Callable[[int, float], None]):
        self.told, self.done, self.score = told, 0, 0.0

    def seen(self, tiles: int) -> None:
        self.done += tiles
        self.told(self.done, self.score)
