"""Canvases: one table that all of them pass, numpy twins of the published formulas, and what they can paint."""

import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diffprog.errors import InvalidInput
from diffprog.optimize import optimize
from diffprog.vision import canvases
from diffprog.vision.canvases.color import COLOR_SVD_SQRT, TO_RGB, from_rgb, to_rgb
from diffprog.vision.canvases.cppn import paint

pytestmark = pytest.mark.usefixtures("compiled_plainly")

PHOTO = np.random.default_rng(2).random((12, 17, 3)).astype(np.float32)
PHOTO[0, :2], PHOTO[1, :2] = 0.0, 1.0  # black and white, where a sigmoid does not reach
OWN_COLORS = ((0.8, 0.1, 0.0), (0.7, -0.1, 0.1), (0.6, 0.0, -0.2))


def generated(z):
    return jax.nn.sigmoid(jnp.outer(z[:12], z[12:])[..., None] * jnp.ones(3))


# name: (canvas, channels, whether its first picture is near grey)
TABLE = {
    "pixel": (canvases.Pixel(), 3, True),
    "pixel, decorrelated": (canvases.Pixel(decorrelate=True), 3, True),
    "pixel, five channels": (canvases.Pixel(channels=5, decorrelate=True), 5, True),
    "fourier": (canvases.Fourier(), 3, True),
    "fourier, natural": (canvases.Fourier(decay=1.5), 3, True),
    "fourier, own colours": (canvases.Fourier(color=OWN_COLORS), 3, True),
    "fourier, one channel": (canvases.Fourier(channels=1), 1, True),
    "pyramid": (canvases.Pyramid(), 3, True),
    "coarse": (canvases.Coarse(4), 3, True),
    "phase": (canvases.Phase(), 3, False),
    "phase, two channels": (canvases.Phase(canvases.PowerLaw(1.0), channels=2), 2, False),
    "painting network": (canvases.CPPN(hidden=6, layers=3), 3, True),
    "transparent": (canvases.Transparent(), 4, True),
    "grey": (canvases.Grey(), 3, True),
    "shared": (canvases.Shared(), 3, True),
    "generator": (canvases.Latent(generated, (12 + 17,)), 3, False),
    "photograph": (canvases.Fourier().of(PHOTO), 3, False),
}
FIXED = {"generator", "photograph"}  # canvases with a size of their own, and the latter without chance
every_canvas = pytest.mark.parametrize("name", TABLE)


def first_picture(canvas, size):
    """The first picture as a function of the key, not compiled."""
    return lambda key: canvas.to_image(canvas.init(key, size))


@cache
def looked_at(name):
    """First pictures of keys 3, 3 and 4, that of key 4 alone, and a gradient: one program for every canvas."""
    canvas = TABLE[name][0]

    @jax.jit
    def program(keys):
        params = jax.vmap(lambda key: canvas.init(key, (12, 17)))(keys)
        last = jax.tree.map(lambda leaf: leaf[2], params)
        alone = canvas.to_image(last)
        target = np.random.default_rng(1).random(alone.shape)
        gradient = jax.grad(lambda p: jnp.sum((canvas.to_image(p) - target) ** 2))(last)
        return jax.vmap(canvas.to_image)(params), alone, jax.tree.leaves(gradient)

    return program(jax.vmap(jax.random.key)(jnp.array([3, 3, 4])))


def test_the_table_has_every_canvas_of_the_room():
    parts = {name for name, part in vars(canvases).items() if dataclasses.is_dataclass(part)}
    canvas_names = {name for name in parts if hasattr(getattr(canvases, name), "to_image")}
    assert canvas_names == {type(one).__name__ for one, *_ in TABLE.values()}


@every_canvas
def test_first_pictures_are_float32_in_range_and_follow_the_key(name):
    _, channels, grey = TABLE[name]
    images, alone, _ = looked_at(name)
    first, again, other = images
    assert images.shape == (3, 12, 17, channels) and images.dtype == jnp.float32
    assert images.min() >= 0 and images.max() <= 1
    if grey:
        # parameters of deviation .01 to .1 through a sigmoid of slope 1/4
        assert abs(first.mean() - 0.5) < 0.1 and first.min() > 0 and first.max() < 1
    assert (first == again).all()
    assert (first != other).any() or name == "photograph"
    np.testing.assert_allclose(other, alone, atol=2e-5)  # sums of a transform in another order, float32


@every_canvas
def test_squares_of_odd_size(name):
    canvas, channels, _ = TABLE[name]
    if name in FIXED:
        with pytest.raises(InvalidInput, match="size=15"):
            canvas.init(jax.random.key(0), 15)
        return
    shape = jax.eval_shape(first_picture(canvas, 15), jax.random.key(0)).shape
    assert shape == (15, 15, channels)


@every_canvas
def test_gradients_are_finite_and_reach_the_parameters(name):
    leaves = [np.asarray(leaf) for leaf in looked_at(name)[2]]
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    assert sum(float(np.abs(leaf).sum()) for leaf in leaves) > 1e-4


# ---- closed forms and twins ---------------------------------------------------------------------------------


def lucid_fourier(real, imaginary, size, decay):
    """Lucid's fft_image and to_valid_rgb with decorrelate and sigmoid, in numpy, for even widths."""
    height, width = size
    frequencies = np.sqrt(np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width)[None] ** 2)
    scale = np.sqrt(height * width) / np.maximum(frequencies, 1 / max(size)) ** decay
    channels = np.fft.irfft2(scale * (real + 1j * imaginary), s=size) / 4
    normalized = COLOR_SVD_SQRT / np.max(np.linalg.norm(COLOR_SVD_SQRT, axis=0))
    rgb = channels.transpose(1, 2, 0) @ normalized.T
    return 1 / (1 + np.exp(-rgb))


@pytest.mark.parametrize(("size", "decay"), [((16, 16), 1.0), ((15, 15), 1.0), ((12, 20), 1.5)])
def test_fourier_equals_the_published_formula(size, decay):
    shape = (2, 3, size[0], size[1] // 2 + 1)
    params = np.random.default_rng(0).normal(size=shape).astype(np.float32) * 0.01
    canvas = canvases.Fourier(decay=decay)
    image = jax.jit(canvas.to_image)(canvases.Sized(jnp.asarray(params), size))
    # float32 transforms of numbers up to about 1, against float64 ones
    np.testing.assert_allclose(image, lucid_fourier(*params, size, decay), atol=1e-5)


def test_color_matrix_has_the_published_numbers():
    expected = [[0.56283, 0.19483, 0.04329], [0.58448, 0, -0.10824], [0.58448, -0.19483, 0.06494]]
    np.testing.assert_allclose(TO_RGB, expected, atol=5e-6)  # printed with five digits
    colors = jnp.asarray(np.random.default_rng(1).random((3, 4, 4)), jnp.float32)
    np.testing.assert_allclose(
        to_rgb(from_rgb(colors)), colors, atol=1e-5
    )  # the matrix's condition is about 10


def maco(magnitude, phase, size):
    """Xplique's maco_image_parametrization with values_range (0, 1), in numpy."""
    phase = phase - phase.mean()
    phase = phase / (phase.std() + 1e-5)
    image = np.fft.irfft2(magnitude * np.cos(phase) + 1j * magnitude * np.sin(phase), s=size)
    image = image - image.mean()
    image = image / (image.std() + 1e-5)
    rgb = image.transpose(1, 2, 0) @ TO_RGB.T
    return 1 / (1 + np.exp(-rgb))


@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
def test_phase_equals_the_formula_of_maco(size):
    phase = np.random.default_rng(0).normal(size=(3, size[0], size[1] // 2 + 1))
    law = canvases.PowerLaw(1.5)
    image = jax.jit(canvases.Phase(law).to_image)(canvases.Sized(jnp.asarray(phase, jnp.float32), size))
    # 1e4 times the magnitudes, as ImageNet's are, so that the 1e-5 under the deviation is nothing in both
    np.testing.assert_allclose(image, maco(1e4 * law.at(size, 3), phase, size), atol=1e-4)


def test_phases_move_and_magnitudes_stay():
    canvas, size = canvases.Phase(), (32, 32)
    channels = jax.jit(lambda key: canvas.to_channels(canvas.init(key, size)))(jax.random.key(0))
    amplitudes = np.abs(np.fft.rfft2(channels))[:, :, 1:-1]  # no bin that must be real
    expected = canvases.PowerLaw(1.5).at(size, 3)[:, :, 1:-1]
    ratio = amplitudes / expected
    assert (
        ratio.std() / ratio.mean() < 1e-3
    )  # one factor for all, from the standardization; float32 transforms


def test_a_power_law_has_its_slope_and_a_first_picture_too():
    laws = [canvases.Fourier(decay=decay) for decay in (1.0, 1.5)]

    @jax.jit
    def drawn(keys):
        return [jax.vmap(lambda key, law=law: law.to_channels(law.init(key, 64)))(keys) for law in laws]

    for law, channels in zip(laws, drawn(jax.random.split(jax.random.key(0), 8)), strict=True):
        amplitudes = np.abs(np.fft.rfft2(channels)).mean((0, 1))
        inside = canvases.frequencies(64) > 1 / 64
        slope = np.polyfit(np.log(canvases.frequencies(64)[inside]), np.log(amplitudes[inside]), 1)[0]
        assert slope == pytest.approx(-law.decay, abs=0.03)  # 24 draws of 2000 Rayleigh numbers: error .003


def test_a_pyramid_is_the_sum_of_its_levels():
    canvas = canvases.Pyramid(levels=3, decorrelate=False)
    levels = jax.eval_shape(lambda key: canvas.init(key, (9, 12)), jax.random.key(0))
    assert [level.shape[1:] for level in levels] == [(9, 12), (5, 6), (3, 3)]
    flat = tuple(np.full(level.shape, 0.1 * 2**n, np.float32) for n, level in enumerate(levels))
    np.testing.assert_allclose(
        jax.jit(canvas.to_image)(flat), 1 / (1 + np.exp(-0.7)), atol=1e-6
    )  # .1 + .2 + .4, float32


def test_a_coarse_canvas_is_smooth_between_its_parameters():
    ramp = canvases.Coarse(4, decorrelate=False, channels=1)
    values = np.arange(4.0, dtype=np.float32)[None, :, None] * np.ones((1, 4, 4), np.float32)
    lines = jax.jit(ramp.to_channels)(canvases.Sized(values, (16, 16)))[0, :, 0]
    # centres of the coarse pixels lie at 1.5, 5.5, ..: a slope of 1/4 in between
    np.testing.assert_allclose(lines[2:14], (np.arange(2, 14) - 1.5) / 4, atol=1e-6)


def test_a_painting_network_equals_its_formula_at_every_size():
    canvas = canvases.CPPN(hidden=5, layers=2)
    weights = jax.jit(canvas.init, static_argnums=1)(jax.random.key(0), 8).values
    last = (jax.random.normal(jax.random.key(9), weights[-1][0].shape), weights[-1][1])
    weights = (*weights[:-1], last)
    for size in ((7, 7), (5, 11)):
        step = 2 * np.sqrt(3) / (max(size) - 1)
        y, x = np.meshgrid(*(step * (np.arange(n) - (n - 1) / 2) for n in size), indexing="ij")
        values = np.stack([x, y], -1)
        for matrix, bias in weights[:-1]:
            bent = np.arctan(values @ np.asarray(matrix) + np.asarray(bias))
            values = np.concatenate([bent / 0.67, bent**2 / 0.6], -1)
        expected = 1 / (1 + np.exp(-(values @ np.asarray(last[0]) + np.asarray(last[1]))))
        painted = jax.jit(paint, static_argnums=1)(weights, size)
        np.testing.assert_allclose(painted, expected, atol=1e-5)  # float32, three layers


def test_a_painting_network_keeps_the_variance_of_its_inputs():
    canvas = canvases.CPPN(hidden=400, layers=2)
    matrix, bias = jax.jit(canvas.init, static_argnums=1)(jax.random.key(0), 8).values[1]
    assert matrix.shape == (800, 400)
    assert float(matrix.std()) == pytest.approx(800**-0.5, rel=0.01)  # 320,000 draws: error .1 %
    assert float(bias.std()) == pytest.approx(0.1, rel=0.15)  # 400 draws: error 4 %


# ---- what they can paint ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "canvas",
    [canvases.Pixel(), canvases.Fourier(decay=1.5), canvases.Pyramid(), canvases.Shared()],
    ids=lambda canvas: type(canvas).__name__,
)
def test_a_canvas_can_paint_a_given_picture(canvas):
    rows, columns = np.meshgrid(np.linspace(0, 1, 16), np.linspace(0, 1, 16))
    target = np.float32(0.1 + 0.8 * np.stack([rows, columns, 1 - rows], -1))
    start = jax.jit(canvas.init, static_argnums=1)(jax.random.key(0), 16)
    run = optimize(lambda p: jnp.mean((canvas.to_image(p) - target) ** 2), start, optax.adam(0.05), steps=400)
    assert (
        np.abs(jax.jit(canvas.to_image)(run.value) - target).mean() < 0.03
    )  # three of a hundred grey levels


INVERTIBLE = [
    canvases.Pixel(),
    canvases.Pixel(decorrelate=True),
    canvases.Fourier(),
    canvases.Fourier(decay=1.5, color=OWN_COLORS),
    canvases.Fourier(decay=0.0, softening=1.0),
    canvases.Pyramid(),
]


@pytest.mark.parametrize(
    ("canvas", "shape"),
    # Odd and even widths and heights: a transform of real numbers treats them differently.
    [*((canvas, (12, 17)) for canvas in INVERTIBLE), (canvases.Fourier(), (9, 8))],
    ids=str,
)
def test_a_photograph_is_its_own_first_picture(canvas, shape):
    photo = np.resize(PHOTO, (*shape, 3))
    start = canvas.of(photo)
    assert start.size == shape
    first = jax.jit(first_picture(start, shape))(jax.random.key(0))
    np.testing.assert_allclose(first, photo, atol=1e-3)  # black and white are met to 5e-4


def test_what_is_not_a_photograph_is_refused():
    for wrong in (PHOTO * 255, PHOTO[..., 0], (PHOTO * 255).astype(np.uint8), np.full_like(PHOTO, np.nan)):
        with pytest.raises(InvalidInput, match="photograph of shape"):
            canvases.Fourier().of(wrong)


def test_grey_is_grey_and_needs_one_channel():
    image = np.asarray(looked_at("grey")[1])
    assert (image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all()
    wrong = canvases.Grey(canvases.Fourier())
    with pytest.raises(InvalidInput, match="3 channels, as grey"):
        jax.eval_shape(first_picture(wrong, 16), jax.random.key(0))


def test_pictures_that_share_parameters_share_what_is_coarse():
    canvas = canvases.Shared(own=canvases.Pixel(deviation=0.0), common=(canvases.Coarse(4, deviation=1.0),))
    keys = jax.random.split(jax.random.key(0), 3)
    images = jax.jit(lambda keys: canvas.to_images(canvas.init_all(keys, 16)))(keys)
    assert (images[0] == images[2]).all() and images.std() > 0.05

    @jax.jit
    def apart(keys):
        canvas = canvases.Shared()
        params = canvas.init_all(keys, 16)
        mine = jax.tree.map(lambda leaf: leaf[2], params[0])
        return canvas.to_images(params), canvas.to_image((mine, params[1]))

    images, alone = apart(keys)
    assert (images[0] != images[2]).any()
    np.testing.assert_allclose(images[2], alone, atol=1e-6)  # float32
    with pytest.raises(InvalidInput, match="part of a shared canvas"):
        canvases.Shared(own=canvases.CPPN())


@pytest.mark.parametrize("size", [0, (4, 0), (3, 3, 3), 2.5, True])
def test_sizes_that_make_no_picture_are_refused(size):
    with pytest.raises(InvalidInput, match="size="):
        canvases.Fourier().init(jax.random.key(0), size)


def test_a_generator_must_make_pictures():
    with pytest.raises(InvalidInput, match="generator that makes"):
        canvases.Latent(lambda z: z, (4,)).init(jax.random.key(0), 4)


def test_a_color_matrix_must_fit_the_channels():
    canvas = canvases.Fourier(channels=2, color=OWN_COLORS)
    with pytest.raises(InvalidInput, match=r"colour matrix \(3, 3\) for 2 channels"):
        jax.eval_shape(first_picture(canvas, 8), jax.random.key(0))
