"""How different several pictures of one unit are: whether other keys show other sides of it, or the same once more.

    variety = 1 - mean over pairs of cos(G_i, G_j),     G the Gram matrix of a layer's channels

0 for pictures of one texture, 1 for textures that have nothing in common. It is what the objective `diversity` is
asked to raise; here it is read off pictures that were drawn apart.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.errors import InvalidInput
from diffprog.graph import Graph
from diffprog.graph.objectives import Objective, diversity
from diffprog.vision.scoring import Model, trace_model


class Variety(NamedTuple):
    """How different pictures are, and by which layer."""

    value: float
    layer: str
    pictures: int


def variety(
    model: Model, images: np.ndarray, *, layer: str | None = None, objective: Objective | None = None
) -> Variety:
    """How different pictures are by the textures of one layer.

    Args:
      model: any JAX function of pictures.
      images: float32 [N, h, w, C] in [0, 1], at least two.
      layer: whose channels are compared; left out, the one that `objective` reads, or, where that has no positions,
        the one halfway through the network.
      objective: what the pictures are of.

    Raises:
      InvalidInput: fewer than two pictures, or no such layer.
    """
    if len(images) < 2:
        raise InvalidInput("one picture to be different", "at least two of the same unit", "n=4")
    graph = trace_model(model, (1, *images.shape[1:]))
    name = layer or _layer(graph, objective)
    read = jax.jit(lambda image, consts: graph.run(image, taps=[name], consts=consts)[1][name][0])
    values = jnp.stack([read(jnp.asarray(image)[None], graph.consts) for image in images])
    alike = jax.jit(lambda values: -jnp.mean(diversity(name).together({name: values})))
    return Variety(1 - float(alike(values)), name, len(images))


def _layer(graph: Graph, objective: Objective | None) -> str:
    """A layer with positions: the objective's own, or the one halfway."""
    own = sorted(objective.layers) if objective is not None else []
    listed = [one.name for one in graph.layers]
    placed = [n for n in dict.fromkeys([*own, *listed]) if n in graph.names and _positions(graph, n) > 1]
    if not placed:
        raise InvalidInput(
            "a network of which no layer has positions",
            "a layer [H, W, C] or [T, C], whose channels make textures",
            "measuring without variety",
        )
    mine = [name for name in own if name in placed]
    return mine[0] if mine else placed[len(placed) // 2]


def _positions(graph: Graph, name: str) -> int:
    shape = graph.values[graph.find(name)].shape
    return math.prod(shape[1:-1]) if len(shape) > 2 else 1
