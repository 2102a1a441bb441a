"""What comes out of drawing: pictures with their scores, their recipe, and all it takes to draw them again.

`save` writes one PNG, a contact sheet when there are several pictures; key, recipe, objective, scores and versions
travel in its metadata, and `read_request` gets them back. Files appear whole or not at all.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.files import check_path, write_whole
from diffprog.graph.objectives import Objective, objective_from_dict, objective_to_dict
from diffprog.graph.objectives.record import LARGEST_ARRAY
from diffprog.vision.canvases.canvas import height_width
from diffprog.vision.picture_files import png, read_png, to_bytes, versions
from diffprog.vision.recipes import Recipe
from diffprog.vision.sheet import laid_out

# A file from outside cannot ask for more than this; nobody draws so much into one picture by hand.
LARGEST_REQUEST = {"size": 4096, "steps": 100_000, "pictures": 1024, "views": 256}


@dataclass(frozen=True, eq=False)
class Drawing:
    """Pictures and how they came about; a notebook shows them.

    Attributes:
      images: float32 [pictures, H, W, C] in [0, 1], objective by objective; RGB, or the canvas's own channels.
      scores: [pictures], the objective of every picture as it is.
      robust_scores: [pictures], its mean over fresh draws of the recipe's transforms.
      history: [steps, pictures], the objective of what was seen at every step.
      recipe: how they were drawn.
      objectives: what of.
      keys: the words of every picture's PRNG key, the same for every objective.
      model: the network's name, if it has one.
      title: what it is of, for people.
      stopped: 'finished', 'interrupted' or 'not finite'.
    """

    images: np.ndarray
    scores: np.ndarray
    robust_scores: np.ndarray
    history: np.ndarray
    recipe: Recipe
    objectives: tuple[Objective, ...]
    keys: tuple[tuple[int, ...], ...]
    model: str | None
    title: str | None
    stopped: str

    def sheet(self) -> Image.Image:
        """The picture, or all of them side by side in a grid; of four channels, the last is opacity.

        Raises:
          InvalidInput: pictures of a number of channels that no PNG has.
        """
        pixels = to_bytes(self.images)
        if pixels.shape[-1] not in (1, 3, 4):
            raise InvalidInput(
                f"pictures of {pixels.shape[-1]} channels to save",
                "1 (grey), 3 (RGB) or 4 (with opacity)",
                "np.save(path, drawing.images), or three channels of them",
            )
        pixels = np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels
        return Image.fromarray(laid_out(pixels, len(self.keys)))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a PNG that carries what it takes to draw it again.

        Raises:
          InvalidInput: a path that does not end in .png.
          Unreachable: a folder that is not there or cannot be written.
        """
        path = check_destination(path)
        write_whole(path, self._png())
        return path

    def metadata(self) -> dict[str, Any]:
        """What the PNG carries: plain numbers, strings, lists and dictionaries."""
        return {
            "model": self.model,
            "title": self.title,
            "objectives": self._written_objectives(),
            "keys": [list(words) for words in self.keys],
            "recipe": self.recipe.to_dict(),
            "scores": [round(float(score), 4) for score in self.scores],
            "robust_scores": [round(float(score), 4) for score in self.robust_scores],
            "stopped": self.stopped,
            "versions": versions(),
        }

    def _written_objectives(self) -> list[dict[str, Any]]:
        """The objectives; arrays are left out where all together would be more than a file should carry."""
        arrays = [leaf for leaf in jax.tree.leaves(self.objectives) if np.ndim(leaf)]
        largest = LARGEST_ARRAY // max(1, len(arrays))
        return [objective_to_dict(objective, largest) for objective in self.objectives]

    def _png(self) -> bytes:
        return png(self.sheet(), self.metadata(), optimize=True)

    def _repr_png_(self) -> bytes:
        return self._png()


@dataclass(frozen=True)
class Request:
    """What a saved picture says of how it was drawn."""

    model: str | None
    title: str | None
    objectives: tuple[Objective, ...]
    keys: tuple[tuple[int, ...], ...]
    recipe: Recipe


def read_request(path: str | os.PathLike[str]) -> Request:
    """Read from a PNG how it was drawn.

    Raises:
      Unreachable: no such file.
      BadFile: not a PNG that `Drawing.save` wrote.
    """
    try:
        data = read_png(path)
        request = Request(
            model=data["model"],
            title=data["title"],
            objectives=tuple(objective_from_dict(item) for item in data["objectives"]),
            keys=tuple(tuple(int(word) for word in words) for words in data["keys"]),
            recipe=Recipe.from_dict(data["recipe"]),
        )
        return _bounded(request, path)
    except FileNotFoundError:
        raise Unreachable(f"no file {path}", "a PNG that diffprog saved", "another path") from None
    except (InvalidInput, BadFile):
        raise
    except Exception as error:
        raise BadFile(
            f"{path}, which does not say how it was drawn ({type(error).__name__})",
            "a PNG as diffprog saved it; other programs drop its metadata when they save it again",
            "the original file, or drawing it anew",
        ) from None


def _bounded(request: Request, path: str | os.PathLike[str]) -> Request:
    asked = {
        "size": max(height_width(request.recipe.size or 1)),
        "steps": request.recipe.steps,
        "views": request.recipe.views,
        "pictures": len(request.keys) * len(request.objectives),
    }
    for what, number in asked.items():
        if number > LARGEST_REQUEST[what]:
            raise BadFile(
                f"{path}, which asks for {what}={number}",
                f"at most {LARGEST_REQUEST[what]}, so that a file cannot keep the machine busy for days",
                "drawing it from Python, with the recipe in your own hands",
            )
    return request


def check_destination(path: str | os.PathLike[str]) -> Path:
    """The path as one that a PNG can be written to, or why not.

    Raises:
      InvalidInput: another ending than .png.
      Unreachable: a folder that is not there or cannot be written.
    """
    return check_path(path, (".png",))
