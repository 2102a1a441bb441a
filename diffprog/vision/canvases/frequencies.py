"""Frequencies of a picture's real Fourier transform, and how strong natural pictures are at each.

A `PowerLaw` is the analytic template: photographs have amplitudes of about 1 / f^a, with a near 1 in grey levels; in
decorrelated colours a fit to ImageNet gives 1.5. A `Spectrum` holds what was measured on pictures of your own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffprog.errors import InvalidInput
from diffprog.vision.canvases.canvas import Size, height_width


def frequencies(size: Size) -> np.ndarray:
    """Length of every frequency of a real picture, in cycles a pixel: [H, W // 2 + 1]."""
    height, width = height_width(size)
    return np.sqrt(np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width)[None, :] ** 2)


def spectrum_scale(size: Size, decay: float) -> np.ndarray:
    """sqrt(H W) / max(f, 1 / max(H, W))^decay, as Lucid's `fft_image` scales its spectrum: [H, W // 2 + 1]."""
    height, width = height_width(size)
    least = 1 / max(height, width)
    return np.sqrt(height * width) / np.maximum(frequencies(size), least) ** decay


@dataclass(frozen=True)
class PowerLaw:
    """Amplitudes of 1 / f^decay, the same for all channels.

    Example:
      >>> PowerLaw(1.0).at(4, 3).shape, float(PowerLaw(1.0).at(4, 1)[0, 0, 2] / PowerLaw(1.0).at(4, 1)[0, 0, 1])
      ((3, 4, 3), 0.5)
    """

    decay: float = 1.5

    def at(self, size: Size, channels: int) -> np.ndarray:
        """[C, H, W // 2 + 1]."""
        scale = spectrum_scale(size, self.decay)
        return np.broadcast_to(scale, (channels, *scale.shape))


@dataclass(frozen=True)
class Spectrum:
    """Mean amplitudes measured over rings of frequencies, for every channel; a few numbers instead of an array.

    Directions are averaged, so that the amplitudes fit a picture of any size: between the rings they are interpolated
    on logarithmic axes, beyond them they stay. `canvases.measure` makes one.

    Attributes:
      frequencies: of the rings, in cycles a pixel, rising.
      magnitudes: for every channel, the mean of |DFT| / sqrt(H W) on every ring.
    """

    frequencies: tuple[float, ...]
    magnitudes: tuple[tuple[float, ...], ...]

    def __repr__(self) -> str:
        return f"Spectrum({len(self.magnitudes)} channels on {len(self.frequencies)} rings)"

    def at(self, size: Size, channels: int) -> np.ndarray:
        """[C, H, W // 2 + 1].

        Raises:
          InvalidInput: another number of channels than was measured.
        """
        if channels != len(self.magnitudes):
            raise InvalidInput(
                f"a spectrum of {len(self.magnitudes)} channels for a picture of {channels}",
                "one measured curve for every channel",
                f"Phase(channels={len(self.magnitudes)}), or measuring pictures of {channels} channels",
            )
        height, width = height_width(size)
        rings = np.log(self.frequencies)
        where = np.log(np.maximum(frequencies(size), self.frequencies[0]))
        curves = [np.exp(np.interp(where, rings, np.log(one))) for one in self.magnitudes]
        return np.sqrt(height * width) * np.stack(curves)
