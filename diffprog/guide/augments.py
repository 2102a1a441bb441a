"""Augments: under how many and what random views a picture must score, as recipes with their numbers.

A score of the picture as it is can be raised by patterns that no eye sees; a score that must hold under random windows
and colours much less so. An augment is called for one view: `augment(picture, key, number, size)`, a picture
[H, W, 3] to a view [size, size, 3]. `key` is drawn anew for every step and picture, `number` counts the views of it:
what all views share is drawn from `key`, what each has for itself from `key` folded with `number`.

`WHOLE` sees the picture as it is, `WINDOWS` is our default, `BIGSLEEP`, `VQGAN_CLIP` and `FUSEDREAM` are those of the
projects of that name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.guide import views


class Augment(Protocol):
    """Random views of a picture; two of the same numbers are equal, as frozen dataclasses are."""

    def __hash__(self) -> int: ...

    @property
    def count(self) -> int:
        """How many views a step looks at."""

    def __call__(self, image: Array, key: Array, number: Array, size: int) -> Array:
        """One view: [H, W, 3] -> [size, size, 3]."""


@dataclass(frozen=True)
class Whole:
    """The picture as it is, once."""

    count: int = 1

    def __call__(self, image: Array, key: Array, number: Array, size: int) -> Array:
        """The whole picture at the size asked for."""
        return views.whole(image[None], size)[0]


@dataclass(frozen=True)
class Windows:
    """Large windows, mirrored in half of the draws, under mild changes of colour.

    Made for small pictures seen by a large network: the windows are resampled straight to its size.

    Attributes:
      count: views of every step.
      least: side of the smallest window, as part of the picture's.
      colour: brightness up to +-colour / 2, contrast and saturation times 1 +- colour.
      noise: standard deviation of noise on every pixel of the view. On small pictures it makes a network see
        something else than in the smooth picture that people look at: with 0.02, the score under views rose to 0.68
        where that of the picture as it is stayed at 0.35.
    """

    count: int = 2
    least: float = 0.8
    colour: float = 0.1
    noise: float = 0.0

    def __call__(self, image: Array, key: Array, number: Array, size: int) -> Array:
        """One window."""
        place, part, side, colour, noise = jax.random.split(jax.random.fold_in(key, number), 5)
        seen = views.crop(image, place, jax.random.uniform(part, (), minval=self.least), size, "cubic")
        seen = jnp.where(jax.random.bernoulli(side), seen[:, ::-1], seen)
        bright, contrast, saturation = jax.random.uniform(colour, (3,), minval=-1.0) * self.colour
        seen = views.saturated(views.contrasted(seen, 1 + contrast), 1 + saturation)
        seen = views.brightened(seen, bright / 2)
        return seen + self.noise * jax.random.normal(noise, seen.shape)


@dataclass(frozen=True)
class BigSleep:
    """Square cutouts of a side N(.8, .3) clipped to .5 .. .95 of the width, at a uniform place, nearest neighbour.

    Source:
      lucidrains/big-sleep, `BigSleep.forward` and `rand_cutout`: 128 of them.
    """

    count: int = 128
    mean: float = 0.8
    deviation: float = 0.3
    least: float = 0.5
    most: float = 0.95

    def __call__(self, image: Array, key: Array, number: Array, size: int) -> Array:
        """One cutout."""
        place, side = jax.random.split(jax.random.fold_in(key, number))
        part = jnp.clip(self.mean + self.deviation * jax.random.normal(side), self.least, self.most)
        return views.crop(image, place, part, size, "nearest")


@dataclass(frozen=True)
class VqganClip:
    """The whole picture, turned, shifted, sheared, in perspective, other colours, with a hole, noisy.

    Each but the noise with probability .7; the hole is the same for all views of a step. Colours change as in YIQ,
    which is near what the project's library does in HSV.

    Source:
      nerdyrodent/VQGAN-CLIP, generate.py, the default cutouts ("latest") with augments Af, Pe, Ji, Er.
    """

    count: int = 32
    probability: float = 0.7
    degrees: float = 15.0
    shift: float = 0.1
    shear: float = 5.0
    distortion: float = 0.7
    jitter: float = 0.1
    hole_area: tuple[float, float] = (0.1, 0.4)
    hole_ratio: tuple[float, float] = (0.3, 1 / 0.3)
    noise: float = 0.1

    def __call__(self, image: Array, key: Array, number: Array, size: int) -> Array:
        """One view."""
        own = jax.random.fold_in(key, number)
        turn, tilt, colour, loud, noise = jax.random.split(own, 5)
        seen = views.whole(image[None], size)[0]
        matrix = self._sometimes(turn, self._affine, jnp.eye(3)) @ self._sometimes(
            tilt, self._tilt, jnp.eye(3)
        )
        seen = views.warp(seen, matrix)
        seen = self._sometimes(colour, lambda key: self._coloured(seen, key), seen)
        shared = jax.random.fold_in(key, 0xFFFFFFFF)  # no view has this number
        seen = self._sometimes(shared, lambda key: self._holed(seen, key), seen)
        return seen + self.noise * jax.random.uniform(loud) * jax.random.normal(noise, seen.shape)

    def _sometimes(self, key: Array, change: Callable[[Array], Array], otherwise: Array) -> Array:
        whether, how = jax.random.split(key)
        return jnp.where(jax.random.bernoulli(whether, self.probability), change(how), otherwise)

    def _affine(self, key: Array) -> Array:
        turn, shear, *shift = jax.random.uniform(key, (4,), minval=-1.0)
        return views.affine_map(self.degrees * turn, self.shift * jnp.stack(shift), self.shear * shear)

    def _tilt(self, key: Array) -> Array:
        inwards = self.distortion * jax.random.uniform(key, (4, 2))  # of half the side, as the library has it
        return views.perspective_map(jnp.array(views.CORNERS) * (1 - inwards))

    def _coloured(self, seen: Array, key: Array) -> Array:
        bright, contrast, saturation, hue = self.jitter * jax.random.uniform(key, (4,), minval=-1.0)
        seen = views.contrasted(views.brightened(seen, bright), 1 + contrast)
        return views.hued(views.saturated(seen, 1 + saturation), hue)

    def _holed(self, seen: Array, key: Array) -> Array:
        area, ratio, place = jax.random.split(key, 3)
        size = seen.shape[0]
        share = jax.random.uniform(area, (), minval=self.hole_area[0], maxval=self.hole_area[1])
        aspect = jax.random.uniform(ratio, (), minval=self.hole_ratio[0], maxval=self.hole_ratio[1])
        extent = jnp.minimum(size * jnp.sqrt(jnp.stack([share * aspect, share / aspect])), size)
        return views.without(seen, jax.random.uniform(place, (2,)) * (size - extent), extent)


@dataclass(frozen=True)
class FuseDream:
    """Brightness, saturation, contrast, shift, size, a hole: AugCLIP.

    Brightness + U(-.5, .5), saturation times U(0, 2), contrast times U(.5, 1.5), shifted by up to 1/8 in whole
    pixels, its size times U(.8, 1.2) about the centre, a hole of half the side, bilinear to the network's size. What
    comes in from outside is black; a part of the hole may lie outside.

    Source:
      gnobitab/FuseDream, DiffAugment_pytorch.py, policy "color,translation,resize,cutout": 50 of them. There the
      factor of size is one for all views of a step, and so it is here.
    """

    count: int = 50
    brightness: float = 0.5
    saturation: tuple[float, float] = (0.0, 2.0)
    contrast: tuple[float, float] = (0.5, 1.5)
    shift: float = 0.125
    resize: tuple[float, float] = (0.8, 1.2)
    hole: float = 0.5

    def __call__(self, image: Array, key: Array, number: Array, size: int) -> Array:
        """One view."""
        bright, grey, contrast, shift, hole = jax.random.split(jax.random.fold_in(key, number), 5)
        half = self.brightness
        seen = views.brightened(image, jax.random.uniform(bright, (), minval=-half, maxval=half))
        low, high = self.saturation
        seen = views.saturated(seen, jax.random.uniform(grey, (), minval=low, maxval=high))
        low, high = self.contrast
        seen = views.contrasted(seen, jax.random.uniform(contrast, (), minval=low, maxval=high))
        pixels = image.shape[0]
        reach = math.floor(pixels * self.shift + 0.5)
        corner = jax.random.randint(shift, (2,), -reach, reach + 1)
        low, high = self.resize
        shared = jax.random.fold_in(key, 0xFFFFFFFF)  # no view has this number
        factor = jax.random.uniform(shared, (), minval=low, maxval=high)
        extent = pixels / factor
        middle = (pixels - extent) / 2
        seen = views.window(seen, corner + middle, extent, size)
        side = self.hole * size
        centre = jax.random.uniform(hole, (2,), maxval=size)
        return views.without(seen, centre - side / 2, jnp.array([side, side]))


WHOLE = Whole()
WINDOWS = Windows()
BIGSLEEP = BigSleep()
VQGAN_CLIP = VqganClip()
FUSEDREAM = FuseDream()
AUGMENTS = {
    "whole": WHOLE,
    "windows": WINDOWS,
    "bigsleep": BIGSLEEP,
    "vqgan-clip": VQGAN_CLIP,
    "fusedream": FUSEDREAM,
}
