"""Dreams guided by a second photograph: what is seen is pulled towards what the network sees there.

At every position p of a layer the best-matching position of the guide is looked up, by dot product, and the
activation is to grow along it (the notebook of google/deepdream, 2015, "Controlling dreams"):

    score = mean_p  max_q  a_p . b_q           d score / d a_p = b_q(p) / positions,   q(p) the best match
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.objectives import Objective
from diffprog.vision.dreams.recipe import DreamRecipe
from diffprog.vision.dreams.scales import resized
from diffprog.vision.dreams.tiles import tile_size
from diffprog.vision.photo import Announce, Photo, as_photo, print_note
from diffprog.vision.scoring import Model, trace_model

MOST_POSITIONS = 1024  # of the guide: every position of a tile is compared with all of them


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Match(Objective):
    """The mean over positions of the dot product with the guide's best-matching activation.

    Attributes:
      name: the layer, [H, W, C] or tokens [T, C].
      features: the guide's activations, float32 [positions, C].
    """

    name: str = field(metadata={"static": True})
    features: Any

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({self.name})

    def __call__(self, activations: Any) -> Array:
        values = activations[self.name]
        flat = values.reshape(-1, values.shape[-1])
        return jnp.mean(
            jnp.max(flat @ jnp.asarray(self.features).T, axis=-1)
        )  # (P, C) (C, Q) -> (P, Q) -> (P,)

    def check(self, shapes: Any) -> None:
        shape = shapes[self.name]
        if len(shape) < 2 or shape[-1] != self.features.shape[-1]:
            raise InvalidInput(
                f"a guide with {self.features.shape[-1]} channels for {self.name}, which is {list(shape)}",
                "a layer with positions and as many channels: [H, W, C] or [T, C]",
                "guided(model, layer, photo) with the same model and layer",
            )

    def __repr__(self) -> str:
        positions, channels = self.features.shape
        return f"Match(name={self.name!r}, features=[{positions}, {channels}])"


def guided(
    model: Model,
    layer: str,
    guide: Photo | np.ndarray | str | os.PathLike[str],
    *,
    tile: int | None = None,
    announce: Announce = print_note,
) -> Match:
    """The objective of a dream guided by a photograph; it adds and scales like any other.

    Args:
      model: any JAX function of pictures [B, H, W, 3].
      layer: where the two photographs are compared.
      guide: a path, a `Photo`, or floating-point [H, W, 3] in [0, 1]; the network sees its central square at the size
        of one tile.
      tile: that size; left out, the network's own input size.
      announce: is told what was changed in the guide.

    Raises:
      InvalidInput: an unknown layer, one without positions, or a guide that is no picture.
      Unreachable, BadFile: a file that is not there or is no picture.
    """
    photo = as_photo(guide, announce)
    size = tile_size(model, DreamRecipe(tile=tile, overlap=0))
    square = _central_square(photo.pixels, size)
    graph = trace_model(model, (1, size, size, 3))
    shape = graph.values[graph.find(layer)].shape[1:]
    if len(shape) < 2:
        raise InvalidInput(
            f"the layer {layer}, which is {list(shape)}",
            "a layer with positions, [H, W, C] or [T, C], whose content can be compared place by place",
            "an earlier layer",
        )
    see = jax.jit(lambda images, consts: graph.run(images, taps=[layer], consts=consts)[1][layer])
    features = np.asarray(see(square[None], graph.consts))[0]
    flat = features.reshape(-1, features.shape[-1])
    step = -(-len(flat) // MOST_POSITIONS)
    if step > 1:
        announce(f"the guide: one in {step} of its {len(flat):,} positions in {layer} is compared")
    return Match(layer, flat[::step])


def _central_square(pixels: np.ndarray, size: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    return resized(pixels, (size, size), (left, top, left + side, top + side))
