"""How the tensors of a file depart from those that a network needs, and what to say of it.

Names in messages are those of the user's file, which `shown` gives for the published ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from diffprog.errors import BadFile
from diffprog.models.layouts import Shapes

MOST_SHOWN = 3

Shown = Callable[[str], str]


class Differences(NamedTuple):
    """How tensors depart from an architecture."""

    missing: list[str]
    surplus: list[str]
    shapes: list[str]

    @property
    def total(self) -> int:
        return sum(map(len, self))

    def said(self, got: Shapes, wanted: Shapes, shown: Shown) -> str:
        """All of it in one line, a few names of each kind."""
        shapes = [f"{shown(n)} {list(got[n])} instead of {list(wanted[n])}" for n in self.shapes[:MOST_SHOWN]]
        parts = (
            ("missing", self.missing, list(map(shown, self.missing[:MOST_SHOWN]))),
            ("surplus", self.surplus, list(map(shown, self.surplus[:MOST_SHOWN]))),
            ("of another shape", self.shapes, shapes),
        )
        return "; ".join(
            f"{len(all_)} {what} ({listed(few, len(all_))})" for what, all_, few in parts if all_
        )


def listed(few: list[str], count: int) -> str:
    """A few names out of so many.

    Example:
        >>> listed(["a", "b"], 3)
        'a, b, ...'
    """
    return ", ".join(few) + (", ..." if count > len(few) else "")


def compare(got: Shapes, wanted: Shapes) -> Differences:
    """What is missing, surplus, or of another shape.

    Example:
        >>> compare({"a": (1,), "b": (2,)}, {"a": (3,), "c": (4,)})
        Differences(missing=['c'], surplus=['b'], shapes=['a'])
    """
    return Differences(
        [name for name in wanted if name not in got],
        [name for name in got if name not in wanted],
        [name for name in wanted if name in got and got[name] != wanted[name]],
    )


def nearest(got: Shapes, known: Mapping[str, Shapes]) -> tuple[str, Differences]:
    """The name of the network that tensors come nearest to, and how they depart from it."""
    every = [(name, compare(got, wanted)) for name, wanted in known.items()]
    return min(every, key=lambda pair: pair[1].total)


def advice(got: Shapes, known: Mapping[str, Shapes], shown: Shown) -> str:
    """What to try with tensors that do not fit: the published network that they do fit, or come nearest to."""
    name, found = nearest(got, known)
    if not found.total:
        return f"architecture={name!r}, which they fit; or leave it out, and it is recognized"
    said = found.said(got, known[name], shown)
    return f"the whole file; the published network that these come nearest to is {name}: {said}"


def check_fit(
    got: Shapes,
    wanted: Shapes,
    title: str,
    path: str,
    shown: Shown,
    known: Callable[[], Mapping[str, Shapes]],
) -> None:
    """Refuse tensors that are not exactly those of an architecture.

    Args:
        got: shapes by published name.
        wanted: those of the architecture.
        title: what it is called.
        path: of the file, for the message.
        shown: from a published name to that of the file.
        known: gives the shapes of every published network, by its name, to say which one fits instead.

    Raises:
        BadFile: with the keys that differ, and the published architecture that they fit or come nearest to.
    """
    found = compare(got, wanted)
    if found.total:
        raise BadFile(
            f"{path}: weights that are not those of {title}: {found.said(got, wanted, shown)}",
            f"the {len(wanted)} tensors of {title}, no fewer and no more",
            advice(got, known(), shown),
        )


def looks_like(names: Iterable[str], marks: Mapping[str, str]) -> str | None:
    """What tensors of these names are of, by a part of a name that only one network has; None if nothing is known.

    Example:
        >>> looks_like(["fire2/squeeze/kernel"], {"fire2": "SqueezeNet"})
        'SqueezeNet'
    """
    every = list(names)
    return next((what for mark, what in marks.items() if any(mark in name for name in every)), None)
