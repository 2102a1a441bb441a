"""Pictures with their names, concept by concept: a concept has variants, such as the skin tones of one drawing.

A step of training sees one variant of each of its concepts, so that no two of a batch are nearly the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from diffprog.data import Drawings
from diffprog.errors import InvalidInput

VARIANTS = 6  # a drawing without a tone, and five with
FIXED_GROUPS = frozenset({"Symbols", "Flags", "OpenMoji"})  # letters and flags mean another thing in a mirror
FIXED_WORDS = frozenset({"left", "right", "clockwise", "counterclockwise", "o’clock", "clock"})


class Pairs(NamedTuple):
    """N concepts of V variants each; a concept of fewer has some of them twice.

    Attributes:
        pictures: uint8 [N, V, S, S, 3].
        names: N times V of them, none empty.
        mirrors: bool [N], whether the mirrored picture has the same name.
    """

    pictures: np.ndarray
    names: tuple[tuple[str, ...], ...]
    mirrors: np.ndarray


def concepts(drawings: Drawings, at: Iterable[int], variants: int = VARIANTS) -> Pairs:
    """The named drawings among those numbers, by family; the first variant is the one of the fewest code points.

    Args:
        drawings: from `diffprog.data.openmoji`.
        at: numbers of drawings, one side of `diffprog.data.split`.
        variants: V; of families with more, they are taken evenly.

    Raises:
        InvalidInput: no named drawing among them.
    """
    families: dict[str, list[int]] = {}
    for number in at:
        if drawings.names[number]:
            families.setdefault(drawings.families[number], []).append(int(number))
    if not families:
        raise InvalidInput("drawings without names", "at least one with a name", "openmoji(most=None)")
    chosen = np.array([_variants(drawings, numbers, variants) for numbers in families.values()])
    return Pairs(
        drawings.pictures[chosen],
        tuple(tuple(drawings.names[number] for number in row) for row in chosen),
        np.array([_mirrors(drawings.groups[row[0]], drawings.names[row[0]]) for row in chosen]),
    )


def _variants(drawings: Drawings, numbers: list[int], count: int) -> list[int]:
    plain_first = sorted(numbers, key=lambda n: (len(drawings.codes[n]), drawings.codes[n]))
    if len(plain_first) > count:
        return [plain_first[i] for i in np.linspace(0, len(plain_first) - 1, count).astype(int)]
    return [plain_first[i % len(plain_first)] for i in range(count)]


def _mirrors(group: str, name: str) -> bool:
    return group not in FIXED_GROUPS and not FIXED_WORDS & set(name.lower().replace("-", " ").split())
