"""Colours and the last step of every canvas: from unbounded independent channels to a picture in [0, 1], and back.

Gradient ascent in a basis in which the channels of natural pictures vary independently moves along the colours that
pictures have instead of along neon ones. The matrix is the square root of ImageNet's colour covariance, by singular
values, scaled so that its longest column has length one (Olah, Mordvintsev and Schubert, Feature Visualization,
Distill 2017; constants from Lucid). `measure` finds such a matrix in pictures of your own.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput

Matrix = tuple[tuple[float, ...], ...]

COLOR_SVD_SQRT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
"""Columns are the directions of independent variation, in RGB."""

TO_RGB = COLOR_SVD_SQRT / np.linalg.norm(COLOR_SVD_SQRT, axis=0).max()
"""[3, 3]: rgb = TO_RGB @ decorrelated."""

DARKEST = 5e-4
"""Where a photograph is exactly black or white its sigmoid would need infinite parameters: half of what an 8-bit
level can tell is close enough, and keeps a slope."""


def to_rgb(channels: Array, matrix: np.ndarray = TO_RGB) -> Array:
    """Colours from decorrelated channels, still unbounded: [C, H, W] -> [C, H, W]."""
    return jnp.einsum("rc,chw->rhw", jnp.asarray(matrix, channels.dtype), channels)


def from_rgb(rgb: Array, matrix: np.ndarray = TO_RGB) -> Array:
    """The inverse of `to_rgb`: [C, H, W] -> [C, H, W]."""
    return jnp.einsum("cr,rhw->chw", jnp.asarray(np.linalg.inv(matrix), rgb.dtype), rgb)


def finished(channels: Array, decorrelate: bool, color: Matrix | None = None) -> Array:
    """The picture that unbounded channels make: [C, H, W] -> [H, W, C] in [0, 1]."""
    matrix = color_matrix(channels.shape[0], decorrelate, color)
    mixed = channels if matrix is None else to_rgb(channels, matrix)
    return jax.nn.sigmoid(mixed).transpose(1, 2, 0)


def unfinished(image: Array, decorrelate: bool, color: Matrix | None = None) -> Array:
    """The channels that make a picture, the inverse of `finished`: [H, W, C] -> [C, H, W]."""
    image = jnp.clip(jnp.asarray(image, jnp.float32), DARKEST, 1 - DARKEST).transpose(2, 0, 1)
    logits = jnp.log(image) - jnp.log1p(-image)
    matrix = color_matrix(image.shape[0], decorrelate, color)
    return logits if matrix is None else from_rgb(logits, matrix)


def color_matrix(channels: int, decorrelate: bool, color: Matrix | None) -> np.ndarray | None:
    """What independent channels are multiplied by; None where they are the picture's own.

    Three channels have ImageNet's matrix. Another number has none that is published, and is left as it is unless
    `color` says how its channels vary together.

    Raises:
      InvalidInput: a matrix of another shape.
    """
    if not decorrelate:
        return None
    if color is None:
        return TO_RGB if channels == 3 else None
    matrix = np.asarray(color, np.float32)
    if matrix.shape != (channels, channels):
        raise InvalidInput(
            f"a colour matrix {matrix.shape} for {channels} channels",
            f"[{channels}, {channels}]",
            "canvases.measure(images).color of images with as many channels",
        )
    return matrix
