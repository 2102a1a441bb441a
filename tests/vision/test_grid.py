"""Activation grids: every position drawn as it would be alone, laid out as it lies in the photograph."""

from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import diffprog as dp
from diffprog.errors import InvalidInput
from diffprog.vision.canvases import Pixel
from diffprog.vision.recipes import Recipe

pytestmark = pytest.mark.usefixtures("compiled_plainly")

KERNEL = jax.random.normal(jax.random.key(1), (3, 3, 3, 6))
QUICK = Recipe(size=12, steps=4, canvas=Pixel(), redirect_steps=0)
PHOTO = np.random.default_rng(0).random((8, 12, 3)).astype(np.float32)
PHOTO[:4, :4] = 0  # nothing is active there: the kernel sees only black, and there is no bias


def net(images):
    with jax.named_scope("edges"):
        x = jax.nn.relu(jax.lax.conv_general_dilated(images, KERNEL, (2, 2), "SAME",
                                                     dimension_numbers=("NHWC", "HWIO", "NHWC")))  # fmt: skip
    return x.mean((1, 2))


@pytest.fixture(scope="module")
def grid():
    return dp.activation_grid(net, PHOTO, "edges", recipe=QUICK, key=7)


def test_cells_lie_where_the_positions_are(grid):
    seen = dp.activations(net, PHOTO, "edges")["edges"]
    assert grid.cells.shape == (4, 6, 12, 12, 3) and grid.image.shape == (48, 72, 3)
    np.testing.assert_allclose(grid.magnitudes, np.linalg.norm(seen, axis=-1), rtol=1e-6)
    assert (grid.image[24:36, 48:60] == grid.cells[2, 4]).all()


def test_a_cell_is_the_picture_of_its_vector_drawn_alone(grid):
    seen = dp.activations(net, PHOTO, "edges")["edges"][3, 2]
    wish = dp.direction("edges", seen / np.linalg.norm(seen), power=2)
    alone = dp.visualize(net, wish, recipe=QUICK, key=7)
    assert (alone.images[0] == grid.cells[3, 2]).all()


def test_where_nothing_is_active_a_cell_is_grey(grid):
    silent = grid.magnitudes == 0
    assert silent.any() and not silent.all() and (grid.cells[silent] == 0.5).all()
    assert len(grid.drawing.images) == (~silent).sum()


def test_weighted_cells_fade_with_their_magnitude(grid):
    loudest = np.unravel_index(grid.magnitudes.argmax(), grid.magnitudes.shape)
    faded = grid.weighted.reshape(4, 12, 6, 12, 3).swapaxes(1, 2)
    np.testing.assert_allclose(faded[loudest], grid.cells[loudest], atol=1e-6)
    contrast = np.abs(faded - 0.5).max((2, 3, 4)) / np.maximum(np.abs(grid.cells - 0.5).max((2, 3, 4)), 1e-9)
    np.testing.assert_allclose(contrast, grid.magnitudes / grid.magnitudes.max(), rtol=1e-3, atol=1e-6)


def test_a_stride_leaves_positions_out():
    grid = dp.activation_grid(net, PHOTO, "edges", stride=3, recipe=QUICK, steps=1, size=8)
    assert grid.cells.shape == (2, 2, 8, 8, 3)


def test_it_is_saved_whole_and_its_cells_can_be_drawn_again(grid, tmp_path):
    with Image.open(grid.save(tmp_path / "grid.png")) as picture:
        np.testing.assert_allclose(np.asarray(picture) / 255, grid.image, atol=0.5 / 255 + 1e-6)
    path = grid.drawing.save(tmp_path / "cells.png")
    assert (dp.redraw(path, net).images == grid.drawing.images).all()
    with pytest.raises(InvalidInput, match=r"grid\.jpg"):
        grid.save(tmp_path / "grid.jpg")


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"stride": 0}, "stride=0"),
        ({"stride": 1.5}, "stride=1.5"),
        ({"layer": "edgs"}, "'edgs'"),
        ({"layer": "output"}, r"output, which is \[6\]"),
        ({"photo": np.zeros((8, 8, 3), np.float32)}, "nothing is active"),
        ({"photo": PHOTO[0]}, "a picture"),
        ({"power": -1}, "power=-1"),
    ],
)
def test_bad_requests_are_refused(wish, message):
    wish = {"photo": PHOTO, "layer": "edges", "recipe": QUICK, **wish}
    with pytest.raises(InvalidInput, match=message) as refused:
        dp.activation_grid(net, wish.pop("photo"), wish.pop("layer"), **wish)
    assert refused.value.expected and refused.value.remedy


def test_progress_and_interruption_leave_what_there_is():
    @contextmanager
    def interrupted(total):
        def told(done, report):
            if done > 2 * QUICK.steps:
                raise KeyboardInterrupt

        yield told

    grid = dp.activation_grid(net, PHOTO, "edges", recipe=QUICK, progress=interrupted)
    assert grid.drawing.stopped == "interrupted"
    drawn = (grid.cells != 0.5).any((2, 3, 4)).sum()
    assert 2 <= drawn <= 3
    assert jnp.isfinite(grid.image).all()
