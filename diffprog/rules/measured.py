"""How fast the rules were, on one machine: what `tests/benchmarks/rules.py --keep` wrote.

Ratios of medians in one process, float32; above 1 the rule is faster. They are printed by `diffprog rules` and in the
docs, and they are the reason for every choice between a rule and the plain operation.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple


class Measurement(NamedTuple):
    """One row of the benchmark: what was timed, and how much longer JAX's autodiff and PyTorch took."""

    rule: str
    what: str
    plain: float
    torch: float | None


class Measured(NamedTuple):
    """All rows, and where they were measured."""

    machine: str
    rows: tuple[Measurement, ...]

    def of(self, rule: str) -> tuple[Measurement, ...]:
        """The rows of one rule."""
        return tuple(row for row in self.rows if row.rule == rule)


@lru_cache
def measured() -> Measured:
    """The measurements that come with the package."""
    text = files("diffprog.rules").joinpath("data/measured.json").read_text(encoding="utf-8")
    data = json.loads(text)
    return Measured(data["machine"], tuple(Measurement(**row) for row in data["rows"]))


def span(ratios: tuple[float, ...]) -> str:
    """The range of some ratios, for people.

    Example:
      >>> span((1.04, 21.3)), span((3.0,)), span(())
      ('1.0-21x', '3.0x', '-')
    """
    if not ratios:
        return "-"
    low, high = (f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}" for ratio in (min(ratios), max(ratios)))
    return f"{low}x" if low == high else f"{low}-{high}x"
