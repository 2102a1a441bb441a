"""Is a saved picture the picture that its file says? Draw it again and compare, pixel by pixel."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

import numpy as np
from PIL import Image

from diffprog.errors import InvalidInput
from diffprog.machine import memory
from diffprog.optimize.progress import Progress
from diffprog.vision.picture_files import read_settings
from diffprog.vision.redraw import redraw
from diffprog.vision.scoring import Model


class Repeated(NamedTuple):
    """What drawing a picture again gave.

    Attributes:
      difference: the largest between two pixels, in 8-bit levels; 0 for the same picture.
      share: of the numbers that differ.
      seconds: that it took, compiling included.
      peak: the most memory held meanwhile, in bytes; None if unknown.
    """

    difference: int
    share: float
    seconds: float
    peak: int | None

    @property
    def same(self) -> bool:
        """Whether it is the same picture, to the last level."""
        return self.difference == 0


def repeated(path: str | os.PathLike[str], model: Model, progress: Progress | bool | None = None) -> Repeated:
    """Draw a saved picture again, and compare.

    Args:
      path: a PNG that `Drawing.save` wrote, of a drawing that came to its end.
      model: what it was drawn with.
      progress: as in `visualize`.

    Raises:
      BadFile: not a PNG that says how it was drawn.
      InvalidInput: a drawing that was interrupted: from the same key the whole one is another.
      KeyboardInterrupt: interrupted now, before there is anything to compare.
    """
    stopped = read_settings(path).get("stopped")
    if stopped != "finished":
        raise InvalidInput(
            f"{path}, a drawing that did not come to its end ({stopped})",
            "one that did, to compare with",
            f"diffprog redraw '{path}', which draws it to the end",
        )
    peak, started = memory.watch_peak(), time.perf_counter()
    drawing = redraw(path, model, progress)
    seconds, held = time.perf_counter() - started, peak()
    if drawing.stopped == "interrupted":
        raise KeyboardInterrupt
    with Image.open(path, formats=("PNG",)) as picture:
        before = np.asarray(picture).astype(int)
    after = np.asarray(drawing.sheet()).astype(int)
    if before.shape != after.shape:
        return Repeated(255, 1.0, seconds, held)
    apart = np.abs(before - after)
    return Repeated(int(apart.max()), float((apart > 0).mean()), seconds, held)
