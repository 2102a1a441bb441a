"""What the layouts of published weights are described in: names and shapes of tensors, and networks known by name."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from diffprog.errors import InvalidInput

Tensors = Mapping[str, np.ndarray]
Shapes = Mapping[str, tuple[int, ...]]
Entries = Iterator[tuple[str, tuple[int, ...]]]
Described = TypeVar("Described", bound=Any)


def numbered(shapes: Shapes, pattern: str) -> int:
    """How many layers there are whose names match, by the greatest number, which is the pattern's first group.

    Raises:
        ValueError: there is none.

    Example:
        >>> numbered({"up.0.weight": (1,), "up.2.weight": (1,)}, r"up\\.(\\d+)\\.")
        3
    """
    return 1 + max(int(match[1]) for name in shapes if (match := re.match(pattern, name)))


def as_known(found: Described, known: Iterable[Described]) -> Described:
    """The known architecture that is the same but for its name; else the one that was found."""
    return next((one for one in known if dataclasses.replace(found, name=one.name) == one), found)


def by_name(what: str, name: str, known: Mapping[str, Described], option: str = "") -> Described:
    """What a name stands for.

    Args:
        what: the name is of, for the message.
        name: one of those that are known.
        known: by name.
        option: how the remedy begins, such as "kind=".

    Raises:
        InvalidInput: it is not; the nearest is offered.

    Example:
        >>> by_name("the kind", "bigan", {"biggan": 1})
        Traceback (most recent call last):
            ...
        diffprog.errors.InvalidInput: the kind 'bigan'
          expected: one of biggan
          try: 'biggan'
    """
    if name in known:
        return known[name]
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.3)
    remedy = f"{option}{near[0]!r}" if near else "leaving it out: it is recognized from the weights"
    raise InvalidInput(f"{what} {name!r}", "one of " + ", ".join(known), remedy)
