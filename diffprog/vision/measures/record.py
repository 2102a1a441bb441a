"""What is known of one measured picture, as data and as JSON; None where nothing can be."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diffprog.vision.measures.repeat import Repeated
from diffprog.vision.measures.transfer import Transfer
from diffprog.vision.measures.variety import Variety


@dataclass(frozen=True)
class Measures:
    """What is known of one picture.

    Attributes:
      name: of the picture.
      title: of what it should excite.
      model: the network that was asked.
      size: height and width of the picture.
      seen: height and width in which the network saw it.
      wanted: the class that it should be, for class scores.
      score: of the picture as it is.
      robust: the mean score under held-out views (`measures.held_out`).
      low: the 5th percentile under them.
      slope: `spectral_slope`; NaN for a picture of one grey level.
      high: `high_frequency_share`.
      colors: `color_distance`.
      transfer: what other networks say.
      variety: of all pictures of the same unit by the same recipe that were measured together, if there are several.
      repeated: what drawing it again gave.
      notes: what was changed or left out, in words.
    """

    name: str
    size: tuple[int, int]
    slope: float | None
    high: float | None
    colors: float | None
    title: str | None = None
    model: str | None = None
    seen: tuple[int, int] | None = None
    wanted: int | None = None
    score: float | None = None
    robust: float | None = None
    low: float | None = None
    transfer: tuple[Transfer, ...] = ()
    variety: Variety | None = None
    repeated: Repeated | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything in plain numbers, strings, lists and dictionaries; what is not known is None."""
        verdicts = [{**one._asdict(), "top1": one.top1, "top5": one.top5} for one in self.transfer]
        again = self.repeated and {**self.repeated._asdict(), "same": self.repeated.same}
        parts = {"transfer": verdicts, "repeated": again, "variety": self.variety and self.variety._asdict()}
        return {name: _plain(value) for name, value in {**vars(self), **parts}.items()}


def to_json(rows: Sequence[Measures]) -> str:
    """The measures as JSON, picture by picture."""
    return json.dumps([one.to_dict() for one in rows], indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
