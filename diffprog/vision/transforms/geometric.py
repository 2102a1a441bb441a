"""Transforms that move pixels: random affine maps between pictures of fixed shapes.

A run of them is composed into one map and the picture is resampled once, which is faster than one by one and blurs
less; `compose` does that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.rules import affine
from diffprog.vision.transforms.transform import GREY, Shape, output_shape


class Map(NamedTuple):
    """An affine map from output to input coordinates, both (row, column) from the centre of their pictures."""

    matrix: Array
    shift: Array


@dataclass(frozen=True)
class Geometric:
    """A transform that moves pixels: a random affine map between pictures of fixed shapes."""

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output."""
        return shape

    def draw(self, key: Array) -> Map:
        """A random map."""
        raise NotImplementedError

    def place(self, key: Array, shape: Shape) -> Map:
        """A random map for a picture of this shape; most maps do not depend on it."""
        return self.draw(key)

    def still(self, image: Array) -> Array:
        """What is seen of a picture without chance: all of it, as it is."""
        return image

    @property
    def zoom(self) -> float:
        """The largest magnification it ever draws."""
        return 1.0

    def __call__(self, image: Array, key: Array) -> Array:
        """Resample one picture."""
        return resampled(image, (self,), key)


@dataclass(frozen=True)
class Pad(Geometric):
    """A frame of `width` pixels around the picture, filled with one `value` by the resampling."""

    width: int
    value: float = 0.5

    def shape(self, shape: Shape) -> Shape:
        """Larger by the frame on every side."""
        return shape[0] + 2 * self.width, shape[1] + 2 * self.width

    def draw(self, key: Array) -> Map:
        """The identity: the centre stays where it is."""
        return Map(jnp.eye(2), jnp.zeros(2))


@dataclass(frozen=True)
class Jitter(Geometric):
    """A random crop that is `width` pixels smaller, shifted by whole pixels."""

    width: int

    def shape(self, shape: Shape) -> Shape:
        """Smaller by `width`."""
        return shape[0] - self.width, shape[1] - self.width

    def draw(self, key: Array) -> Map:
        """A shift by whole pixels of the crop's corner, seen from the centres."""
        corner = jax.random.randint(key, (2,), 0, self.width + 1)
        return Map(jnp.eye(2), corner - self.width / 2)


@dataclass(frozen=True)
class CropOrPad(Geometric):
    """Cut or frame the picture to `height` x `width` about its centre, by whole pixels; frames are of one `value`.

    For networks that insist on one size of picture. (Lucid's `crop_or_pad_to`, which frames in black.)
    """

    height: int
    width: int
    value: float = 0.5

    def shape(self, shape: Shape) -> Shape:
        """Always the same."""
        return self.height, self.width

    def draw(self, key: Array) -> Map:
        """The identity; where the number of pixels to cut is odd, `place` knows which side has one more."""
        return Map(jnp.eye(2), jnp.zeros(2))

    def place(self, key: Array, shape: Shape) -> Map:
        """By whole pixels: the odd one is cut, or added, at the bottom and at the right."""
        steps = [_first(before, after) + (after - before) / 2 for before, after in self._sides(shape)]
        return Map(jnp.eye(2), jnp.asarray(steps))

    def still(self, image: Array) -> Array:
        """The picture cut or framed: nothing is left to chance."""
        return self(image, jax.random.key(0))

    def _sides(self, shape: Shape) -> list[tuple[int, int]]:
        return list(zip(shape, (self.height, self.width), strict=True))


@dataclass(frozen=True)
class Translate(Geometric):
    """Move right and down by 0 to `pixels` - 1 whole pixels; the shape stays. (Lucent's `jitter`.)"""

    pixels: int

    def draw(self, key: Array) -> Map:
        """A shift by whole pixels; places are read from up and left."""
        return Map(jnp.eye(2), -jax.random.randint(key, (2,), 0, self.pixels).astype(jnp.float32))


@dataclass(frozen=True)
class Shift(Geometric):
    """A random translation of up to `pixels` each way; the shape stays."""

    pixels: float

    def draw(self, key: Array) -> Map:
        """A shift by fractions of pixels."""
        return Map(jnp.eye(2), jax.random.uniform(key, (2,), minval=-self.pixels, maxval=self.pixels))


@dataclass(frozen=True)
class Scale(Geometric):
    """Magnify about the centre by one of `factors`, drawn at random; the shape stays."""

    factors: tuple[float, ...]

    @property
    def zoom(self) -> float:
        """The largest factor."""
        return max(self.factors)

    def draw(self, key: Array) -> Map:
        """One of the factors."""
        return _magnified(jax.random.choice(key, jnp.asarray(self.factors)))


@dataclass(frozen=True)
class ScaleBetween(Geometric):
    """Magnify about the centre by a factor drawn log-uniformly from `low` to `high`; the shape stays."""

    low: float
    high: float

    @property
    def zoom(self) -> float:
        """The largest factor."""
        return self.high

    def draw(self, key: Array) -> Map:
        """A factor."""
        exponent = jax.random.uniform(key, (), minval=math.log(self.low), maxval=math.log(self.high))
        return _magnified(jnp.exp(exponent))


@dataclass(frozen=True)
class Rotate(Geometric):
    """Turn about the centre by one of `degrees`, drawn at random; the shape stays."""

    degrees: tuple[float, ...]

    def draw(self, key: Array) -> Map:
        """One of the angles."""
        return _turned(jax.random.choice(key, jnp.asarray(self.degrees)))


@dataclass(frozen=True)
class RotateBetween(Geometric):
    """Turn about the centre by an angle drawn uniformly from -`degrees` to `degrees`; the shape stays."""

    degrees: float

    def draw(self, key: Array) -> Map:
        """An angle."""
        return _turned(jax.random.uniform(key, (), minval=-self.degrees, maxval=self.degrees))


@dataclass(frozen=True)
class Mirror(Geometric):
    """Swap left and right in half of the draws."""

    def draw(self, key: Array) -> Map:
        """The identity or a reflection."""
        side = jnp.where(jax.random.bernoulli(key), 1.0, -1.0)
        return Map(jnp.diag(jnp.stack([jnp.ones(()), side])), jnp.zeros(2))


def resampled(image: Array, run: Sequence[Geometric], key: Array) -> Array:
    """Compose the maps of a run, last one innermost, and read the picture through them once."""
    fill = next((t.value for t in run if isinstance(t, Pad | CropOrPad)), GREY)
    matrix, shift = jnp.eye(2), jnp.zeros(2)
    reached: Shape = (image.shape[0], image.shape[1])
    for transform, subkey in zip(run, jax.random.split(key, len(run)), strict=True):
        inner = transform.place(subkey, reached)
        reached = transform.shape(reached)
        matrix, shift = matrix @ inner.matrix, matrix @ inner.shift + shift
    shape = output_shape(run, (image.shape[0], image.shape[1]))
    # From centred coordinates to coordinates counted from the first pixel.
    centre_in, centre_out = ((np.asarray(s) - 1) / 2 for s in (image.shape[:2], shape))
    corner = shift + centre_in - matrix @ centre_out
    zoom = math.prod(transform.zoom for transform in run)
    return affine(image - fill, matrix, corner.astype(image.dtype), shape, zoom) + fill


def _magnified(factor: Array) -> Map:
    return Map(jnp.eye(2) / factor, jnp.zeros(2))


def _turned(degrees: Array) -> Map:
    angle = jnp.deg2rad(degrees)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    return Map(jnp.array([[cosine, sine], [-sine, cosine]]), jnp.zeros(2))


def _first(before: int, after: int) -> int:
    """The first row or column that is kept; negative for a frame."""
    return (before - after) // 2 if before >= after else -((after - before) // 2)
