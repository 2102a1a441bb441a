"""The pictures that the networks are tried on: photographs that scikit-image carries, and noise."""

import numpy as np
import pytest
from PIL import Image

PHOTOGRAPHS = ("chelsea", "coffee", "rocket", "astronaut")


def photographs(height: int, width: int | None = None, names: tuple[str, ...] = PHOTOGRAPHS) -> np.ndarray:
    """Photographs resized (and squashed, as needed) to float32[B, height, width, 3] in [0, 1]."""
    data = pytest.importorskip("skimage.data")
    size = (width or height, height)
    pictures = [Image.fromarray(getattr(data, name)()[..., :3]).resize(size) for name in names]
    return np.stack([np.asarray(picture, np.float32) / 255 for picture in pictures])


def noise(height: int, width: int | None = None, count: int = 2) -> np.ndarray:
    """Uniform noise, float32[count, height, width, 3] in [0, 1]."""
    generator = np.random.default_rng(0)
    return generator.random((count, height, width or height, 3), dtype=np.float32)


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    """|got - expected| / |expected|, after checking that the shapes agree."""
    assert got.shape == expected.shape
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))
