"""Tables for people that programs can read too: aligned columns, one line a row, never wrapped or cut."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from diffprog.graph import Layer
from diffprog.models import CARDS, OTHER_CARDS, Card, Other, at_hand
from diffprog.weights.cache import cached_path

NUMBERS = frozenset({"size", "channels", "parameters", "MB"})


def models() -> str:
    """The networks, their licences, and where their weights are now."""
    head = ("name", "title", "size", "parameters", "MB", "licence", "weights")
    return columns(head, [*map(_model, CARDS), *map(_other, OTHER_CARDS)])


def layers(listed: Iterable[Layer]) -> str:
    """The layers of a network, in order of computation; shapes without the batch axis."""
    head = ("name", "shape", "channels", "operation")
    rows = (
        (one.name, "x".join(map(str, one.shape[1:])), str(one.shape[-1]), one.operation) for one in listed
    )
    return columns(head, rows)


def whereabouts(card: Card) -> str:
    """Where the weights of a network are."""
    if card.source is None:
        return "come with diffprog"
    return "in the cache" if at_hand(card.name) else "fetched when first used"


def columns(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Container[str] = NUMBERS) -> str:
    """Aligned columns, those of numbers to the right.

    Example:
        >>> print(columns(("name", "size"), [("a", "224"), ("bcd", "64")]))
        name  size
        a      224
        bcd     64
    """
    table = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    right = [name in numbers for name in head]
    lines = (
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        for row in table
    )
    return "\n".join(map(str.rstrip, lines))


def _model(card: Card) -> tuple[str, ...]:
    size, parameters, megabytes = str(card.input_size), f"{card.parameters:,}", f"{card.megabytes:.1f}"
    return card.name, card.title, size, parameters, megabytes, card.licence, whereabouts(card)


def _other(one: Other) -> tuple[str, ...]:
    size, where = str(one.size or "-"), "fetched when first used"
    if cached_path(one.name, one.source).exists():
        where = "in the cache"
    return one.name, one.title, size, f"{one.parameters:,}", f"{one.megabytes:.1f}", one.licence, where
