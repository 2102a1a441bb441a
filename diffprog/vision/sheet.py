"""Contact sheets: several pictures of one size as one, with margins between them, and back."""

from __future__ import annotations

import math

import numpy as np

MARGIN = 4


def laid_out(pictures: np.ndarray, keys: int) -> np.ndarray:
    """Pictures side by side in a grid, on white; a single one as it is.

    Args:
      pictures: uint8 [N, H, W, C].
      keys: how many of them are of one objective; where there are several of several, each gets a row.

    Returns:
      uint8 [h, w, C].
    """
    count, height, width, channels = pictures.shape
    if count == 1:
        return pictures[0]
    places, (high, wide) = _places(count, keys, (height, width))
    sheet = np.full((high, wide, channels), 255, np.uint8)
    for picture, (top, left) in zip(pictures, places, strict=True):
        sheet[top : top + height, left : left + width] = picture
    return sheet


def taken_apart(sheet: np.ndarray, count: int, keys: int, size: tuple[int, int]) -> np.ndarray | None:
    """The pictures that `laid_out` made a sheet of; None for a sheet of another size than theirs.

    Args:
      sheet: [h, w, C].
      count: how many pictures.
      keys: how many of them are of one objective.
      size: their height and width.

    Returns:
      [N, H, W, C].

    Example:
      >>> two = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
      >>> bool((taken_apart(laid_out(two, 2), 2, 2, (2, 2)) == two).all())
      True
    """
    if count == 1:
        return sheet[None] if sheet.shape[:2] == size else None
    places, whole = _places(count, keys, size)
    if sheet.shape[:2] != whole:
        return None
    height, width = size
    return np.stack([sheet[top : top + height, left : left + width] for top, left in places])


def _places(count: int, keys: int, size: tuple[int, int]) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """The corners of all pictures, and height and width of the sheet."""
    columns = keys if 1 < keys < count else math.ceil(math.sqrt(count))
    step = size[0] + MARGIN, size[1] + MARGIN
    places = [(MARGIN + i // columns * step[0], MARGIN + i % columns * step[1]) for i in range(count)]
    return places, (-(-count // columns) * step[0] + MARGIN, columns * step[1] + MARGIN)
