"""How a dream is made, as data: scales of the photograph, steps, step size, tiles.

`DEEPDREAM` are the numbers of the notebook of 2015; `DEFAULT` are ours. `recipe.replace(steps=20)` is another one, and
printing a recipe reads like a table.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from diffprog.errors import InvalidInput

SURROUNDS = ("symmetric", "wrap")
MOST_OCTAVES = 32
SMALLEST_OCTAVE = 0.7  # of a tile: how long the longer side of the smallest octave is at least


@dataclass(frozen=True)
class DreamRecipe:
    """How a photograph is dreamt.

    At every octave, from the smallest, the picture is what the photograph is at that scale plus what was dreamt so
    far, enlarged; then come `steps` times

        x <- clip(x + step_size * g / mean |g|, 0, 1),    g the gradient of the objective, put together from tiles.

    Attributes:
      octaves: at how many scales; None for as many as it takes until the photograph fits into one tile.
      octave_scale: how much larger every octave is than the one before.
      steps: how many at every octave.
      step_size: how far a pixel moves in one step, on average; pixels are in [0, 1].
      jitter: by how many pixels, each way, the grid of tiles moves at least from step to step. What room the tiles
        leave beyond that is used too.
      bands: into how many bands of frequencies the gradient is split, to be made equally strong; 1 leaves it as it is.
      tile: height and width of what the network sees at once; None for the network's own input size.
      overlap: how many pixels neighbouring tiles share; the outer quarter of it on either side is not used, because a
        network sees less there, and the half between is blended.
      surround: what lies beyond the photograph's edge: "symmetric" for its mirror image, "wrap" for its other side.
    """

    octaves: int | None = None
    octave_scale: float = 1.4
    steps: int = 20
    step_size: float = 0.8 / 255
    jitter: int = 16
    bands: int = 2
    tile: int | None = None
    overlap: int = 32
    surround: str = "symmetric"

    def __post_init__(self) -> None:
        if self.octaves is not None:
            _check_whole("octaves", self.octaves, 1, MOST_OCTAVES)
        if self.tile is not None:
            _check_whole("tile", self.tile, 1)
        for name, least in (("steps", 1), ("jitter", 0), ("bands", 1), ("overlap", 0)):
            _check_whole(name, getattr(self, name), least)
        _check_number("octave_scale", self.octave_scale, 1.01, 16.0)
        _check_number("step_size", self.step_size, 0.0, 1.0)
        if self.surround not in SURROUNDS:
            expected = " or ".join(map(repr, SURROUNDS))
            raise InvalidInput(f"surround={self.surround!r}", expected, "surround='symmetric'")

    def replace(self, **changes: Any) -> DreamRecipe:
        """The same recipe with some of its parts changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The recipe in plain numbers and strings."""
        return dataclasses.asdict(self)

    def shapes(self, shape: tuple[int, int], tile: int) -> list[tuple[int, int]]:
        """Height and width of every octave of a photograph, from the smallest; none is below one pixel.

        Example:
          >>> DreamRecipe(octaves=3, octave_scale=2.0).shapes((300, 451), 224)
          [(75, 113), (150, 226), (300, 451)]
        """
        fitting = math.log(max(shape) / (SMALLEST_OCTAVE * tile)) / math.log(self.octave_scale)
        count = self.octaves or min(MOST_OCTAVES, 1 + max(0, math.floor(fitting)))
        scales = [self.octave_scale**k for k in reversed(range(count))]
        return [(max(1, round(shape[0] / s)), max(1, round(shape[1] / s))) for s in scales]

    def __str__(self) -> str:
        rows = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        return "\n".join(f"{name:<14} {'by size' if value is None else value}" for name, value in rows)


def _check_whole(name: str, value: Any, least: int, most: int | None = None) -> None:
    good = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if not good or (most is not None and value > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InvalidInput(f"{name}={value!r}", f"a whole number {limits}", f"{name}={max(least, 4)}")


def _check_number(name: str, value: Any, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        default = DreamRecipe.__dataclass_fields__[name].default
        raise InvalidInput(
            f"{name}={value!r}", f"a number from {least:g} to {most:g}", f"{name}={default:.3g}"
        )


DEEPDREAM = DreamRecipe(
    octaves=4, octave_scale=1.4, steps=10, step_size=1.5 / 255, jitter=32, bands=1, surround="wrap"
)
"""The notebook of google/deepdream (2015) in its numbers: 4 octaves of 1.4, 10 steps each of 1.5 of 255, jitter 32.

Four things differ by design: the network sees tiles of fixed size instead of the whole picture at once; the grid moves
by at least 32 pixels, and by more where tiles leave room; octaves are shrunk with antialiasing; and the objective,
there half the sum of squares of `inception_4c/output`, is yours (`layer("fire7")` is its mean of squares: the
same direction, and the length is divided out).
"""

DEFAULT = DreamRecipe()
"""Our default: as many octaves as the photograph has room for, so that a large one is dreamt at all scales, too.

Twice as many steps of half the length draw cleaner lines than the notebook's, and two bands instead of one larger
things and fewer grains.
"""
