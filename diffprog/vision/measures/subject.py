"""What is measured: a picture, and what it is known to be of. Drawings say that of themselves, photographs do not."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diffprog.errors import BadFile, DiffprogError
from diffprog.graph.objectives import Objective, objective_from_dict
from diffprog.vision.canvases.canvas import height_width
from diffprog.vision.drawing import LARGEST_REQUEST, Drawing
from diffprog.vision.photo import Photo, as_photo, keep_quiet, read_photo
from diffprog.vision.picture_files import read_settings
from diffprog.vision.recipes import Recipe
from diffprog.vision.sheet import taken_apart


@dataclass(frozen=True, eq=False)
class Subject:
    """One picture to measure.

    Attributes:
      pixels: float32 [H, W, C] in [0, 1].
      name: for people.
      objective: what it should excite; None if that is not known.
      title: the objective in words.
      model: the name of the network that it was drawn from.
      recipe: how it was drawn; None for a photograph.
      path: the file that it is in; several pictures can be in one.
      notes: what was changed or left out in reading it, in words.
    """

    pixels: np.ndarray
    name: str
    objective: Objective | None = None
    title: str | None = None
    model: str | None = None
    recipe: Recipe | None = None
    path: Path | None = None
    notes: tuple[str, ...] = ()

    def of(self, objective: Objective, title: str | None = None) -> Subject:
        """The same picture, asked of another unit."""
        return replace(self, objective=objective, title=title)


def subjects(what: Any) -> list[Subject]:
    """The pictures of a file, a `Drawing`, a `Photo` or an array [H, W, 3].

    Raises:
      Unreachable: no such file.
      BadFile: no picture, or a damaged one.
      InvalidInput: an array that is no picture.
    """
    if isinstance(what, Subject):
        return [what]
    if isinstance(what, Drawing):
        return _drawn(what)
    if isinstance(what, str | os.PathLike):
        return _read(Path(what))
    photo = as_photo(what, announce=keep_quiet)
    return [_of_photo(photo)]


def _drawn(drawing: Drawing) -> list[Subject]:
    several = len(drawing.keys)
    title = drawing.title or "drawing"
    return [
        Subject(
            pixels=image,
            name=_numbered(title, number, len(drawing.images)),
            objective=drawing.objectives[number // several],
            title=drawing.title,
            model=drawing.model,
            recipe=drawing.recipe,
        )
        for number, image in enumerate(drawing.images)
    ]


def _of_photo(photo: Photo, path: Path | None = None) -> Subject:
    return Subject(photo.pixels, photo.name or "picture", path=path, notes=photo.notes)


def _read(path: Path) -> list[Subject]:
    photo = _of_photo(read_photo(path, announce=keep_quiet), path)
    try:
        settings = read_settings(path)
        if not {"objectives", "keys", "recipe", "scores"} <= settings.keys():
            return [photo]  # a dream, or what was guided: not of one unit
        return _from_settings(photo, path, settings)
    except BadFile:  # not by diffprog
        return [photo]
    except DiffprogError as error:
        return [_said(photo, f"drawn by diffprog, but of what cannot be read: {error.got}")]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        return [_said(photo, f"drawn by diffprog, but what it says is damaged ({type(error).__name__})")]


def _from_settings(photo: Subject, path: Path, settings: dict[str, Any]) -> list[Subject]:
    """The pictures of a sheet, each with what it is of."""
    objectives = [objective_from_dict(one) for one in settings["objectives"]]
    keys, count = len(settings["keys"]), len(settings["scores"])
    if not 1 <= count <= min(LARGEST_REQUEST["pictures"], keys * len(objectives)):
        return [_said(photo, "drawn by diffprog, but how many pictures it holds is not clear")]
    size = settings["recipe"]["size"]
    size = height_width(tuple(size) if isinstance(size, list) else size)
    pictures = taken_apart(_pixels(path), count, keys, size)
    if pictures is None:
        return [_said(photo, "drawn by diffprog, but in another size now: taken for any picture")]
    recipe, notes = _recipe(settings["recipe"])
    title, model = settings["title"], settings["model"]
    return [
        Subject(
            pixels=picture,
            name=_numbered(path.name, number, count),
            objective=objectives[number // keys],
            title=None if title is None else str(title),
            model=None if model is None else str(model),
            recipe=recipe,
            path=path,
            notes=notes,
        )
        for number, picture in enumerate(pictures)
    ]


def _recipe(data: dict[str, Any]) -> tuple[Recipe | None, tuple[str, ...]]:
    """The recipe, if it can be read: one with parts of the user's own is described, not written."""
    try:
        return Recipe.from_dict(data), ()
    except DiffprogError as error:
        return None, (f"its recipe cannot be read ({error.got}); seen as any picture",)


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path, formats=("PNG",)) as picture:
        return np.asarray(picture).astype(np.float32) / 255


def _said(subject: Subject, note: str) -> Subject:
    return replace(subject, notes=(*subject.notes, note))


def _numbered(name: str, number: int, count: int) -> str:
    return name if count == 1 else f"{name} #{number + 1}"
