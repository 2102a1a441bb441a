"""Activation grids: what each position of a layer sees in a photograph, drawn.

At every position a layer holds a vector of activations, which says in the network's own terms what is there. Each is
drawn as a small picture of its own (the objective is the vector as a direction), from the same start, and the pictures
are laid out as the positions are. One compiled program draws them all: the vectors are data.

Source: Olah et al. 2018, "The Building Blocks of Interpretability".
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jax import Array
from PIL import Image

from diffprog.errors import InvalidInput
from diffprog.files import write_whole
from diffprog.graph.objectives import activations, direction
from diffprog.optimize.progress import Progress
from diffprog.vision import canvases, regularizers, transforms
from diffprog.vision.drawing import Drawing, check_destination
from diffprog.vision.recipes import Recipe
from diffprog.vision.scoring import Model
from diffprog.vision.visualize import visualize

GREY = 0.5  # a position where nothing is active
CELL = Recipe(
    size=64,
    steps=96,
    canvas=canvases.Fourier(decay=1.0),
    transforms=(
        transforms.NormalizeGradient(),
        transforms.ScaleBetween(0.85, 1.15),
        transforms.RotateBetween(8.0),
        transforms.Shift(6.0),
    ),
    regularizers=(regularizers.TotalVariation(6.0),),
    redirect_always=False,
)
"""For cells: small canvases, small moves, fewer steps than a picture that is looked at alone."""


@dataclass(frozen=True, eq=False)
class ActivationGrid:
    """Cells as they lie in the photograph.

    Attributes:
      cells: float32 [rows, columns, size, size, 3], RGB in [0, 1]; grey where nothing is active.
      magnitudes: [rows, columns], the length of the activation vector at each.
      layer: where it was read.
      drawing: the cells that are not grey, with their scores, in reading order.
    """

    cells: np.ndarray
    magnitudes: np.ndarray
    layer: str
    drawing: Drawing

    @property
    def image(self) -> np.ndarray:
        """All cells in one picture: [rows size, columns size, 3]."""
        rows, columns, size = self.cells.shape[:3]
        return self.cells.swapaxes(1, 2).reshape(rows * size, columns * size, 3)

    @property
    def weighted(self) -> np.ndarray:
        """The same, each cell the greyer the less is active there."""
        most = self.magnitudes.max() or 1.0
        share = (self.magnitudes / most)[..., None, None, None]
        faded = ActivationGrid(GREY + share * (self.cells - GREY), self.magnitudes, self.layer, self.drawing)
        return faded.image

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the grid as a PNG; `grid.drawing.save` writes the cells with what it takes to draw them again.

        Raises:
          InvalidInput: a path that does not end in .png.
          Unreachable: a folder that is not there or cannot be written.
        """
        path, buffer = check_destination(path), io.BytesIO()
        Image.fromarray(np.round(np.clip(self.image, 0, 1) * 255).astype(np.uint8)).save(buffer, "PNG")
        write_whole(path, buffer.getvalue())
        return path


def activation_grid(
    model: Model,
    photo: Any,
    layer: str,
    *,
    stride: int = 1,
    power: float = 2.0,
    recipe: Recipe = CELL,
    size: int | None = None,
    steps: int | None = None,
    key: Array | int | None = None,
    progress: Progress | bool | None = None,
) -> ActivationGrid:
    """Draw what a layer holds at each position of a photograph.

    Args:
      model: any function of pictures [B, H, W, 3] that takes both the photograph's and the cells' size.
      photo: [H, W, 3], RGB in [0, 1], of any size that the model takes.
      layer: one with rows and columns.
      stride: draw every so many positions, in both directions.
      power: of the cosine; more draws the vector more exactly, and less strongly.
      recipe: how cells are drawn.
      size: of a cell, in place of the recipe's.
      steps: in place of the recipe's.
      key: of the start that all cells share.
      progress: as in `visualize`.

    Raises:
      InvalidInput: a layer without rows and columns, or where nothing at all is active; a stride below one; a
        picture of another form.
    """
    if isinstance(stride, bool) or not isinstance(stride, int) or stride < 1:
        raise InvalidInput(f"stride={stride!r}", "a whole number of positions, at least 1", "stride=1")
    vectors = activations(model, photo, layer)[layer]
    if vectors.ndim != 3:
        raise InvalidInput(
            f"{layer}, which is {list(vectors.shape)}",
            "a layer with rows and columns, [H, W, C]",
            "another layer",
        )
    vectors = vectors[::stride, ::stride]
    magnitudes = np.linalg.norm(vectors, axis=-1)
    active = np.argwhere(magnitudes > 0)
    if not len(active):
        raise InvalidInput(
            f"{layer}, where nothing is active", "a layer that the photograph excites", "another one"
        )
    wishes = [
        direction(layer, vectors[row, column] / magnitudes[row, column], power) for row, column in active
    ]
    title = f"{len(wishes)} positions of {layer}"
    drawing = visualize(
        model, wishes, recipe=recipe, size=size, steps=steps, key=key, title=title, progress=progress
    )
    side = drawing.images.shape[1]
    cells = np.full((*magnitudes.shape, side, side, 3), GREY, np.float32)
    for (row, column), picture in zip(active, drawing.images, strict=False):  # fewer where it was interrupted
        cells[row, column] = picture
    return ActivationGrid(cells, magnitudes, layer, drawing)
