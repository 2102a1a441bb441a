"""What a unit makes of a picture: its score as the picture is, and under random views that no recipe draws with.

A recipe is judged by `Drawing.robust_scores` through its own transforms, which is its own exam. Here all pictures,
drawn or photographed, are seen through the same `held_out` views, drawn from the same key: moved, turned, scaled, in
other light, a little blurred and noisy. Their mean says what the unit sees on the whole, the 5th percentile what is
left in the worst of twenty views.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.objectives import Objective
from diffprog.vision import scoring
from diffprog.vision.recipes import Recipe
from diffprog.vision.scoring import Model, check_objective, trace_model
from diffprog.vision.transforms import (
    BlurBetween,
    ColorJitter,
    Compose,
    Noise,
    Resize,
    RotateBetween,
    ScaleBetween,
    Shift,
    Transform,
    still,
)
from diffprog.vision.transforms.background import over
from diffprog.vision.transforms.transform import GREY

DRAWS = 64
PERCENTILE = 5
DEFAULT_SIZE = 224


class Scores(NamedTuple):
    """The scores of some pictures, [pictures] each.

    Attributes:
      plain: as they are.
      mean: over the held-out views.
      low: the 5th percentile over them.
    """

    plain: np.ndarray
    mean: np.ndarray
    low: np.ndarray


def held_out(side: int) -> tuple[Transform, ...]:
    """The views that pictures are judged by, for pictures of this height or width, whichever is smaller."""
    return (
        ScaleBetween(0.8, 1.25),
        RotateBetween(15.0),
        Shift(0.08 * side),
        ColorJitter(0.1, 0.2, 0.2),
        BlurBetween(0.0, 1.0),
        Noise(0.03),
    )


def scores(
    model: Model,
    objectives: Sequence[Objective],
    images: np.ndarray,
    *,
    draws: int = DRAWS,
    key: Array | int = 0,
) -> Scores:
    """The scores of pictures as they are and under held-out views, the same views for every picture.

    Args:
      model: any JAX function of pictures.
      objectives: one for every picture, of one form; where they compare pictures with each other (`joint`), all
        pictures are one group.
      images: float32 [N, h, w, C] in [0, 1], as the network shall see them.
      draws: how many views.
      key: of the views.

    Raises:
      InvalidInput: no views, or an objective or pictures that the model does not have.
    """
    if draws < 1:
        raise InvalidInput(f"draws={draws}", "at least one view", f"draws={DRAWS}")
    key = jax.random.key(key) if isinstance(key, int) else key
    joint = objectives[0].joint
    group = len(images) if joint else 1
    graph = trace_model(model, (group, *images.shape[1:]))
    for one in objectives:
        check_objective(graph, one)
    view = Compose(held_out(min(images.shape[1:3])))

    @jax.jit
    def run(images: Array, objective: Objective, consts: Any, key: Array) -> Array:
        def once(number: Array) -> Array:
            seen = jax.vmap(lambda image: view(image, jax.random.fold_in(key, number)))(images)
            seen = jnp.where(number == 0, images, seen)  # as they are, through the same compiled network
            values = scoring.activations(graph, objective.layers, seen, consts)
            return scoring.scores(objective, values)

        return jax.lax.map(once, jnp.arange(draws + 1))

    parts = [
        run(images[i : i + group], scoring.stacked(objectives[i : i + group]), graph.consts, key)
        for i in range(0, len(images), group)
    ]
    found = np.concatenate([np.asarray(part, np.float64) for part in parts], axis=1)  # (views + 1, pictures)
    return Scores(found[0], found[1:].mean(0), np.percentile(found[1:], PERCENTILE, axis=0))


def as_seen(pixels: np.ndarray, recipe: Recipe | None, size: int | None) -> np.ndarray:
    """A picture as a network is shown it when it is judged.

    A drawing, in the size it was drawn for; any other picture, or with a `size`: the middle square, in that size.

    Args:
      pixels: float32 [H, W, C] in [0, 1]; of four channels the last is opacity.
      recipe: how it was drawn, if it was.
      size: height and width to see it at.

    Returns:
      float32 [h, w, C].
    """
    if recipe is not None and size is None:
        return np.asarray(still(recipe.transforms, jnp.asarray(pixels)))
    pixels = over_grey(pixels)
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    square = jnp.asarray(pixels[top : top + side, left : left + side])
    return np.clip(Resize(size or DEFAULT_SIZE).still(square), 0, 1)


def over_grey(pixels: np.ndarray) -> np.ndarray:
    """A picture without opacity: transparent ones over grey."""
    if pixels.shape[-1] != 4:
        return pixels
    return np.asarray(over(jnp.asarray(pixels), jnp.full_like(pixels[..., :3], GREY)))
