"""A photograph at several scales, and a gradient as strong at one scale as at another.

These are plain programs of NumPy and Pillow: a compiled program would have to be compiled for every size anew.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

NOTHING = np.finfo(np.float32).tiny


def resized(
    picture: np.ndarray, shape: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    """A picture [H, W, C] at another size: bilinear, with antialiasing where it shrinks; values may be any.

    Args:
      picture: float32 [H, W, C].
      shape: height and width of the result.
      box: the part to take, (left, top, right, bottom) in pixels and fractions of them; all of it when left out.
    """
    if picture.shape[:2] == shape and box is None:
        return picture
    size = (shape[1], shape[0])
    channels = [
        np.asarray(Image.fromarray(np.ascontiguousarray(c)).resize(size, Image.Resampling.BILINEAR, box=box))
        for c in np.moveaxis(picture.astype(np.float32), -1, 0)
    ]
    return np.stack(channels, axis=-1)


def normalized(gradient: np.ndarray, bands: int = 1) -> np.ndarray:
    """The gradient with a mean absolute value of 1; all 0 stays all 0.

    Args:
      gradient: [H, W, C].
      bands: into how many bands of frequencies, an octave each, it is split, to be made equally strong. Without that
        fine patterns win, because a network's gradient has most of its strength there.
    """
    parts = _split(gradient, bands)
    return _unit(sum((_unit(part) for part in parts), np.zeros_like(gradient)))


def _split(gradient: np.ndarray, bands: int) -> list[np.ndarray]:
    """Differences between the picture and its halved self; they add up to the gradient."""
    parts, rest = [], gradient
    for number in range(1, bands):
        height, width = (max(1, length >> number) for length in gradient.shape[:2])
        smoother = resized(resized(rest, (height, width)), gradient.shape[:2])
        parts.append(rest - smoother)
        rest = smoother
    return [*parts, rest]


def _unit(part: np.ndarray) -> np.ndarray:
    # The mean is taken in float64: over millions of pixels float32 would lose the small ones.
    mean = float(np.mean(np.abs(part), dtype=np.float64))
    return np.zeros_like(part) if mean <= NOTHING else part / np.float32(mean)
