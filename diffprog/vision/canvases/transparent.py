"""Transparency and grey: canvases made of other canvases.

A transparent picture is put over a background before a network sees it, over another one at every step
(`transforms.OnBackground`), so that what stays opaque is what the unit needs. Saved as PNG it keeps its transparency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.vision.canvases.canvas import Canvas, Size
from diffprog.vision.canvases.fourier import Fourier


@dataclass(frozen=True)
class Transparent:
    """Colours and, from a canvas of one channel, how opaque each pixel is: [H, W, 4].

    Source: Lucid, `param/images.py: image(alpha=True)`.
    """

    color: Canvas = Fourier()
    opacity: Canvas = Fourier(channels=1, decorrelate=False)

    def init(self, key: Array, size: Size) -> tuple[Any, Any]:
        """The parameters of both."""
        first, second = jax.random.split(key)
        return self.color.init(first, size), self.opacity.init(second, size)

    def to_image(self, params: tuple[Any, Any]) -> Array:
        """[H, W, 4] in [0, 1], opacity last."""
        return jnp.concatenate([self.color.to_image(params[0]), self.opacity.to_image(params[1])], -1)


@dataclass(frozen=True)
class Grey:
    """A canvas of one channel, shown to a network of colours in all three.

    Raises:
      InvalidInput: when drawn from, a canvas of more than one channel.

    Source: Lucid, `param/images.py: grayscale_image_rgb`.
    """

    canvas: Canvas = Fourier(channels=1, decorrelate=False)

    def init(self, key: Array, size: Size) -> Any:
        """The parameters of the one channel."""
        return self.canvas.init(key, size)

    def to_image(self, params: Any) -> Array:
        """[H, W, 3] in [0, 1], all channels the same."""
        image = self.canvas.to_image(params)
        if image.shape[-1] != 1:
            raise InvalidInput(
                f"{self.canvas}, of {image.shape[-1]} channels, as grey",
                "a canvas of one channel",
                "Grey(Fourier(channels=1, decorrelate=False))",
            )
        return jnp.repeat(image, 3, axis=-1)
