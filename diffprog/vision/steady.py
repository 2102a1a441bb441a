"""The recipe for pictures that are compared with another one position by position: it moves them only a little.

Wide scales, turns and mirroring are what makes a class recognizable from all sides. A caricature or an inversion is of
one photograph, whose eyes are where they are: there the same moves compare eyes with ears.
"""

from __future__ import annotations

from diffprog.vision import transforms
from diffprog.vision.recipes import Recipe

MOVES = (
    transforms.NormalizeGradient(),
    transforms.ScaleBetween(0.95, 1.05),
    transforms.RotateBetween(3.0),
    transforms.Shift(4.0),
)


def steady(recipe: Recipe) -> Recipe:
    """The recipe with small moves in place of its transforms, and the rest as it is."""
    return recipe.replace(transforms=MOVES)
