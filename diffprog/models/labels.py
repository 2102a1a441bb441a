"""The thousand classes of ImageNet: their names, and which class a person means by a name.

A class has several names ("tabby, tabby cat"), a name can be said by its part ("chow" for "chow chow"), and
a few names belong to two classes (134 and 517 are both "crane"). A name is never guessed at: it finds one
class, or the error lists the candidates with their numbers.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import SupportsIndex

from diffprog.errors import InvalidInput

MOST_SHOWN = 8
# The first of the two "chameleons" of ImageNet, class 40, is an anole called so in America only.
COMMONLY_MEANT = {"chameleon": 47}


@lru_cache(maxsize=1)
def imagenet_labels() -> tuple[str, ...]:
    """The names of each class, in the order of the logits, for example "tench, Tinca tinca"."""
    text = files("diffprog.models").joinpath("data/imagenet_labels.txt").read_text(encoding="utf-8")
    return tuple(line.split("\t")[1] for line in text.splitlines())


def class_index(labels: Sequence[str], name: str | SupportsIndex) -> int:
    """Find the one class that a name, a part of a name, or a number means.

    Better matches win over worse ones: the first name of a class, all its names, one of its names, whole
    words of them, any part of them. Hyphens and underscores make no difference. Nor do upper and lower case,
    but for two classes that nothing else tells apart: "Cardigan" is the dog and "cardigan" is the garment.

    Args:
        labels: for each class its names, separated by ", ".
        name: a name, a part of it, or the number of the class (an integer or its digits).

    Returns:
        The number of the class, from 0 to `len(labels) - 1`.

    Raises:
        InvalidInput: the number is out of range, or the name fits no class or several equally well.

    Example:
        >>> class_index(imagenet_labels(), "Tabby")
        281
        >>> class_index(imagenet_labels(), "convertible")
        511
    """
    if not isinstance(name, str):
        return _checked_number(labels, name)
    wanted = _plain(name)
    if re.fullmatch(r"[+-]?\d{1,18}", digits := name.strip()):
        return _checked_number(labels, int(digits))
    if not wanted:
        raise InvalidInput(
            f"the class name {name!r}", "a name or a number", "diffprog.models.load(...).labels"
        )
    for found in _matches(labels, name.strip(), wanted):
        if len(found) == 1:
            return found[0]
        if found:
            raise _ambiguous(labels, name, found)
    raise _unknown(labels, name, wanted)


def _matches(labels: Sequence[str], name: str, wanted: str) -> Iterator[list[int]]:
    """The classes that fit, best kind of match first."""
    plain = _plain_names(tuple(labels))
    whole_words = re.compile(rf"\b{re.escape(wanted)}\b")
    yield [index for index, label in enumerate(labels) if label.split(",")[0] == name]
    yield [index for index, names in enumerate(plain) if names[0] == wanted]
    yield [index for index, label in enumerate(labels) if _plain(label) == wanted]
    yield [index for index, names in enumerate(plain) if wanted in names]
    if COMMONLY_MEANT.get(wanted, len(labels)) < len(labels):
        yield [COMMONLY_MEANT[wanted]]
    yield [index for index, names in enumerate(plain) if any(map(whole_words.search, names))]
    yield [index for index, names in enumerate(plain) if any(wanted in one for one in names)]


@lru_cache(maxsize=4)
def _plain_names(labels: tuple[str, ...]) -> list[list[str]]:
    return [[_plain(name) for name in label.split(",")] for label in labels]


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[-_\s]+", " ", text).casefold().split())


def _checked_number(labels: Sequence[str], number: SupportsIndex) -> int:
    expected = f"a class number from 0 to {len(labels) - 1}, or a part of a class name"
    try:
        index: int | None = operator.index(number)
    except TypeError:
        index = None
    if index is None or isinstance(number, bool):
        raise InvalidInput(f"the class {number!r}", expected, 'a name such as "tabby"')
    if not 0 <= index < len(labels):
        raise InvalidInput(f"class number {index}", expected, f"{len(labels) - 1} for the last class")
    return index


def _ambiguous(labels: Sequence[str], name: str, found: Sequence[int]) -> InvalidInput:
    more = f" and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
    listed = "; ".join(_shown(labels, index, _plain(name)) for index in found[:MOST_SHOWN])
    return InvalidInput(
        f'the class name "{name}", which fits {len(found)} classes: {listed}{more}',
        "a name, or a part of one, that fits one class only",
        f"more of the name, or the number, for example {found[0]}",
    )


def _unknown(labels: Sequence[str], name: str, wanted: str) -> InvalidInput:
    classes: dict[str, list[int]] = {}  # a name or a word of one -> the classes that have it
    for index, label in enumerate(labels):
        for part in {*map(_plain, label.split(",")), *re.split(r"[\s,]+", _plain(label))}:
            classes.setdefault(part, []).append(index)
    near = difflib.get_close_matches(wanted, classes, n=3)
    found = dict.fromkeys((index, part) for part in near for index in classes[part][:3])
    offered = "; ".join(dict.fromkeys(_shown(labels, index, part) for index, part in found))
    return InvalidInput(
        f'the class name "{name}", which is no part of any of the {len(labels)} class names',
        "a name of a class, or a part that fits one class only",
        f"one of the nearest: {offered}"
        if near
        else "a shorter part of the name, or the number of the class",
    )


def _shown(labels: Sequence[str], index: int, part: str) -> str:
    """The number of a class and the first of its names that has the part."""
    names = labels[index].split(", ")
    return f"{index} {next((name for name in names if part in _plain(name)), names[0])}"
