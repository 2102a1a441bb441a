"""What every canvas is: a pair of pure functions, from a key to parameters and from parameters to a picture.

Gradient ascent on the parameters follows another path than ascent on the pixels, though both can paint the same
pictures: that is all a canvas changes, and it changes everything one sees. Each canvas has a file of its own; what
they share is here: sizes, and parameters that remember the size of their picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import jax
from jax import Array

from diffprog.errors import InvalidInput

Size = int | tuple[int, int]
"""Height and width in pixels; one number for a square."""


@runtime_checkable
class Canvas(Protocol):
    """How one picture is parameterized."""

    def init(self, key: Array, size: Size) -> Any:
        """Parameters of a first picture."""

    def to_image(self, params: Any) -> Array:
        """The picture: float32 [H, W, C] in [0, 1]."""


@runtime_checkable
class Paint(Canvas, Protocol):
    """A canvas that first makes unbounded channels, which others can be added to before colours and sigmoid."""

    def to_channels(self, params: Any) -> Array:
        """[C, H, W], unbounded."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sized:
    """Parameters whose shapes alone do not tell the size of their picture, together with that size.

    Attributes:
      values: the arrays that are optimized.
      size: (height, width) of the picture, which is structure and not data.
    """

    values: Any
    size: tuple[int, int] = field(metadata={"static": True})


def height_width(size: Size) -> tuple[int, int]:
    """A size as (height, width).

    Raises:
      InvalidInput: not one or two whole numbers of at least 1.

    Example:
      >>> height_width(4), height_width((2, 3))
      ((4, 4), (2, 3))
    """
    pair = tuple(size) if isinstance(size, list | tuple) else (size, size)
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in pair)
    if len(pair) != 2 or not whole:
        raise InvalidInput(f"size={size!r}", "one whole number of at least 1, or (height, width)", "size=128")
    return pair[0], pair[1]
