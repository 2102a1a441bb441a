"""What a recipe wants of every picture, whatever it is of: that its activations look like those of photographs."""

from __future__ import annotations

import math
from typing import Any

from diffprog.errors import InvalidInput
from diffprog.graph import Graph
from diffprog.graph.objectives import Constant, Objective, naturalness
from diffprog.vision.recipes import Recipe

LEAST_POSITIONS = 128  # 14 x 14 counts, 7 x 7 does not


def prior(model: Any, recipe: Recipe, graph: Graph) -> Objective:
    """The recipe's naturalness, over the layers that the model remembers natural pictures by.

    Layers with few positions are left out: the mean over them says what the picture is of, not how natural it is.

    Raises:
      InvalidInput: naturalness of a model without statistics.
    """
    if not recipe.naturalness:
        return Constant(0.0)
    statistics = getattr(model, "statistics", None)
    if not statistics:
        raise InvalidInput(
            f"a recipe with naturalness={recipe.naturalness:g} for {getattr(model, 'name', 'a function')}, "
            "which carries no statistics of natural pictures",
            "a network trained with batch normalization, whose `statistics` say how its layers see photographs",
            "recipe=recipes.DEFAULT, or recipe.replace(naturalness=0.0)",
        )
    kept = {n: s for n, s in statistics.items() if _positions(graph, n) >= LEAST_POSITIONS}
    return naturalness(kept) * recipe.naturalness if kept else Constant(0.0)


def _positions(graph: Graph, name: str) -> int:
    return math.prod(graph.values[graph.find(name)].shape[1:-1])
