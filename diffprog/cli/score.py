"""`diffprog score`: what pictures are worth, as a table for people or as JSON for programs.

Which network a picture is of, and which unit, is read from the picture, or said by options, which count for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from diffprog import models
from diffprog.cli import checks, units
from diffprog.cli.listings import columns
from diffprog.errors import InvalidInput
from diffprog.vision.measures import Measures, Repeated, Subject, measure, subjects, to_json

MOST_DRAWS = 100_000
NONE, UNKNOWN = "none", "–"
NUMBERS = frozenset({"seen", "score", "robust", "lowest 5 %", "slope", "fine", "colours"})
LEGEND = """\
robust   mean score under random views: moved, turned, scaled, in other light; and what one view in twenty is below
slope    of the power over the frequency: 0 noise, 2 to 3 photographs;  fine: share of structures under 4 pixels
colours  distance from the colours of photographs, 0 to 1.41"""


@dataclass(frozen=True)
class Wish:
    """The options of the command, as they were typed."""

    pictures: list[Path]
    model: str | None
    unit: str | None
    judges: list[str]
    size: int | None
    draws: int
    seed: int
    redraw: bool
    json: bool


def run(wish: Wish) -> None:
    """Measure the pictures and print what was found.

    Raises:
        InvalidInput: an unknown name, a number out of range, a unit that the network does not have.
        Unreachable: a file that is not there, or weights that cannot be fetched.
        BadFile: a file that is no picture.
    """
    checks.whole("--draws", wish.draws, 1, MOST_DRAWS)
    checks.whole("--seed", wish.seed, 0, checks.LARGEST_SEED)
    if wish.model is not None:
        checks.one_of("--model", wish.model, models.names())
    for judge in wish.judges:
        checks.one_of("--judge", judge, (*models.names(), NONE))
    found = [one for path in wish.pictures for one in subjects(path)]
    rows: list[Measures | None] = [None] * len(found)
    for name in dict.fromkeys(_model_of(one, wish) for one in found):
        chosen = [number for number, one in enumerate(found) if _model_of(one, wish) == name]
        results = _measured([found[number] for number in chosen], name, wish)
        for number, row in zip(chosen, results, strict=True):
            rows[number] = row
    done = [row for row in rows if row is not None]
    typer.echo(to_json(done) if wish.json else table(done, wish))


def table(rows: Sequence[Measures], wish: Wish) -> str:
    """The measures as a table, what is said once of several pictures below it, and what the columns mean."""
    judges = list(dict.fromkeys(one.judge for row in rows for one in row.transfer))
    head = ("picture", "of", "seen", "score", "robust", "lowest 5 %", "slope", "fine", "colours", *judges)
    said = [*_summaries(rows, judges), *(f"{row.name}: {note}" for row in rows for note in row.notes)]
    if not judges and any(row.wanted is not None for row in rows) and NONE not in wish.judges:
        said.append("no other network is at hand to ask; --judge efficientnet-lite0 fetches one")
    parts = [columns(head, (_cells(row, judges) for row in rows), NUMBERS), "\n".join(said), LEGEND]
    return "\n\n".join(filter(None, parts))


def _measured(found: list[Subject], name: str | None, wish: Wish) -> tuple[Measures, ...]:
    """The pictures of one network."""
    if name is None:
        return measure(*found)
    net = models.load(name)
    size = None if wish.size is None else checks.whole("--size", wish.size, net.min_size, checks.LARGEST_SIZE)
    if wish.unit is not None:
        unit = units.parse(wish.unit, net, size or net.input_size)
        found = [one.of(unit.objective, unit.title) for one in found]
    judges = {other: models.load(other) for other in judges_for(name, wish.judges)}
    rows = measure(
        *found, model=net, judges=judges, size=size, draws=wish.draws, key=wish.seed,
        again=wish.redraw, progress=None if wish.json else True,
    )  # fmt: skip
    return tuple(replace(row, model=name) for row in rows)


def judges_for(model: str, wanted: Sequence[str]) -> list[str]:
    """The networks that are asked: those that were named, else all others that need no fetching.

    Raises:
        InvalidInput: the network that the picture is of.
    """
    if wanted:
        others = [name for name in dict.fromkeys(wanted) if name != model]
        if not others:
            raise InvalidInput(
                f"--judge {model}, which is the network that the picture is of",
                "one that had no part",
                "leaving --judge out, or another of " + ", ".join(n for n in models.names() if n != model),
            )
        return [name for name in others if name != NONE]
    return [name for name in models.names() if name != model and models.at_hand(name)]


def _model_of(subject: Subject, wish: Wish) -> str | None:
    """The name of the network to ask; None to look at the pixels only."""
    if wish.model is not None:
        return wish.model
    if subject.model in models.names():
        return subject.model
    return "squeezenet" if wish.unit is not None else None


def _cells(row: Measures, judges: Sequence[str]) -> tuple[str, ...]:
    verdicts = {one.judge: one for one in row.transfer}
    asked = [verdicts.get(judge) for judge in judges]
    return (
        row.name,
        ", ".join((row.title or UNKNOWN).split(", ")[:2]),
        UNKNOWN if row.seen is None else f"{row.seen[1]}x{row.seen[0]}",
        *(_number(value, 2) for value in (row.score, row.robust, row.low)),
        *(_number(value, digits) for value, digits in ((row.slope, 2), (row.high, 4), (row.colors, 2))),
        *(UNKNOWN if one is None else f"{_place(one.rank)}, {one.probability:.1%}" for one in asked),
    )


def _summaries(rows: Sequence[Measures], judges: Sequence[str]) -> list[str]:
    lines = []
    for judge in judges:
        verdicts = [one for row in rows for one in row.transfer if one.judge == judge]
        if len(verdicts) > 1:
            first, five = sum(one.top1 for one in verdicts), sum(one.top5 for one in verdicts)
            lines.append(f"{judge}: first in {first} of {len(verdicts)}, among the first five in {five}")
    for variety, title in {row.variety: row.title for row in rows if row.variety is not None}.items():
        lines.append(
            f"{title}: {variety.pictures} pictures, variety {variety.value:.3f} by {variety.layer}"
            " (0 the same texture, 1 nothing in common)"
        )
    # All pictures of one file share what drawing it again gave.
    again = {id(row.repeated): (row.name, row.repeated) for row in rows if row.repeated is not None}
    return [*lines, *(_drawn_again(name.split(" #")[0], found) for name, found in again.values())]


def _drawn_again(name: str, again: Repeated) -> str:
    same = (
        "the same picture to the last bit of its pixels"
        if again.same
        else f"other by at most {again.difference} of 255 levels, in {again.share:.1%} of its numbers"
    )
    held = "" if again.peak is None else f", at most {again.peak / 2**20:.0f} MiB of memory"
    return f"{name}: drawn again, {same}; {again.seconds:.1f} s{held}"


def _place(rank: int) -> str:
    """A rank in words.

    Example:
        >>> [_place(rank) for rank in (1, 2, 3, 4, 11, 12, 22, 103, 111)]
        ['1st', '2nd', '3rd', '4th', '11th', '12th', '22nd', '103rd', '111th']
    """
    ending = "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank}{ending}"


def _number(value: float | None, digits: int) -> str:
    return UNKNOWN if value is None or value != value else f"{value:.{digits}f}"
