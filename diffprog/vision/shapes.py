"""Shapes of a recipe's pictures as the network sees them, known before anything is drawn."""

from __future__ import annotations

import jax

from diffprog.errors import InvalidInput
from diffprog.vision.canvases import Transparent
from diffprog.vision.recipes import Recipe
from diffprog.vision.transforms import Compose, OnBackground, output_shape, still


def shapes(recipe: Recipe, size: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """[h, w, c] of a picture as it is seen, and as it is judged without chance.

    Raises:
      InvalidInput: transforms that leave nothing, or transparent pictures that are put over no background.
    """
    if isinstance(recipe.canvas, Transparent) and not any(
        isinstance(one, OnBackground) for one in recipe.transforms
    ):
        raise InvalidInput(
            "transparent pictures and no background to see them over",
            "OnBackground among the transforms: networks do not know transparency",
            "recipe.replace(transforms=(transforms.OnBackground(), *recipe.transforms))",
        )
    output_shape(recipe.transforms, size)
    key = jax.eval_shape(lambda: jax.random.key(0))
    image = jax.eval_shape(lambda key: recipe.canvas.to_image(recipe.canvas.init(key, size)), key)
    seen = jax.eval_shape(Compose(recipe.transforms), image, key)
    calm = jax.eval_shape(lambda image: still(recipe.transforms, image), image)
    return seen.shape, calm.shape
