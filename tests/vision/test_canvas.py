"""Canvases against numpy twins of the published formulas, and by what they can paint."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diffprog.optimize import optimize
from diffprog.vision import canvas
from diffprog.vision.color import COLOR_SVD_SQRT, TO_RGB, from_rgb, to_rgb

CANVASES = [canvas.Pixel(), canvas.Pixel(decorrelate=True), canvas.Fourier(), canvas.Fourier(decay=1.5)]


def lucid_fourier(real, imaginary, decay):
    """Lucid's fft_image and to_valid_rgb with decorrelate and sigmoid, in numpy."""
    size = real.shape[-2]
    frequencies = np.sqrt(np.fft.fftfreq(size)[:, None] ** 2 + np.fft.rfftfreq(size)[None] ** 2)
    scale = np.sqrt(size * size) / np.maximum(frequencies, 1 / size) ** decay
    channels = np.fft.irfft2(scale * (real + 1j * imaginary), s=(size, size)) / 4
    normalized = COLOR_SVD_SQRT / np.max(np.linalg.norm(COLOR_SVD_SQRT, axis=0))
    rgb = channels.transpose(1, 2, 0) @ normalized.T
    return 1 / (1 + np.exp(-rgb))


@pytest.mark.parametrize("size", [16, 15])
def test_fourier_equals_the_published_formula(size):
    params = np.random.default_rng(0).normal(size=(2, 3, size, size // 2 + 1)).astype(np.float32) * 0.01
    image = canvas.Fourier(decay=1.0).to_image(jnp.asarray(params))
    # float32 transforms of numbers up to about 1, against float64 ones
    np.testing.assert_allclose(image, lucid_fourier(*params, 1.0), atol=1e-5)


def test_color_matrix_has_the_published_numbers():
    expected = [[0.56283, 0.19483, 0.04329], [0.58448, 0, -0.10824], [0.58448, -0.19483, 0.06494]]
    np.testing.assert_allclose(TO_RGB, expected, atol=5e-6)  # printed with five digits
    colors = jnp.asarray(np.random.default_rng(1).random((3, 4, 4)), jnp.float32)
    np.testing.assert_allclose(
        to_rgb(from_rgb(colors)), colors, atol=1e-5
    )  # the matrix's condition is about 10


@pytest.mark.parametrize("one", CANVASES, ids=str)
def test_first_pictures_are_grey_float32_and_repeat_by_key(one):
    first, again, other = (one.to_image(one.init(jax.random.key(k), 32)) for k in (0, 0, 1))
    assert first.shape == (32, 32, 3) and first.dtype == jnp.float32
    assert (first == again).all() and (first != other).any()
    assert abs(first.mean() - 0.5) < 0.1 and first.min() > 0 and first.max() < 1


@pytest.mark.parametrize("one", CANVASES, ids=str)
def test_a_canvas_can_paint_a_given_picture(one):
    rows, columns = jnp.meshgrid(jnp.linspace(0, 1, 16), jnp.linspace(0, 1, 16))
    target = 0.1 + 0.8 * jnp.stack([rows, columns, 1 - rows], -1)
    start = one.init(jax.random.key(0), 16)
    run = optimize(lambda p: jnp.mean((one.to_image(p) - target) ** 2), start, optax.adam(0.05), steps=1000)
    assert jnp.abs(one.to_image(run.value) - target).mean() < 0.02  # two of a hundred grey levels
