"""Recipes in plain numbers, strings and lists, and back: what a saved picture says of how it was drawn.

Every dataclass of the rooms of canvases, transforms, regularizers, optimizers and overrides is a part, without being
entered anywhere. What holds a function or a photograph is not: it is named, and a picture drawn with it is drawn again
from the recipe object alone.
"""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

from diffprog.errors import InvalidInput
from diffprog.vision import canvases, regularizers, transforms
from diffprog.vision.recipes import gradients, optimizers

ROOMS: tuple[ModuleType, ...] = (canvases, transforms, regularizers, optimizers, gradients)
NO_PARTS = {"Geometric", "Compose", "Photograph", "Latent", "Sized"}
LARGEST_NUMBER = 4096  # a file from outside cannot ask for a crop, a blur or a frame of more pixels


def _parts(rooms: tuple[ModuleType, ...]) -> dict[str, type]:
    return {
        name: part
        for room in rooms
        for name, part in vars(room).items()
        if isinstance(part, type) and dataclasses.is_dataclass(part) and name not in NO_PARTS
        if part.__module__.startswith(room.__name__)  # what a room only imports is not a part
    }


PARTS = _parts(ROOMS)


def plain(value: Any) -> Any:
    """A part, or what it is made of, in plain numbers, strings, lists and dictionaries."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if type(value) in PARTS.values():
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"part": type(value).__name__, **fields}
    if isinstance(value, int | float | str | None):
        return value
    # The user's own: said, but not drawn again from a file.
    return {"part": f"a picture {list(value.shape)}" if hasattr(value, "shape") else repr(value)}


def revived(value: Any) -> Any:
    """What `plain` wrote; nothing but parts is ever called.

    Raises:
      InvalidInput: a name that is not a part, or a number that no recipe needs.
    """
    if isinstance(value, list):
        return tuple(revived(item) for item in value)
    if isinstance(value, dict):
        fields = {name: revived(item) for name, item in value.items()}
        name = fields.pop("part", None)
        if name not in PARTS:
            raise InvalidInput(
                f"a recipe with the part {name!r}",
                f"one of {', '.join(PARTS)}",
                "passing the recipe object that it was drawn with",
            )
        _check_numbers(name, fields)
        return PARTS[name](**fields)
    return value


def _check_numbers(name: str, fields: dict[str, Any]) -> None:
    for field, value in fields.items():
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise InvalidInput(
                f"a recipe with {name}({field}={value})",
                f"whole numbers of at most {LARGEST_NUMBER}, so that a file cannot take all memory",
                "drawing it from Python, with the recipe in your own hands",
            )
