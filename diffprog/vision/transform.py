"""Transforms: small changes that a picture must survive, drawn anew for every picture and step.

A picture that excites a unit only when seen from exactly one place is noise; asking for the mean over jittered,
scaled and rotated views asks for structure. All transforms have fixed output shapes, so a program compiles once.
Those that move pixels are affine maps: a run of them is composed into one map and the picture is resampled once,
which is faster than one by one and blurs less. Randomness comes from a key, one for every picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules import affine, normalize_gradient

Shape = tuple[int, int]


class Transform(Protocol):
    """`(picture [H, W, 3], key) -> picture [h, w, 3]`, of a fixed shape."""

    def __call__(self, image: Array, key: Array) -> Array:
        """The changed picture."""


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

    @property
    def zoom(self) -> float:
        """The largest magnification it ever draws."""
        return 1.0

    def __call__(self, image: Array, key: Array) -> Array:
        """Resample one picture."""
        return _resample(image, (self,), key, _GREY)


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


@dataclass(frozen=True)
class NormalizeGradient:
    """The picture as it is; the gradient that comes back through it is scaled to length one.

    However loud a unit speaks, it then pulls as hard as any other, and a regularizer's weight means the same for
    a logit of 300 and for a channel of 0.1. (Lucid's `normalize_gradient`.)
    """

    def __call__(self, image: Array, key: Array) -> Array:
        """The same picture."""
        return normalize_gradient(image)


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise of standard deviation `deviation` to every pixel."""

    deviation: float

    def __call__(self, image: Array, key: Array) -> Array:
        """The noisy picture, not clipped."""
        return image + self.deviation * jax.random.normal(key, image.shape, image.dtype)


@dataclass(frozen=True)
class ContrastBetween:
    """Pull every pixel towards mid-grey by a factor drawn uniformly from `low` to `high`.

    A picture that must be seen through haze as well is drawn in stronger lines and colours.
    """

    low: float
    high: float = 1.0

    def __call__(self, image: Array, key: Array) -> Array:
        """The picture at a random contrast, not clipped."""
        factor = jax.random.uniform(key, (), image.dtype, self.low, self.high)
        return _GREY + factor * (image - _GREY)


@dataclass(frozen=True)
class Compose:
    """Transforms one after the other; neighbours that only move pixels are resampled once.

    Attributes:
      transforms: in the order they are applied.
    """

    transforms: tuple[Transform, ...]

    def __call__(self, image: Array, key: Array) -> Array:
        """Apply all of them to one picture."""
        for number, run in enumerate(_runs(self.transforms)):
            run_key = jax.random.fold_in(key, number)
            if isinstance(run[0], Geometric):
                fills = [t.value for t in run if isinstance(t, Pad)]
                image = _resample(image, run, run_key, fills[0] if fills else _GREY)  # type: ignore[arg-type]
            else:
                image = run[0](image, run_key)
        return image


_GREY = 0.5


def output_shape(transforms: Sequence[Transform], shape: Shape) -> Shape:
    """Shape of what comes out of the transforms, for a picture of this shape.

    Raises:
      InvalidInput: transforms that leave nothing of the picture.
    """
    start = shape
    for transform in transforms:
        shape = transform.shape(shape) if isinstance(transform, Geometric) else shape
        if min(shape) < 1:
            raise InvalidInput(
                f"transforms that leave {shape[0]}x{shape[1]} pixels of a {start[0]}x{start[1]} picture",
                "at least one pixel",
                "a larger size, or less jitter",
            )
    return shape


def _runs(transforms: Sequence[Transform]) -> list[list[Transform]]:
    runs: list[list[Transform]] = []
    for transform in transforms:
        if runs and isinstance(transform, Geometric) and isinstance(runs[-1][0], Geometric):
            runs[-1].append(transform)
        else:
            runs.append([transform])
    return runs


def _resample(image: Array, run: Sequence[Geometric], key: Array, fill: float) -> Array:
    """Compose the maps of a run, last one innermost, and read the picture through them once."""
    matrix, shift = jnp.eye(2), jnp.zeros(2)
    for transform, subkey in zip(run, jax.random.split(key, len(run)), strict=True):
        inner = transform.draw(subkey)
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
