"""Only the phases of the spectrum are learned; its magnitudes are fixed, those of natural pictures (MACO).

Where edges are is in the phases and how strong each scale is in the magnitudes. With these fixed, fine noise cannot
win however long one climbs, which is what goes wrong in deep and large networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.vision.canvases.canvas import Size, Sized, height_width
from diffprog.vision.canvases.color import Matrix, finished
from diffprog.vision.canvases.frequencies import PowerLaw, Spectrum

LEAST = 1e-5  # as in Xplique: what a deviation is divided by is never 0


@dataclass(frozen=True)
class Phase:
    """The phases of the Fourier spectrum, standardized, with fixed magnitudes r:

        x = standardized irfft2(r exp(i standardized phase)),  then colours and sigmoid

    Attributes:
      magnitude: a `PowerLaw`, or a `Spectrum` measured on pictures of your own (`canvases.measure`).
      deviation: standard deviation of the first phases; they are standardized whatever it is.
      decorrelate: whether the channels are independent colours instead of RGB.
      channels: how many; 3 are RGB.
      color: a colour matrix in place of ImageNet's.

    The published magnitudes are the means over ImageNet, a file that is not shipped here: the analytic 1 / f^1.5 fits
    them with a correlation of .98 on logarithmic axes, and loses what differs by direction.

    Source: Fel et al. 2023, "Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained
    Optimization"; the formula is that of Xplique, `maco_image_parametrization`.
    """

    magnitude: PowerLaw | Spectrum = PowerLaw(1.5)
    deviation: float = 1.0
    decorrelate: bool = True
    channels: int = 3
    color: Matrix | None = None

    def init(self, key: Array, size: Size) -> Sized:
        """[C, H, W // 2 + 1]: phases in radians."""
        height, width = height_width(size)
        shape = (self.channels, height, width // 2 + 1)
        return Sized(self.deviation * jax.random.normal(key, shape), (height, width))

    def to_channels(self, params: Sized) -> Array:
        """[C, H, W], of mean 0 and deviation 1 over the whole picture."""
        phase = _standardized(params.values)
        size = self.magnitude.at(params.size, self.channels)
        # Only ratios of magnitudes count; in units of the largest, float32 keeps all of them.
        ratio = jnp.asarray(size / size.max(), phase.dtype)
        spectrum = jax.lax.complex(ratio * jnp.cos(phase), ratio * jnp.sin(phase))
        height, width = params.size
        return _standardized(jnp.fft.irfft2(spectrum, s=params.size) * (height * width))

    def to_image(self, params: Sized) -> Array:
        """[H, W, C] in [0, 1]."""
        return finished(self.to_channels(params), self.decorrelate, self.color)


def _standardized(values: Array) -> Array:
    centred = values - jnp.mean(values)
    return centred / (jnp.std(centred) + LEAST)
