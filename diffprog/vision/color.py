"""Decorrelated colours: a basis in which the three channels of natural pictures vary independently.

Gradient ascent in this basis moves along the colours that pictures have instead of along neon ones. The matrix
is the square root of ImageNet's colour covariance, by singular values, scaled so that its longest column has
length one (Olah, Mordvintsev and Schubert, Feature Visualization, Distill 2017; constants from Lucid).
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

COLOR_SVD_SQRT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
"""Columns are the directions of independent variation, in RGB."""

TO_RGB = COLOR_SVD_SQRT / np.linalg.norm(COLOR_SVD_SQRT, axis=0).max()
"""[3, 3]: rgb = TO_RGB @ decorrelated."""


def to_rgb(channels: Array) -> Array:
    """Colours from decorrelated channels, still unbounded: [3, H, W] -> [3, H, W]."""
    return jnp.einsum("rc,chw->rhw", jnp.asarray(TO_RGB, channels.dtype), channels)


def from_rgb(rgb: Array) -> Array:
    """The inverse of `to_rgb`: [3, H, W] -> [3, H, W]."""
    return jnp.einsum("cr,rhw->chw", jnp.asarray(np.linalg.inv(TO_RGB), rgb.dtype), rgb)
