"""Transforms: one table that all of them pass; what they do to known pictures, their moments and their keys."""

import dataclasses
import inspect
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.rules.sampling.affine import affine, reference
from diffprog.vision import transforms as transform
from tests.rules.oracle import AGAINST_AUTODIFF, assert_matches_differences, random

pytestmark = pytest.mark.usefixtures("compiled_plainly")

KEY = jax.random.key(0)
PICTURE = jnp.asarray(np.random.default_rng(0).random((12, 10, 3)), jnp.float32)


# name: (transform, height and width that it makes of 12 x 10)
TABLE = {
    "pad": (transform.Pad(2), (16, 14)),
    "jitter": (transform.Jitter(2), (10, 8)),
    "crop or pad": (transform.CropOrPad(9, 13), (9, 13)),
    "translate": (transform.Translate(4), (12, 10)),
    "shift": (transform.Shift(2.0), (12, 10)),
    "scale": (transform.Scale((0.9, 1.1)), (12, 10)),
    "scale between": (transform.ScaleBetween(0.8, 1.2), (12, 10)),
    "rotate": (transform.Rotate((-10, 10)), (12, 10)),
    "rotate between": (transform.RotateBetween(20.0), (12, 10)),
    "mirror": (transform.Mirror(), (12, 10)),
    "noise": (transform.Noise(0.1), (12, 10)),
    "uniform noise": (transform.UniformNoise(0.1), (12, 10)),
    "contrast": (transform.ContrastBetween(0.5, 0.9), (12, 10)),
    "colours": (transform.ColorJitter(), (12, 10)),
    "fade": (transform.Fade(), (12, 10)),
    "blur": (transform.BlurBetween(0.5, 1.5), (12, 10)),
    "erase": (transform.Erase(probability=1.0), (12, 10)),
    "crop": (transform.Crop(6, 0.3, 0.7), (6, 6)),
    "shrinking crop": (transform.ShrinkingCrop(6), (6, 6)),
    "resize": (transform.Resize(7), (7, 7)),
    "normalize gradient": (transform.NormalizeGradient(), (12, 10)),
    "background": (transform.OnBackground(), (12, 10)),
}
WITHOUT_CHANCE = {"pad", "crop or pad", "resize", "normalize gradient", "fade"}
every_transform = pytest.mark.parametrize("name", TABLE)


def picture_for(name):
    """The picture; with opacity where that is what is transformed."""
    return jnp.concatenate([PICTURE, PICTURE[..., :1]], -1) if name == "background" else PICTURE


def test_the_table_has_every_transform_of_the_room():
    rooms = {name: part for name, part in vars(transform).items() if inspect.isclass(part)}
    found = {name for name, part in rooms.items() if dataclasses.is_dataclass(part)}
    assert found - {"Geometric", "Compose"} == {type(one).__name__ for one, _ in TABLE.values()}


SEEDS = (1, 1, 2, 3, 4, 5)


@cache
def looked_at(name):
    """What keys of `SEEDS` show together, the last key alone, its gradient, and no chance at all: one program."""
    one, image = TABLE[name][0], picture_for(name)

    @jax.jit
    def program(image, keys):
        alone = partial(one, key=keys[-1])
        gradient = jax.grad(lambda image: jnp.sum(alone(image) ** 2))(image)
        together = jax.vmap(one)(jnp.stack([image] * len(SEEDS)), keys)
        return together, alone(image), gradient, transform.still((one,), image)

    return program(image, keys_of(SEEDS))


def keys_of(seeds):
    """A key for each number."""
    return jax.vmap(jax.random.key)(jnp.array(seeds))


@every_transform
def test_shapes_are_fixed_and_known_before(name):
    one, shape = TABLE[name]
    _, got, _, calm = looked_at(name)
    assert got.shape == (*shape, 3) and got.dtype == jnp.float32 and np.isfinite(got).all()
    assert transform.output_shape((one,), (12, 10)) == shape
    assert calm.shape[-1] == 3 and np.isfinite(calm).all()


@every_transform
def test_the_key_decides_what_is_seen(name):
    seen = np.asarray(looked_at(name)[0])
    assert (seen[0] == seen[1]).all()
    assert any((seen[0] != other).any() for other in seen[2:]) != (name in WITHOUT_CHANCE)


@every_transform
def test_every_picture_of_a_batch_has_its_own_draw(name):
    together, alone, *_ = looked_at(name)
    np.testing.assert_allclose(together[-1], alone, atol=1e-5)  # float32, another order of sums


@every_transform
def test_gradients_are_finite_and_not_zero(name):
    gradient = np.asarray(looked_at(name)[2])
    assert np.isfinite(gradient).all() and np.abs(gradient).sum() > 0


@pytest.mark.parametrize("name", ["crop", "shrinking crop", "blur", "colours", "erase", "crop or pad"])
def test_gradients_match_differences(x64, name):
    assert_matches_differences(jax.jit(partial(TABLE[name][0], key=KEY)), random(3, (9, 8, 2)))


def rotation(degrees, zoom):
    angle = np.deg2rad(degrees)
    return jnp.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / zoom


@partial(jax.jit, static_argnums=3)
def both_adjoints(image, matrix, shift, shape):
    """Of the rule and of autodiff, for a random gradient of the output."""
    g_out = random(1, (*shape, 3))
    rules = [partial(f, shape=shape) for f in (affine, reference)]
    return [jax.vjp(rule, image, matrix, shift)[1](g_out) for rule in rules]


@pytest.mark.parametrize("degrees", [0.0, 7.0, -20.0, 45.0])
@pytest.mark.parametrize("zoom", [0.5, 1.0, 1.4])
def test_the_adjoint_of_resampling_equals_autodiff(x64, degrees, zoom):
    image, matrix, shift = random(0, (13, 11, 3)), rotation(degrees, zoom), jnp.array([1.3, -0.7])
    for shape in ((13, 11), (9, 14)):
        got, want = both_adjoints(image, matrix, shift, shape)
        for one, other in zip(got, want, strict=True):
            scale = float(np.abs(other).max())
            np.testing.assert_allclose(one, other, rtol=0, atol=AGAINST_AUTODIFF * max(scale, 1))


def test_resampling_matches_differences(x64):
    matrix, shift = rotation(12.0, 1.1), jnp.array([0.3, 0.4])
    rule = jax.jit(lambda image: affine(image, matrix, shift, (8, 9)))
    assert_matches_differences(rule, random(3, (8, 9, 2)))


def test_padding_frames_the_picture():
    padded = jax.jit(transform.Compose((transform.Pad(2, 0.25),)))(PICTURE, KEY)
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
    for got in np.asarray(jax.jit(jax.vmap(transform.Jitter(2), (None, 0)))(PICTURE, keys_of(range(60)))):
        hits = [corner for corner, crop in crops.items() if np.abs(crop - got).max() < 1e-5]
        assert len(hits) == 1
        seen.add(hits[0])
    assert seen == set(crops)  # 60 draws miss one of 9 with probability below 1 %, and the keys are fixed


def test_rotation_by_a_right_angle_and_back():
    square = PICTURE[:10]
    turned = jax.jit(transform.Rotate((90.0,)))(square, KEY)
    np.testing.assert_allclose(turned, np.rot90(square), atol=1e-5)  # cos 90 deg is 4e-8 in float32


def test_scale_magnifies_about_the_centre():
    ramp = np.linspace(-1, 1, 21, dtype=np.float32)[:, None, None] * np.ones((21, 21, 3), np.float32)
    doubled = jax.jit(transform.Scale((2.0,)))(ramp, KEY)
    np.testing.assert_allclose(doubled[5:16, 10, 0], ramp[5:16, 10, 0] / 2, atol=1e-6)


def test_a_run_of_maps_is_resampled_once_and_equals_the_maps_in_turn():
    turn, grow = transform.Rotate((30.0,)), transform.Scale((1.2,))
    smooth = jnp.asarray(np.outer(np.hanning(33), np.hanning(33))[..., None] * np.ones(3), jnp.float32)
    once = jax.jit(transform.Compose((turn, grow)))(smooth - 0.5, KEY)
    twice = jax.jit(lambda image: grow(turn(image, KEY), KEY))(smooth - 0.5)
    assert (
        jnp.abs(once - twice)[8:-8, 8:-8].max() < 0.01
    )  # two interpolations blur a smooth picture that much


def test_draws_have_the_moments_they_promise():
    keys = jax.random.split(KEY, 4000)

    def drawn(one):
        return np.asarray(jax.jit(jax.vmap(one.draw))(keys).matrix)

    factors = 1 / drawn(transform.ScaleBetween(0.5, 2.0))[:, 0, 0]
    assert factors.min() >= 0.5 and factors.max() <= 2.0001
    assert abs(np.log(factors).mean()) < 0.03  # log-uniform about 1: standard error .0063
    angles = np.rad2deg(np.arcsin(drawn(transform.RotateBetween(20.0))[:, 0, 1]))
    assert abs(angles.mean()) < 1 and abs(angles.std() - 40 / np.sqrt(12)) < 0.5


def test_transforms_that_leave_nothing_are_refused():
    with pytest.raises(InvalidInput, match="leave 0x-2 pixels of a 12x10"):
        transform.output_shape((transform.Jitter(12),), (12, 10))


def test_contrast_pulls_towards_grey_by_factors_between_its_bounds():
    haze = transform.ContrastBetween(0.5, 0.9)
    keys = jax.random.split(KEY, 500)
    seen, picture = np.asarray(jax.jit(jax.vmap(haze, (None, 0)))(PICTURE, keys)), np.asarray(PICTURE)
    factors = (seen - 0.5).reshape(500, -1) @ (picture - 0.5).ravel() / np.sum((picture - 0.5) ** 2)
    assert 0.5 <= factors.min() < 0.51 and 0.89 < factors.max() <= 0.9
    np.testing.assert_allclose(
        seen, 0.5 + factors[:, None, None, None] * (picture - 0.5), atol=1e-6
    )  # float32


cropped = jax.jit(transform.crop.cropped, static_argnums=(3, 4))


def test_a_crop_of_the_whole_picture_is_the_resized_picture():
    square = PICTURE[:10]
    for size in (10, 5, 17):
        whole = cropped(square, jnp.array([0.5, 0.5]), jnp.array(1.0), size)
        np.testing.assert_allclose(whole, jax.image.resize(square, (size, size, 3), "bilinear"), atol=1e-5)
    still = jax.jit(transform.Crop(5).still)(square)
    np.testing.assert_allclose(still, jax.image.resize(square, (5, 5, 3), "bilinear"), atol=1e-5)


def test_a_crop_at_its_own_size_is_a_slice_wherever_it_is_cut_from_first():
    large = jnp.asarray(np.random.default_rng(3).random((40, 48, 2)), jnp.float32)
    for row, column in ((20, 24), (8, 8), (30, 40)):
        middle = jnp.array([row / 40, column / 48])
        for widest in (1.0, 0.4):
            crop = cropped(large, middle, jnp.array(0.4), 16, widest)
            top, left = row - 8, column - 8
            np.testing.assert_allclose(crop, large[top : top + 16, left : left + 16], atol=1e-5)


def test_crops_stay_inside_and_have_the_sides_and_centres_they_promise():
    places = np.stack(np.meshgrid(*[np.arange(64, dtype=np.float32)] * 2, indexing="ij"), -1)
    keys = jax.random.split(KEY, 600)
    seen = np.asarray(jax.jit(jax.vmap(transform.Crop(8, 0.25, 0.5), (None, 0)))(places, keys))
    assert seen.min() >= 0 and seen.max() <= 63
    sides = (seen[:, -1, 0, 0] - seen[:, 0, 0, 0]) / 7 * 8 / 64  # from centre to centre of the 8 pixels
    # a pixel seen at the very edge repeats the last one, which shortens a side by up to half a pixel of 64
    assert sides.min() >= 0.242 and sides.max() <= 0.501 and abs(sides.mean() - 0.375) < 0.02
    centres = seen.mean((1, 2)) / 63
    assert np.abs(centres.mean(0) - 0.5).max() < 0.03
    assert np.abs(centres.std(0) - 0.15).max() < 0.02  # a few of 600 are moved in


def test_crops_shrink_along_the_run():
    crop = transform.ShrinkingCrop(8, start=0.5, end=0.05, spread=0.05, low=0.05)
    keys = jax.random.split(KEY, 400)
    drawn = jax.jit(lambda progress: jax.vmap(crop.at(progress).side)(keys))
    for progress, mean in ((0.0, 0.5), (0.5, 0.275), (0.8, 0.14)):
        sides = np.asarray(drawn(progress))
        assert abs(sides.mean() - mean) < 0.01 and sides.min() >= 0.05  # standard error .0025
    image = jnp.asarray(np.random.default_rng(3).random((30, 30, 3)), jnp.float32)
    run = jax.jit(transform.Compose((crop,)))
    assert (run(image, KEY, 0.0) == run(image, KEY)).all() and (run(image, KEY, 0.9) != run(image, KEY)).any()


def test_cropping_and_padding_are_by_whole_pixels_as_slices_are():
    cut = jax.jit(transform.CropOrPad(9, 7))(PICTURE, KEY)
    np.testing.assert_allclose(
        cut, PICTURE[1:10, 1:8], atol=1e-6
    )  # 3 rows and 3 columns go: 1 before, 2 after
    framed = jax.jit(transform.CropOrPad(15, 12, value=0.25))(PICTURE, KEY)
    np.testing.assert_allclose(framed[1:13, 1:11], PICTURE, atol=1e-6)
    np.testing.assert_allclose(framed[0], 0.25, atol=1e-6)
    standard = transform.Compose(
        (transform.Rotate((0.0,)), transform.Pad(3, 0.0), transform.CropOrPad(12, 10))
    )
    np.testing.assert_allclose(jax.jit(standard)(PICTURE, KEY), PICTURE, atol=1e-6)


def test_translation_is_to_the_right_and_down_only():
    impulse = jnp.zeros((9, 9, 1)).at[2, 2].set(1.0)
    moved = jax.jit(jax.vmap(transform.Translate(4), (None, 0)))(impulse, keys_of(range(80)))
    seen = [np.argwhere(one[..., 0] > 0.99)[0] for one in np.asarray(moved)]
    assert {tuple(place) for place in seen} == {(2 + a, 2 + b) for a in range(4) for b in range(4)}


def test_blur_keeps_the_mean_and_has_the_width_of_its_draw():
    impulse = jnp.zeros((31, 31, 1)).at[15, 15].set(1.0)
    blurred = np.asarray(jax.jit(transform.BlurBetween(2.0, 2.0))(impulse, KEY))[..., 0]
    assert float(blurred.sum()) == pytest.approx(1, abs=1e-5)
    rows = (np.arange(31) - 15) ** 2
    variance = float((blurred.sum(1) * rows).sum())
    assert variance == pytest.approx(4, rel=0.03)  # cut at three deviations, which takes 3 % of the variance
    even = jax.jit(transform.BlurBetween(1.0, 1.0))(PICTURE * 0 + 0.3, KEY)
    np.testing.assert_allclose(even, 0.3, atol=1e-6)


def test_colours_change_as_a_whole():
    picture = np.asarray(PICTURE)

    def changed(**only):
        jitter = transform.ColorJitter(**{"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, **only})
        return np.asarray(jax.jit(jitter)(PICTURE, KEY))

    brighter = changed(brightness=0.2) - picture
    assert brighter.std() < 1e-6 and 0 < abs(brighter.mean()) <= 0.2
    factor = (changed(contrast=0.3) - picture.mean()) / (picture - picture.mean())
    assert (
        abs(factor - factor.mean()).max() < 1e-2 and 0.7 <= factor.mean() <= 1.3
    )  # next to the mean, rounding
    np.testing.assert_allclose(changed(saturation=0.5).mean(-1), picture.mean(-1), atol=1e-6)  # grey stays


def test_erasing_hides_a_rectangle_of_the_size_promised():
    black = jnp.zeros((40, 40, 1))
    always = jax.jit(jax.vmap(transform.Erase(0.2, 0.5, 1.0), (None, 0)))
    for hidden in np.asarray(always(black, keys_of(range(20))))[..., 0] == 0.5:
        rows, columns = np.flatnonzero(hidden.any(1)), np.flatnonzero(hidden.any(0))
        assert hidden.sum() == len(rows) * len(columns) > 0  # all of a rectangle
        assert 7 <= len(rows) <= 20 and 7 <= len(columns) <= 20
    keys = jax.random.split(KEY, 400)
    sometimes = jax.jit(jax.vmap(lambda key: transform.Erase(0.2, 0.5, 0.25)(black, key).any()))
    share = np.asarray(sometimes(keys)).mean()
    assert abs(share - 0.25) < 0.08  # standard error .022


def test_a_transparent_picture_is_seen_over_other_backgrounds():
    background = transform.OnBackground()
    behind = jax.jit(background)
    clear, solid = (jnp.concatenate([PICTURE, jnp.full((12, 10, 1), a)], -1) for a in (0.0, 1.0))
    np.testing.assert_allclose(behind(solid, KEY), PICTURE, atol=1e-6)
    one, other = behind(clear, KEY), behind(clear, jax.random.key(1))
    assert (one != PICTURE).any() and (one != other).any() and one.min() > 0 and one.max() < 1
    np.testing.assert_allclose(jax.jit(background.still)(clear), 0.5)
    with pytest.raises(InvalidInput, match="3 channels to put over"):
        behind(PICTURE, KEY)


def test_uniform_noise_has_its_width():
    noise = np.asarray(jax.jit(transform.UniformNoise(0.3))(jnp.zeros((100, 100, 1)), KEY))
    assert noise.min() >= -0.15 and noise.max() <= 0.15
    assert noise.std() == pytest.approx(0.3 / np.sqrt(12), rel=0.03)  # 10,000 draws: error .5 %


def test_a_faded_picture_is_itself_in_the_middle_and_its_mean_colour_in_the_corners():
    picture = np.random.default_rng(0).random((9, 13, 3)).astype(np.float32)
    faded = np.asarray(transform.Fade(strength=0.5)(picture, jax.random.key(0)))
    mean = picture.mean((0, 1))
    np.testing.assert_array_equal(faded[4, 6], picture[4, 6])
    corners = faded[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, np.tile(mean, (4, 1)), atol=1e-6)  # float32
    np.testing.assert_allclose(
        faded[4, 0], (picture[4, 0] + mean) / 2, atol=1e-6
    )  # r = 1: the strength is gone
    for strength in (0.0, -1.0, float("nan")):
        with pytest.raises(InvalidInput, match="strength"):
            transform.Fade(strength)
