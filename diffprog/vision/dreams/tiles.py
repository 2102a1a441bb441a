"""The gradient of a photograph of any size, put together from tiles of one size.

A network sees a tile [T, T, 3] at a time, so one compiled program serves photographs of all sizes and all their
octaves, and the memory of the network does not grow with them. Neighbouring tiles share `overlap` pixels. Across these
the weight of a tile rises from 0 to 1 while its neighbour's falls, and it is 0 in the outer quarter, where the
network sees the tile's edge instead of what lies behind:

    G(x) = sum_i w_i(x) g_i(x),     sum_i w_i(x) = 1 at every pixel x,

so where tiles agree G is the gradient that the whole photograph would have. Where they do not, the grid moves at
random from step to step, and no seam stays.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.objectives import Objective
from diffprog.vision.dreams.recipe import DreamRecipe
from diffprog.vision.scoring import Model, check_objective, trace_model

DEFAULT_TILE = 224
ON_ACCELERATORS = 16  # tiles at a time; on CPUs one after the other is as fast and takes less memory


class Line(NamedTuple):
    """How tiles lie along one axis: `tiles` of them, `stride` apart, with `room` pixels to move the picture in."""

    tiles: int
    stride: int
    room: int


def line(length: int, tile: int, overlap: int, jitter: int) -> Line:
    """The fewest tiles over `length` pixels that can move by `jitter` each way.

    Example:
      >>> line(300, 224, 32, 32)
      Line(tiles=2, stride=192, room=116)
    """
    stride = tile - overlap
    count = max(1, math.ceil((length + 2 * jitter - overlap) / stride))
    return Line(count, stride, count * stride + overlap - length)


def weights(tile: int, overlap: int, first: bool, last: bool) -> np.ndarray:
    """How much every pixel of a tile counts, along one axis: [tile].

    Args:
      tile: its length.
      overlap: how much of it either neighbour shares.
      first: whether it has no neighbour before it.
      last: whether it has none behind it.

    Example:
      >>> weights(6, 4, True, False)
      array([1.  , 1.  , 1.  , 0.75, 0.25, 0.  ], dtype=float32)
    """
    one = np.ones(tile, np.float32)
    if overlap:
        rise = np.clip((np.arange(overlap) + 0.5 - overlap / 4) / (overlap / 2), 0, 1)
        one[:overlap] *= 1.0 if first else rise
        one[tile - overlap :] *= 1.0 if last else rise[::-1]
    return one


class Tiles:
    """What takes gradients of one objective on photographs of any size.

    Attributes:
      tile: height and width of a tile.
      together: how many tiles are seen in one call.
      step: the compiled program: (tiles [together, T, T, 3], objective, constants) -> (scores, gradients).

    Raises:
      InvalidInput: a tile that is too small for the network or for the overlap, an objective that the network does not
        have, or a model that does not take pictures.
    """

    def __init__(self, model: Model, objective: Objective, recipe: DreamRecipe):
        self.recipe, self.objective = recipe, objective
        self.tile = tile_size(model, recipe)
        self.together = 1 if jax.default_backend() == "cpu" else ON_ACCELERATORS
        self.graph = trace_model(model, (self.together, self.tile, self.tile, 3))
        check_objective(self.graph, objective)
        self.step = jax.jit(jax.value_and_grad(self._total, has_aux=True))

    def with_recipe(self, recipe: DreamRecipe) -> Tiles:
        """The same compiled program for another recipe with the same tiles."""
        other = copy.copy(self)
        other.recipe = recipe
        assert (recipe.tile, recipe.overlap) == (self.recipe.tile, self.recipe.overlap)
        return other

    def lines(self, shape: Sequence[int]) -> tuple[Line, Line]:
        """How tiles lie over a photograph of this height and width."""
        recipe = self.recipe
        down, across = (line(length, self.tile, recipe.overlap, recipe.jitter) for length in shape[:2])
        return down, across

    def count(self, shape: Sequence[int]) -> int:
        """How many tiles it takes."""
        return math.prod(one.tiles for one in self.lines(shape))

    def gradient(
        self,
        image: np.ndarray,
        shift: Sequence[float] = (0.0, 0.0),
        seen: Callable[[int], None] = lambda n: None,
    ) -> tuple[np.ndarray, float]:
        """The gradient [H, W, 3] of a photograph, and the mean score of its tiles.

        Args:
          image: float32 [H, W, 3].
          shift: where the photograph lies on the grid, as parts in [0, 1) of the room there is, down and across.
          seen: is told how many tiles were seen, after every call of the program.
        """
        lines = self.lines(image.shape)
        before = [int(part * (one.room + 1)) for part, one in zip(shift, lines, strict=True)]
        frame = [(b, one.room - b) for b, one in zip(before, lines, strict=True)]
        padded = np.pad(image, (*frame, (0, 0)), mode=self.recipe.surround)  # type: ignore[call-overload]
        total, scores = np.zeros_like(padded), []
        for places in _groups(lines, self.together):
            found, gradients = self._see([padded[self._window(place, lines)] for place in places])
            scores += [float(one) for one in found]
            for place, gradient in zip(places, gradients, strict=False):  # the last group may be filled up
                total[self._window(place, lines)] += self._weight(place, lines) * gradient
            seen(len(places))
        top, left = before
        return total[top : top + image.shape[0], left : left + image.shape[1]], float(np.mean(scores))

    def _see(self, tiles: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        filled = tiles + [tiles[-1]] * (self.together - len(tiles))
        (_, scores), gradients = self.step(np.stack(filled), self.objective, self.graph.consts)
        return np.asarray(scores)[: len(tiles)], np.asarray(gradients)

    def _total(self, tiles: Array, objective: Objective, consts: Sequence[Any]) -> tuple[Array, Array]:
        _, activations = self.graph.run(tiles, taps=sorted(objective.layers), consts=consts)
        scores = jax.vmap(objective)(activations)
        return jnp.sum(scores), scores

    def _window(self, place: tuple[int, int], lines: tuple[Line, Line]) -> tuple[slice, slice]:
        starts = (number * one.stride for number, one in zip(place, lines, strict=True))
        down, across = (slice(start, start + self.tile) for start in starts)
        return down, across

    def _weight(self, place: tuple[int, int], lines: tuple[Line, Line]) -> np.ndarray:
        down, across = (
            weights(self.tile, self.recipe.overlap, number == 0, number == one.tiles - 1)
            for number, one in zip(place, lines, strict=True)
        )
        return down[:, None, None] * across[None, :, None]


def _groups(lines: tuple[Line, Line], together: int) -> Iterator[list[tuple[int, int]]]:
    places = [(row, column) for row in range(lines[0].tiles) for column in range(lines[1].tiles)]
    for start in range(0, len(places), together):
        yield places[start : start + together]


def tile_size(model: Model, recipe: DreamRecipe) -> int:
    """Height and width of a tile: the recipe's, else the network's own input size.

    Raises:
      InvalidInput: smaller than the network can use, or less than twice the overlap.
    """
    own = getattr(model, "input_size", DEFAULT_TILE)
    tile = recipe.tile or own
    least = max(getattr(model, "min_size", 1), 2 * recipe.overlap)
    if tile < least:
        raise InvalidInput(
            f"tiles of {tile} x {tile} pixels with an overlap of {recipe.overlap}",
            f"at least {least}: what the network needs to see anything, and twice the overlap",
            f"tile={max(own, least)}, or a smaller overlap",
        )
    return tile
