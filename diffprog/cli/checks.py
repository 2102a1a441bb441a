"""What can be known to go wrong before the work starts, so that nothing is lost after minutes of it.

Each check takes what the user typed and returns it as what the library takes, or raises an error in the
words of the command line.
"""

from __future__ import annotations

import difflib
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.models import Card
from diffprog.vision import Recipe, check_destination, read_request, recipes
from diffprog.vision.canvases.canvas import height_width
from diffprog.vision.transforms import output_shape

LARGEST_SEED = 2**32 - 1  # keys are made of 32-bit words
LARGEST_SIZE = 4096  # a typing error, or a picture from elsewhere, should not take all memory
LONGEST_STEM = 80


def whole(option: str, number: int, least: int, most: int | None = None) -> int:
    """A number of at least `least` and at most `most`.

    Raises:
        InvalidInput: another number.
    """
    if number < least or (most is not None and number > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InvalidInput(
            f"{option} {number}",
            f"a whole number {limits}",
            f"{option} {max(least, 1) if number < least else most}",
        )
    return number


def recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        InvalidInput: there is none; the nearest is offered.
    """
    if name in recipes.RECIPES:
        return recipes.RECIPES[name]
    near = difflib.get_close_matches(name.lower(), recipes.RECIPES, n=1, cutoff=0.0)
    raise InvalidInput(f"--recipe {name}", "one of " + ", ".join(recipes.RECIPES), f"--recipe {near[0]}")


def recipe_name(recipe: Recipe) -> str:
    """What `--recipe` calls one of the recipes."""
    return next(name for name, known in recipes.RECIPES.items() if known is recipe)


def size(card: Card, recipe: Recipe, wanted: int | None) -> int:
    """The size that will be drawn: the wanted one, else the recipe's, else the network's own.

    Raises:
        InvalidInput: too small for the network, by itself or after the recipe's transforms, or too large.
    """
    if wanted is None:
        return min(height_width(recipe.size or card.input_size))
    whole("--size", wanted, 1, LARGEST_SIZE)
    least = next(size for size in range(card.min_size, card.min_size + 1024) if _fits(card, recipe, size))
    if wanted < least:
        raise InvalidInput(
            f"--size {wanted}",
            f"at least {least} pixels, the smallest picture that {card.title} can use with this recipe",
            f"--size {max(least, 96)}, or leave it out for {recipe.size or card.input_size}",
        )
    return wanted


def _fits(card: Card, recipe: Recipe, size: int) -> bool:
    try:
        return min(size, *output_shape(recipe.transforms, (size, size))) >= card.min_size
    except InvalidInput:
        return False


def destination(path: Path, check: Callable[[Path], Path] = check_destination) -> Path:
    """A path that a picture can be written to now.

    Args:
        path: where it shall be.
        check: refuses other endings than those of the pictures to be written; a PNG when left out.

    Raises:
        InvalidInput: another ending.
        Unreachable: a folder that is not there or cannot be written, or a path that is a folder.
    """
    try:
        path = check(path)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            return path
    except Unreachable:
        raise
    except OSError as error:
        raise Unreachable(
            f"{path}, which cannot be written ({error.strerror})",
            "a file that you may write",
            "another --out",
        ) from None


def default_destination(text: str) -> Path:
    """A path in the current folder named after what the user typed; only our own pictures are replaced.

    Raises:
        InvalidInput: there is such a file, and it is not a picture that diffprog drew.
        Unreachable: the current folder cannot be written.

    Example:
        >>> str(default_destination("fire5/expand3x3:12"))
        'fire5_expand3x3_12.png'
    """
    stem = re.sub(r"[^\w-]+", "_", text).strip("_-")[:LONGEST_STEM] or "picture"
    path = destination(Path(f"{stem}.png"))
    try:
        if path.exists():
            read_request(path)
    except BadFile:
        raise InvalidInput(
            f"{path}, which is there and was not drawn by diffprog",
            "a new file, or one that can be drawn again",
            f"--out {stem}_drawn.png, or --out {path} to replace it",
        ) from None
    return path
