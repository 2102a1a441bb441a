"""What the pixels of a picture alone tell: how its power falls with frequency, and how its colours vary together.

    slope    P(f) ~ 1 / f^slope,  P the power of the grey picture on rings of frequencies; 0 for white noise,
             2 for amplitudes of 1 / f, as photographs have them
    share    of the power that lies above a quarter of a cycle a pixel; white noise 1 - pi / 16 = .80
    colours  || C / tr C - N / tr N ||,  C the covariance of red, green and blue, N that of natural pictures;
             0 for the same colours, at most sqrt(2)

All three are of the picture in its own size, whatever a network sees of it. A window hides the seams between opposite
edges, which would look like horizontal and vertical lines. None of them knows what is in the picture.

Source: Field 1987, "Relations between the statistics of natural images and the response properties of cortical cells"
(1 / f); the natural covariance is that of `canvases.color`.
"""

from __future__ import annotations

import math

import numpy as np

from diffprog.errors import InvalidInput
from diffprog.vision.canvases.color import COLOR_SVD_SQRT
from diffprog.vision.canvases.frequencies import frequencies
from diffprog.vision.canvases.photograph import checked_picture

RINGS = 16
LOWEST = 4  # cycles a picture: below, a windowed picture has too few waves to tell their frequency
HIGHEST = 0.5  # cycles a pixel: above, rings are cut off by the corners
HIGH = 0.25
LEAST_SIDE = 16
NATURAL = COLOR_SVD_SQRT @ COLOR_SVD_SQRT.T


def spectral_slope(picture: np.ndarray) -> float:
    """By which power of the frequency the power of a picture falls.

    Args:
      picture: floating [H, W, C] in [0, 1], of at least 16 pixels each way.

    Returns:
      The slope; NaN for a picture of one grey level.

    Raises:
      InvalidInput: not such a picture.

    Example:
      >>> noise = np.random.default_rng(0).random((256, 256, 3))
      >>> abs(spectral_slope(noise)) < 0.1
      True
    """
    power, counts, lengths = _power(picture)
    edges = np.geomspace(LOWEST / min(checked_size(picture)), HIGHEST, RINGS + 1)
    rings = np.digitize(lengths, edges) - 1
    kept = (rings >= 0) & (rings < RINGS)
    number = np.bincount(rings[kept], counts[kept], RINGS)
    total = np.bincount(rings[kept], (counts * power)[kept], RINGS)
    seen = number > 0
    if not total.any():
        return math.nan
    centres = np.sqrt(edges[1:] * edges[:-1])[seen]
    mean = np.maximum(total[seen] / number[seen], 1e-20)  # a logarithm is taken of it
    return float(-np.polyfit(np.log(centres), np.log(mean), 1)[0])


def high_frequency_share(picture: np.ndarray) -> float:
    """The share of a picture's power above a quarter of a cycle a pixel: structures of less than four pixels.

    Args:
      picture: floating [H, W, C] in [0, 1], of at least 16 pixels each way.

    Returns:
      A number from 0 to 1; NaN for a picture of one grey level.

    Raises:
      InvalidInput: not such a picture.
    """
    power, counts, lengths = _power(picture)
    total = counts * power
    return float(total[lengths > HIGH].sum() / total.sum()) if total.any() else math.nan


def color_distance(picture: np.ndarray) -> float:
    """How far the colours of a picture are from varying together as those of natural pictures do.

    Args:
      picture: floating [H, W, 3] in [0, 1].

    Returns:
      A number from 0 to sqrt(2), whatever the contrast; NaN for a picture of one colour.

    Raises:
      InvalidInput: not such a picture.
    """
    pixels = checked_picture(picture)
    if pixels.shape[-1] != 3:
        raise InvalidInput(
            f"the colours of a picture of {pixels.shape[-1]} channels",
            "red, green and blue",
            "picture[..., :3]",
        )
    covariance = np.cov(pixels.reshape(-1, 3).astype(np.float64).T)
    trace = np.trace(covariance)
    return float(np.linalg.norm(covariance / trace - NATURAL / np.trace(NATURAL))) if trace > 0 else math.nan


def checked_size(picture: np.ndarray) -> tuple[int, int]:
    """Height and width of a picture that has frequencies to speak of.

    Raises:
      InvalidInput: one of fewer than 16 pixels each way.
    """
    height, width = picture.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise InvalidInput(
            f"the spectrum of a picture of {height}x{width} pixels",
            f"at least {LEAST_SIDE} pixels each way",
            "the picture as it was before it was made small",
        )
    return height, width


def _power(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """|DFT|^2 of the windowed grey picture, how many frequencies each stands for, their lengths: [H, W // 2 + 1]."""
    pixels = checked_picture(picture)
    height, width = checked_size(pixels)
    window = np.hanning(height)[:, None] * np.hanning(width)
    grey = pixels.mean(-1, dtype=np.float64)
    # The mean under the window, so that nothing is left at frequency 0 to leak into its neighbours.
    centred = grey - (grey * window).sum() / window.sum()
    if np.ptp(grey) == 0:
        centred = np.zeros_like(centred)
    power = np.abs(np.fft.rfft2(centred * window)) ** 2
    counts = np.full(power.shape, 2.0)  # a column and its mirror image
    counts[:, 0] = 1
    if width % 2 == 0:
        counts[:, -1] = 1
    counts[0, 0] = 0
    return power, counts, frequencies((height, width))
