"""Colours and spectrum of pictures of your own, in one call, for canvases that look like them.

    measured = canvases.measure(my_images)
    canvases.Phase(magnitude=measured.spectrum, color=measured.color)

The colour matrix is the square root U sqrt(S) of the covariance U S U^T of the channels, scaled as the published one:
its longest column has length one. The spectrum is the mean amplitude over rings of frequencies, of the channels in
that basis, of windowed pictures: without the window, the seams between opposite edges would look like horizontal and
vertical lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from diffprog.errors import InvalidInput
from diffprog.vision.canvases.color import Matrix
from diffprog.vision.canvases.frequencies import Spectrum, frequencies
from diffprog.vision.canvases.photograph import checked_picture

RINGS = 32
HIGHEST = 0.5 * 2**0.5  # the corner of the spectrum, in cycles a pixel


class Measured(NamedTuple):
    """What `measure` found: a colour matrix and a spectrum, plain numbers both, for any canvas that takes them."""

    color: Matrix
    spectrum: Spectrum


def measure(images: Iterable[np.ndarray]) -> Measured:
    """The colour matrix and the mean spectrum of pictures.

    Args:
      images: float [N, H, W, C], or pictures [H, W, C] of any sizes of at least 8 pixels, all numbers in [0, 1]. A
        few dozen give a steady colour matrix and spectrum.

    Returns:
      color: [C][C], for `color=` of a canvas.
      spectrum: for `Phase(magnitude=...)`.

    Raises:
      InvalidInput: no pictures, pictures of different channels, smaller ones, or all of one colour.
    """
    pictures = [checked_picture(image) for image in images]
    _check(pictures)
    matrix = color_root(pictures)
    return Measured(
        tuple(tuple(map(float, row)) for row in matrix), _spectrum(pictures, np.linalg.inv(matrix))
    )


def color_root(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """U sqrt(S) of the covariance of all pixels' channels, scaled to a longest column of length 1: [C, C]."""
    pixels = np.concatenate([one.reshape(-1, one.shape[-1]) for one in pictures]).astype(np.float64)
    U, S, _ = np.linalg.svd(np.atleast_2d(np.cov(pixels.T)))
    if S[-1] <= 1e-8 * S[0] or S[0] <= 1e-10:
        raise InvalidInput(
            "pictures whose channels do not vary independently",
            "as many directions of colour as there are channels",
            "pictures in colour; for grey ones, keep one channel: image[..., :1]",
        )
    root = U * np.sqrt(S)
    root *= np.where(root[0] < 0, -1.0, 1.0)  # either sign is a root; the first channel decides
    return root / np.linalg.norm(root, axis=0).max()


def _spectrum(pictures: Sequence[np.ndarray], to_independent: np.ndarray) -> Spectrum:
    lowest = 1 / max(max(one.shape[:2]) for one in pictures)
    edges = np.geomspace(lowest * 0.999, HIGHEST * 1.001, RINGS + 1)
    count = np.zeros(RINGS)
    total = np.zeros((to_independent.shape[0], RINGS))
    for one in pictures:
        rings = np.digitize(frequencies(one.shape[:2]), edges) - 1  # -1 is the mean, which is no ring
        kept = rings >= 0
        count += np.bincount(rings[kept], minlength=RINGS)
        for channel, amplitudes in enumerate(_amplitudes(one @ to_independent.T)):
            total[channel] += np.bincount(rings[kept], amplitudes[kept], RINGS)
    seen = count > 0
    mean = np.maximum(total[:, seen] / count[seen], 1e-12)  # a logarithm is taken of it
    centres = np.sqrt(edges[1:] * edges[:-1])[seen]
    return Spectrum(tuple(map(float, centres)), tuple(tuple(map(float, row)) for row in mean))


def _amplitudes(picture: np.ndarray) -> np.ndarray:
    """|DFT| / sqrt(H W) of every channel, windowed: [H, W, C] -> [C, H, W // 2 + 1]."""
    height, width = picture.shape[:2]
    window = np.hanning(height)[:, None] * np.hanning(width)
    window /= np.sqrt(np.mean(window**2))  # white noise keeps its amplitude
    centred = picture - picture.mean((0, 1))
    spectrum = np.fft.rfft2(centred.transpose(2, 0, 1) * window)
    return np.abs(spectrum) / np.sqrt(height * width)


def _check(pictures: Sequence[np.ndarray]) -> None:
    channels = {one.shape[-1] for one in pictures}
    smallest = min((min(one.shape[:2]) for one in pictures), default=0)
    if len(channels) != 1 or smallest < 8:
        raise InvalidInput(
            f"{len(pictures)} pictures of {sorted(channels)} channels, the smallest side {smallest} pixels",
            "at least one picture, all of as many channels, of at least 8 pixels each way",
            "np.asarray(picture.convert('RGB'), np.float32) / 255 for each",
        )
