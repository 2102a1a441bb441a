"""Several pictures with parameters in common: what they share is drawn in the same place in all of them.

Each picture is its own canvas plus canvases that all of them share, added before colours and sigmoid. Interpolations
between two units stay comparable that way, object by object. Pictures drawn so depend on each other: picture i of
several is not the picture that its key gives alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.vision.canvases.canvas import Paint, Size
from diffprog.vision.canvases.color import Matrix, finished
from diffprog.vision.canvases.fourier import Fourier
from diffprog.vision.canvases.pyramid import Coarse

COMMON = 0x5EED  # folded into the first picture's key for what is shared


@dataclass(frozen=True)
class Shared:
    """A canvas of every picture's own plus `common` ones of them all.

    Attributes:
      own: how each picture differs.
      common: what they share, each added in turn.
      decorrelate: whether the channels of the sum are independent colours instead of RGB.
      color: a colour matrix in place of ImageNet's.

    Raises:
      InvalidInput: a canvas without channels to add (a painting network, a generator).

    Source: Lucid, notebook "feature-visualization: interpolate", which adds levels of 1/2, 1/4, 1/8 and 1/16.
    """

    own: Paint = Fourier()
    common: tuple[Paint, ...] = (Coarse(4), Coarse(8), Coarse(16))
    decorrelate: bool = True
    color: Matrix | None = None

    def __post_init__(self) -> None:
        for one in (self.own, *self.common):
            if not isinstance(one, Paint):
                raise InvalidInput(
                    f"{one} as a part of a shared canvas",
                    "canvases that make unbounded channels, which can be added",
                    "Fourier(), Pixel(), Pyramid(), Coarse() or Phase()",
                )

    def init(self, key: Array, size: Size) -> Any:
        """The parameters of one picture by itself: (own, common)."""
        return self.own.init(key, size), self._common(key, size)

    def to_image(self, params: Any) -> Array:
        """[H, W, C] in [0, 1]."""
        own, common = params
        layers = [one.to_channels(values) for one, values in zip(self.common, common, strict=True)]
        return finished(sum(layers, self.own.to_channels(own)), self.decorrelate, self.color)

    def init_all(self, keys: Array, size: Size) -> Any:
        """The parameters of several pictures: their own with a leading axis, the common ones without."""
        return jax.vmap(lambda key: self.own.init(key, size))(keys), self._common(keys[0], size)

    def to_images(self, params: Any) -> Array:
        """[pictures, H, W, C] in [0, 1]."""
        own, common = params
        return jax.vmap(lambda mine: self.to_image((mine, common)))(own)

    def _common(self, key: Array, size: Size) -> tuple[Any, ...]:
        keys = jax.random.split(jax.random.fold_in(key, COMMON), len(self.common))
        return tuple(one.init(k, size) for one, k in zip(self.common, keys, strict=True))
