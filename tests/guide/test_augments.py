"""Augments and views: numbers pinned to their sources, fixed shapes, keys, gradients, closed forms of each change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.guide import views
from diffprog.guide.augments import AUGMENTS, BIGSLEEP, FUSEDREAM, VQGAN_CLIP, WHOLE, WINDOWS

pytestmark = pytest.mark.usefixtures("compiled_plainly")

NAMES = sorted(AUGMENTS)


def picture(height=16, width=16):
    return jax.random.uniform(jax.random.key(3), (height, width, 3))


def seen(augment, image, key, number=0, size=24):
    return jax.jit(lambda image, key, number: augment(image, key, number, size))(
        image, jax.random.key(key), number
    )


def test_big_sleep_is_pinned():
    """lucidrains/big-sleep: num_cutouts 128, normal_(mean=.8, std=.3).clip(.5, .95), interpolate's nearest."""
    assert (BIGSLEEP.count, BIGSLEEP.mean, BIGSLEEP.deviation, BIGSLEEP.least, BIGSLEEP.most) == (
        128,
        0.8,
        0.3,
        0.5,
        0.95,
    )


def test_vqgan_clip_is_pinned():
    """nerdyrodent/VQGAN-CLIP: cutn 32, augments Af Pe Ji Er each p .7, noise_fac .1."""
    assert (VQGAN_CLIP.count, VQGAN_CLIP.probability, VQGAN_CLIP.noise) == (32, 0.7, 0.1)
    assert (VQGAN_CLIP.degrees, VQGAN_CLIP.shift, VQGAN_CLIP.shear, VQGAN_CLIP.distortion) == (
        15,
        0.1,
        5,
        0.7,
    )
    assert (VQGAN_CLIP.jitter, VQGAN_CLIP.hole_area, VQGAN_CLIP.hole_ratio) == (
        0.1,
        (0.1, 0.4),
        (0.3, 1 / 0.3),
    )


def test_fuse_dream_is_pinned():
    """gnobitab/FuseDream, DiffAugment_pytorch.py, "color,translation,resize,cutout" x 50."""
    assert (FUSEDREAM.count, FUSEDREAM.brightness, FUSEDREAM.shift, FUSEDREAM.hole) == (50, 0.5, 0.125, 0.5)
    assert (FUSEDREAM.saturation, FUSEDREAM.contrast, FUSEDREAM.resize) == (
        (0.0, 2.0),
        (0.5, 1.5),
        (0.8, 1.2),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_view_has_the_size_asked_for_and_its_key_decides_it(name):
    augment, image = AUGMENTS[name], picture()
    first = seen(augment, image, 0)
    assert first.shape == (24, 24, 3) and np.isfinite(first).all()
    np.testing.assert_array_equal(first, seen(augment, image, 0))
    if name != "whole":
        assert np.abs(first - seen(augment, image, 1)).max() > 1e-3
        assert np.abs(first - seen(augment, image, 0, number=1)).max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_a_view_has_the_gradient_of_finite_differences(name, x64):
    augment, image = (
        AUGMENTS[name],
        picture(6, 6).astype(jnp.float64) * 0.8 + 0.1,
    )  # away from the edges of clipping
    weight = jax.random.normal(jax.random.key(1), (9, 9, 3), jnp.float64)

    @jax.jit
    def value(image):
        return jnp.sum(augment(image, jax.random.key(5), 0, 9) * weight)

    along = jax.random.normal(jax.random.key(2), image.shape, jnp.float64)
    step = 1e-5
    numeric = (value(image + step * along) - value(image - step * along)) / (2 * step)
    # Views are piecewise linear or quadratic in the pixels, but for float32 weights of some windows.
    np.testing.assert_allclose(
        jnp.vdot(jax.jit(jax.grad(value))(image), along), numeric, rtol=1e-4, atol=1e-6
    )


def test_a_whole_view_is_the_picture():
    np.testing.assert_array_equal(WHOLE(picture(), jax.random.key(0), 0, 16), picture())


def test_windows_of_the_whole_without_changes_are_the_picture():
    plain = WINDOWS.__class__(count=1, least=1.0, colour=0.0, noise=0.0)
    image = picture()
    got = seen(plain, image, 0, size=16)
    assert min(np.abs(got - image).max(), np.abs(got - image[:, ::-1]).max()) < 1e-5  # as it is, or mirrored


@pytest.mark.parametrize("method", ["linear", "cubic", "nearest"])
def test_a_window_of_whole_pixels_is_a_slice(method):
    image = picture()
    got = views.window(image, jnp.array([2.0, 5.0]), 8.0, 8, method)
    np.testing.assert_allclose(got, image[2:10, 5:13], atol=1e-5)  # weights of 0 and 1, to rounding


def test_a_nearest_window_is_torchs_interpolation():
    torch = pytest.importorskip("torch")
    image = np.array(picture())
    part = torch.from_numpy(image[3:13, 1:11]).permute(2, 0, 1)[None]
    theirs = torch.nn.functional.interpolate(part, (24, 24), mode="nearest")[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(
        views.window(jnp.asarray(image), jnp.array([3.0, 1.0]), 10.0, 24, "nearest"), theirs
    )


def test_a_window_beyond_the_edge_is_black_there():
    got = views.window(jnp.ones((8, 8, 3)), jnp.array([-8.0, 0.0]), 8.0, 8)
    np.testing.assert_allclose(got, 0, atol=1e-6)


def test_colours_against_pytorchs_differentiable_augmentation():
    """Zhao et al. 2020 in FuseDream's file: saturation about the channels' mean, contrast about the picture's."""
    image, factor = np.asarray(picture()), 1.7
    grey = image.mean(-1, keepdims=True)
    np.testing.assert_allclose(views.saturated(image, factor), (image - grey) * factor + grey, rtol=1e-5)
    np.testing.assert_allclose(
        views.contrasted(image, factor), (image - image.mean()) * factor + image.mean(), rtol=1e-5
    )
    np.testing.assert_allclose(views.brightened(image, 0.2), image + 0.2)


def test_hues_turn_and_keep_their_brightness():
    image, bright = picture(), jnp.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(views.hued(image, jnp.array(0.0)), image, atol=1e-5)
    np.testing.assert_allclose(views.hued(image, jnp.array(1.0)), image, atol=1e-5)
    np.testing.assert_allclose(
        views.hued(image, jnp.array(0.3)) @ bright, image @ bright, atol=2e-3
    )  # 3-digit matrix
    assert np.abs(views.hued(image, jnp.array(0.5)) - image).max() > 0.1


def test_a_warp_by_a_quarter_turn_turns_the_pixels():
    turned = views.warp(picture(), views.affine_map(jnp.array(90.0), jnp.zeros(2), jnp.array(0.0)))
    error = min(np.abs(turned - jnp.rot90(picture(), turns)).max() for turns in (1, 3))
    assert error < 1e-4  # places are rounded to float32, some 1e-6 of a pixel


def test_a_perspective_takes_the_corners_where_they_should_go():
    corners = jnp.array([[-0.9, -0.8], [-0.7, 0.9], [1.0, -0.6], [0.8, 0.95]])
    matrix = views.perspective_map(corners)
    for source, target in zip(views.CORNERS, corners, strict=True):
        place = matrix @ jnp.array([*source, 1.0])
        np.testing.assert_allclose(place[:2] / place[2], target, atol=1e-5)


def test_a_hole_is_black_and_the_rest_as_it_was():
    image = picture() + 1
    got = views.without(image, jnp.array([2.0, 3.0]), jnp.array([4.0, 5.0]))
    assert (np.asarray(got) == 0).any(-1).sum() == 20
    np.testing.assert_array_equal(got[6:], image[6:])


def test_cutouts_of_big_sleep_have_its_sizes():
    """A ramp shows how much of the picture a cutout holds."""
    ramp = jnp.broadcast_to(jnp.arange(64.0)[:, None, None] / 64, (64, 64, 3))
    cut = jax.vmap(lambda number: BIGSLEEP(ramp, jax.random.key(0), number, 32))(jnp.arange(400))
    parts = (
        np.asarray(cut[:, -1, 0, 0] - cut[:, 0, 0, 0]) + 1.5 / 64
    )  # nearest pixels, half a cell at either end
    assert parts.min() > 0.45 and parts.max() < 1.0
    # Of N(.8, .3): P(below .5) = .159, P(above .95) = .309; four standard errors of 400 draws.
    np.testing.assert_allclose(np.mean(parts < 0.53), 0.159, atol=0.08)
    np.testing.assert_allclose(np.mean(parts > 0.93), 0.309, atol=0.1)
