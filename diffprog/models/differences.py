"""How the tensors of a file depart from those that a network needs: what is missing, surplus, or of another shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

MOST_SHOWN = 3

Shapes = Mapping[str, tuple[int, ...]]
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


def differences(got: Shapes, wanted: Shapes) -> Differences:
    """What is missing, surplus, or of another shape.

    Example:
        >>> differences({"a": (1,), "b": (2,)}, {"a": (3,), "c": (4,)})
        Differences(missing=['c'], surplus=['b'], shapes=['a'])
    """
    return Differences(
        [name for name in wanted if name not in got],
        [name for name in got if name not in wanted],
        [name for name in wanted if name in got and got[name] != wanted[name]],
    )
