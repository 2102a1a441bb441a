"""Preprocessing against Pillow's, which the published programs use; and the traps of resizing and of ranges."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from diffprog.models.clip.architecture import DEVIATION, MEAN
from diffprog.models.clip.preprocess import preprocess, resize_and_crop, resized_shape
from tests.models.pictures import noise, photographs

pytestmark = pytest.mark.usefixtures("compiled_plainly")

SIZES = [(150, 226), (226, 150), (97, 64), (40, 31)]  # lying and upright; one side as it is; enlarged
compiled = jax.jit(resize_and_crop, static_argnums=1)
published = jax.jit(lambda image: preprocess(image, 8, MEAN, DEVIATION))
# Both sum some tens of products of values up to 1, twice, with weights that were rounded to float32.
FLOAT_TOLERANCE = 1e-5
# On 8-bit pictures Pillow rounds to 1/255 after each of the two directions: half a level each, and the second
# direction's weights have absolute values that sum to at most 1.5. One level covers it on photographs.
LEVEL = 1 / 255


def pillow(picture: np.ndarray, size: int, method: int = Image.Resampling.BICUBIC) -> np.ndarray:
    """The published preprocessing of one picture [H, W, 3], in float32, without rounding to levels."""
    height, width = resized_shape(*picture.shape[:2], size)
    channels = [Image.fromarray(picture[..., c], mode="F") for c in range(3)]
    resized = np.stack([np.asarray(c.resize((width, height), method)) for c in channels], axis=-1)
    return cropped(np.clip(resized, 0, 1), size)


def cropped(picture: np.ndarray, size: int) -> np.ndarray:
    top, left = (round((length - size) / 2) for length in picture.shape[:2])
    return picture[top : top + size, left : left + size]


@pytest.fixture(autouse=True)
def quiet_pillow(recwarn):
    """Pillow's `mode` argument is announced to go and to stay, by version."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.mark.parametrize("height, width", SIZES)
def test_it_is_pillows_bicubic(height, width):
    image = noise(height, width, count=1)
    np.testing.assert_allclose(compiled(image, 64)[0], pillow(image[0], 64), atol=FLOAT_TOLERANCE)


@pytest.mark.parametrize("height, width", SIZES[1:3])
def test_8_bit_pictures_differ_by_a_level(height, width):
    image = photographs(height, width, names=("chelsea",))[0]
    levels = np.round(255 * image).astype(np.uint8)
    new_height, new_width = resized_shape(height, width, 64)
    resized = Image.fromarray(levels).resize((new_width, new_height), Image.Resampling.BICUBIC)
    theirs = cropped(np.asarray(resized), 64).astype(np.float32) / 255
    ours = np.asarray(compiled((levels / np.float32(255))[None], 64))[0]
    assert np.abs(ours - theirs).max() <= 1.01 * LEVEL
    assert np.abs(ours - theirs).mean() <= 0.5 * LEVEL


def test_other_kinds_of_resizing_would_be_seen():
    image = noise(*SIZES[0], count=1)
    theirs = pillow(image[0], 64)
    height, width = resized_shape(*SIZES[0], 64)
    aliased = jax.image.resize(image, (1, height, width, 3), "cubic", antialias=False)
    linear = jax.image.resize(image, (1, height, width, 3), "linear")
    for wrong in (aliased, linear):
        assert np.abs(cropped(np.clip(wrong[0], 0, 1), 64) - theirs).max() > 100 * FLOAT_TOLERANCE
    squashed = jax.image.resize(image, (1, 64, 64, 3), "cubic")
    assert np.abs(np.clip(squashed[0], 0, 1) - theirs).max() > 100 * FLOAT_TOLERANCE


def test_a_picture_of_the_right_size_is_left_alone():
    image = 3 * noise(64, count=2) - 1  # beyond the range too: nothing is cut off where nothing overshoots
    np.testing.assert_array_equal(resize_and_crop(image, 64), image)


def test_black_and_white_become_the_published_numbers():
    black, white = (published(np.full((1, 8, 8, 3), value, np.float32)) for value in (0, 1))
    # The least and greatest values that CLIP ever sees, by channel. Pictures in [0, 255] or [-1, 1] give others.
    np.testing.assert_allclose(black[0, 0, 0], [-1.7923, -1.7521, -1.4802], atol=1e-4)
    np.testing.assert_allclose(white[0, 0, 0], [1.9303, 2.0749, 2.1459], atol=1e-4)


def test_colours_keep_their_order():
    red = published(np.broadcast_to(np.float32([1, 0, 0]), (1, 8, 8, 3)))[0, 0, 0]
    assert red[0] > 1.9 and red[1] < -1.7 and red[2] < -1.4


@pytest.mark.parametrize("height, width, size, expected", [
    (480, 640, 224, (224, 298)), (640, 480, 224, (298, 224)), (224, 224, 224, (224, 224)), (3, 1000, 2, (2, 666)),
])  # fmt: skip
def test_the_shorter_side_is_made_the_size(height, width, size, expected):
    assert resized_shape(height, width, size) == expected


def test_its_gradient_is_that_of_differences(x64):
    key = jax.random.key(0)
    x = 0.3 + 0.4 * jax.random.uniform(
        key, (1, 9, 12, 3), jnp.float64
    )  # inside [0, 1] also where it overshoots
    v = jax.random.normal(jax.random.key(1), x.shape, jnp.float64)
    g = jax.random.normal(jax.random.key(2), (1, 5, 5, 3), jnp.float64)

    @jax.jit
    def score(x):
        return jnp.vdot(g, preprocess(x, 5, MEAN, DEVIATION))

    # It is affine here, so a difference over any step is the derivative up to rounding.
    difference = (score(x + 1e-2 * v) - score(x - 1e-2 * v)) / 2e-2
    np.testing.assert_allclose(jnp.vdot(jax.jit(jax.grad(score))(x), v), difference, rtol=1e-9)
