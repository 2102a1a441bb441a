"""What every transform is: `(picture, key) -> picture` of a fixed shape, drawn anew for every picture and step.

A picture that excites a unit only when seen from exactly one place is noise; asking for the mean over jittered,
scaled and rotated views asks for structure. All shapes are fixed, so a program compiles once. Randomness comes from a
key, one for every picture.

A transform may say three more things of itself. `shape`: the shape it gives, where that is another. `still`: what is
seen of a picture without chance, where that is not the picture itself (put over grey in place of a random
background, made smaller in place of a random crop). `at`: what it is after a share of all steps, where it changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jax import Array

from diffprog.errors import InvalidInput

Shape = tuple[int, int]
GREY = 0.5


class Transform(Protocol):
    """`(picture [H, W, C], key) -> picture [h, w, c]`, of a fixed shape."""

    def __call__(self, image: Array, key: Array) -> Array:
        """The changed picture."""


@runtime_checkable
class Reshaping(Protocol):
    """A transform that gives pictures of another shape."""

    def shape(self, shape: Shape) -> Shape:
        """Height and width of what it gives."""


@runtime_checkable
class Still(Protocol):
    """A transform that says what is seen of a picture without chance."""

    def still(self, image: Array) -> Array:
        """The picture as a network is shown it when it is judged."""


@runtime_checkable
class Scheduled(Protocol):
    """A transform that changes along a run."""

    def at(self, progress: Array) -> Transform:
        """What it is after this share of all steps, a number in [0, 1)."""


def output_shape(transforms: Sequence[Transform], shape: Shape) -> Shape:
    """Shape of what comes out of the transforms, for a picture of this shape.

    Raises:
      InvalidInput: transforms that leave nothing of the picture.
    """
    start = shape
    for transform in transforms:
        shape = transform.shape(shape) if isinstance(transform, Reshaping) else shape
        if min(shape) < 1:
            raise InvalidInput(
                f"transforms that leave {shape[0]}x{shape[1]} pixels of a {start[0]}x{start[1]} picture",
                "at least one pixel",
                "a larger size, or less jitter",
            )
    return shape


def still(transforms: Sequence[Transform], image: Array) -> Array:
    """What is seen of a picture without chance."""
    for transform in transforms:
        image = transform.still(image) if isinstance(transform, Still) else image
    return image
