"""What comes out of dreaming: a picture or a film, with what it takes to make it again.

Files appear whole or not at all, and carry recipe, objective, key and versions in their metadata, but not the
photograph itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffprog.graph.objectives import Objective
from diffprog.vision.dreams.recipe import DreamRecipe
from diffprog.vision.films import write_film
from diffprog.vision.picture_files import encode, versions, write_picture


@dataclass(frozen=True, eq=False)
class Dream:
    """A dreamt photograph; a notebook shows it.

    Attributes:
      image: float32 [H, W, 3], RGB in [0, 1].
      scores: [steps], the mean score of the tiles before every step; scores of different octaves are not comparable.
      recipe: how it was dreamt.
      objective: of what.
      key: the words of the PRNG key.
      model: the network's name, if it has one.
      photo: the photograph's name, if it has one.
      notes: what was changed in the photograph, and where nothing was dreamt.
      stopped: 'finished', 'interrupted' or 'not finite'.
    """

    image: np.ndarray
    scores: np.ndarray
    recipe: DreamRecipe
    objective: Objective
    key: tuple[int, ...]
    model: str | None
    photo: str | None
    notes: tuple[str, ...]
    stopped: str

    def settings(self) -> dict[str, Any]:
        """What a file of it carries: plain numbers, strings, lists and dictionaries."""
        return {
            "made": "dream",
            "model": self.model,
            "photo": self.photo,
            "size": list(self.image.shape[:2]),
            "objective": repr(self.objective),
            "recipe": self.recipe.to_dict(),
            "key": list(self.key),
            "notes": list(self.notes),
            "steps": len(self.scores),
            "stopped": self.stopped,
            "versions": versions(),
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as PNG or JPEG; `read_settings` gets the settings back.

        Raises:
          InvalidInput: another ending.
          Unreachable: a folder that is not there or cannot be written.
        """
        return write_picture(path, self.image, self.settings())

    def _repr_png_(self) -> bytes:
        return encode(self.image, self.settings(), ".png")


@dataclass(frozen=True, eq=False)
class Film:
    """A sequence of dreams.

    Attributes:
      frames: uint8 [frames, H, W, 3].
      settings: how they were made.
      stopped: 'finished', 'interrupted' or 'not finite'.
    """

    frames: np.ndarray
    settings: Mapping[str, Any]
    stopped: str

    def save(self, path: str | os.PathLike[str], frames_per_second: float = 12.0) -> Path:
        """Write it as GIF, which loops, or as MP4 (with the extra `diffprog[film]`).

        Raises:
          InvalidInput: another ending, or MP4 without the extra.
          Unreachable: a folder that is not there or cannot be written.
        """
        return write_film(path, self.frames, dict(self.settings), frames_per_second)
