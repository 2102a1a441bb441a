"""What can be known to go wrong before the work starts, so that nothing is lost after minutes of it.

Each check takes what the user typed and returns it as what the library takes, or raises an error in the
words of the command line.
"""

from __future__ import annotations

import difflib
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

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


def one_of(option: str, name: str, names: Iterable[str]) -> str:
    """A name that is one of these.

    Raises:
        InvalidInput: it is not; the nearest is offered.
    """
    listed = list(names)
    if name in listed:
        return name
    near = difflib.get_close_matches(name.lower(), listed, n=1, cutoff=0.0)
    raise InvalidInput(f"{option} {name}", "one of " + ", ".join(listed), f"{option} {near[0]}")


def recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        InvalidInput: there is none; the nearest is offered.
    """
    return recipes.RECIPES[one_of("--recipe", name, recipes.RECIPES)]


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


def default_destination(
    text: str, read: Callable[[Path], Any] = read_request, maker: str = "diffprog"
) -> Path:
    """A path in the current folder named after what the user typed; only our own pictures are replaced.

    Args:
        text: what was typed.
        read: as in `replaceable`.
        maker: as in `replaceable`.

    Raises:
        InvalidInput: there is such a file, and it is not ours.
        Unreachable: the current folder cannot be written.

    Example:
        >>> [str(default_destination(text)) for text in ("fire5/expand3x3:12", "a person, smiling | a hat:-1")]
        ['fire5_expand3x3_12.png', 'a_person_smiling_a_hat_-1.png']
    """
    stem = re.sub(r"[^\w-]+", "_", text).strip("_-")[:LONGEST_STEM] or "picture"
    return replaceable(destination(Path(f"{stem}.png")), read, maker)


def replaceable(path: Path, read: Callable[[Path], Any], maker: str) -> Path:
    """A path that the user did not choose, if it is free or what is there can be made again.

    Args:
        path: where we would write.
        read: reads what a file of ours says of itself, and raises `BadFile` for any other.
        maker: the command that makes such files.

    Raises:
        InvalidInput: there is a file that is not ours.
    """
    try:
        if path.exists():
            read(path)
    except BadFile:
        raise InvalidInput(
            f"{path}, which is there and was not made by {maker}",
            "a new file, or one that can be made again",
            f"--out {path.stem}_2{path.suffix}, or --out {path} to replace it",
        ) from None
    return path
