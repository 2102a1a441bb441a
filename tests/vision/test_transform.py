"""Transforms: what they do to known pictures, their moments, their shapes and their keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.rules.sampling.affine import affine, reference
from diffprog.vision import transform
from tests.rules.oracle import AGAINST_AUTODIFF, assert_matches_differences, random

KEY = jax.random.key(0)
PICTURE = jnp.asarray(np.random.default_rng(0).random((12, 10, 3)), jnp.float32)


def rotation(degrees, zoom):
    angle = np.deg2rad(degrees)
    return jnp.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / zoom


@pytest.mark.parametrize("degrees", [0.0, 7.0, -20.0, 45.0])
@pytest.mark.parametrize("zoom", [0.5, 1.0, 1.4])
def test_the_adjoint_of_resampling_equals_autodiff(x64, degrees, zoom):
    image, matrix, shift = random(0, (13, 11, 3)), rotation(degrees, zoom), jnp.array([1.3, -0.7])
    for shape in ((13, 11), (9, 14)):
        g_out = random(1, (*shape, 3))
        got = jax.vjp(lambda *a, s=shape: affine(*a, s), image, matrix, shift)[1](g_out)
        want = jax.vjp(lambda *a, s=shape: reference(*a, s), image, matrix, shift)[1](g_out)
        for one, other in zip(got, want, strict=True):
            scale = float(jnp.abs(other).max())
            np.testing.assert_allclose(one, other, rtol=0, atol=AGAINST_AUTODIFF * max(scale, 1))


def test_resampling_matches_differences(x64):
    matrix, shift = rotation(12.0, 1.1), jnp.array([0.3, 0.4])
    assert_matches_differences(lambda image: affine(image, matrix, shift, (8, 9)), random(3, (8, 9, 2)))


def test_padding_frames_the_picture():
    padded = transform.Compose((transform.Pad(2, 0.25),))(PICTURE, KEY)
    assert padded.shape == (16, 14, 3)
    np.testing.assert_allclose(padded[2:-2, 2:-2], PICTURE, atol=1e-6)  # one float32 multiplication by 1
    np.testing.assert_allclose(padded[0], 0.25, atol=1e-6)


def test_jitter_is_a_crop_by_whole_pixels_and_reaches_every_corner():
    crops = {
        (top, left): np.asarray(PICTURE[top : top + 10, left : left + 8])
        for top in range(3)
        for left in range(3)
    }
    seen = set()
    for number in range(60):
        got = transform.Jitter(2)(PICTURE, jax.random.key(number))
        hits = [corner for corner, crop in crops.items() if np.abs(crop - got).max() < 1e-5]
        assert len(hits) == 1
        seen.add(hits[0])
    assert seen == set(crops)  # 60 draws miss one of 9 with probability below 1 %, and the keys are fixed


def test_rotation_by_a_right_angle_and_back():
    square = PICTURE[:10]
    turned = transform.Rotate((90.0,))(square, KEY)
    np.testing.assert_allclose(turned, np.rot90(square), atol=1e-5)  # cos 90 deg is 4e-8 in float32


def test_scale_magnifies_about_the_centre():
    ramp = jnp.linspace(-1, 1, 21)[:, None, None] * jnp.ones((21, 21, 3))
    doubled = transform.Scale((2.0,))(ramp, KEY)
    np.testing.assert_allclose(doubled[5:16, 10, 0], ramp[5:16, 10, 0] / 2, atol=1e-6)


def test_a_run_of_maps_is_resampled_once_and_equals_the_maps_in_turn():
    turn, grow = transform.Rotate((30.0,)), transform.Scale((1.2,))
    smooth = jnp.asarray(np.outer(np.hanning(33), np.hanning(33))[..., None] * np.ones(3), jnp.float32)
    once = transform.Compose((turn, grow))(smooth - 0.5, KEY)
    twice = grow(turn(smooth - 0.5, KEY), KEY)
    assert (
        jnp.abs(once - twice)[8:-8, 8:-8].max() < 0.01
    )  # two interpolations blur a smooth picture that much


def test_draws_have_the_moments_they_promise():
    keys = jax.random.split(KEY, 4000)
    factors = 1 / jax.vmap(transform.ScaleBetween(0.5, 2.0).draw)(keys).matrix[:, 0, 0]
    assert factors.min() >= 0.5 and factors.max() <= 2.0001
    assert abs(jnp.log(factors).mean()) < 0.03  # log-uniform about 1: standard error .0063
    angles = jnp.rad2deg(jnp.arcsin(jax.vmap(transform.RotateBetween(20.0).draw)(keys).matrix[:, 0, 1]))
    assert abs(angles.mean()) < 1 and abs(angles.std() - 40 / np.sqrt(12)) < 0.5


def test_vmap_gives_every_picture_its_own_draw():
    pictures, keys = jnp.stack([PICTURE] * 3), jax.random.split(KEY, 3)
    together = jax.vmap(transform.RotateBetween(20.0))(pictures, keys)
    assert (together[0] != together[1]).any()
    alone = transform.RotateBetween(20.0)(PICTURE, keys[2])
    np.testing.assert_allclose(together[2], alone, atol=1e-5)


def test_transforms_that_leave_nothing_are_refused():
    with pytest.raises(InvalidInput, match="leave 0x-2 pixels of a 12x10"):
        transform.output_shape((transform.Jitter(12),), (12, 10))


def test_contrast_pulls_towards_grey_by_factors_between_its_bounds():
    haze = transform.ContrastBetween(0.5, 0.9)
    keys = jax.random.split(KEY, 500)
    seen = jax.vmap(lambda key: haze(PICTURE, key))(keys)
    factors = (seen - 0.5).reshape(500, -1) @ (PICTURE - 0.5).ravel() / jnp.sum((PICTURE - 0.5) ** 2)
    assert 0.5 <= factors.min() < 0.51 and 0.89 < factors.max() <= 0.9
    np.testing.assert_allclose(
        seen, 0.5 + factors[:, None, None, None] * (PICTURE - 0.5), atol=1e-6
    )  # float32
