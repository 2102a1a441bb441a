"""Colours and spectrum measured on pictures whose colours and spectrum are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.vision import canvases
from diffprog.vision.canvases.measure import color_root

pytestmark = pytest.mark.usefixtures("compiled_plainly")

MIX = np.array([[0.9, 0.2, 0.0], [0.8, -0.1, 0.1], [0.7, 0.0, -0.2]])


def pictures(decay, count=12, size=(64, 48), mix=MIX):
    """Pictures with amplitudes 1 / f^decay in three independent channels, mixed, about mid-grey."""
    rng = np.random.default_rng(0)
    scale = canvases.spectrum_scale(size, decay)
    scale[0, 0] = 0
    channels = np.fft.irfft2(
        scale * np.fft.rfft2(rng.normal(size=(count, 3, *size))), s=size
    )  # white noise, coloured
    channels /= channels.std((2, 3), keepdims=True)
    made = 0.5 + 0.05 * np.einsum("rc,nchw->nhwr", mix, channels)
    return np.clip(made, 0, 1)


def test_the_colour_matrix_is_a_root_of_the_covariance():
    images = pictures(1.0)
    root = np.array(canvases.measure(images).color)
    measured, true = root @ root.T, MIX @ MIX.T
    measured, true = measured / np.trace(measured), true / np.trace(true)
    np.testing.assert_allclose(measured, true, atol=0.02)  # low frequencies dominate: some 100 numbers count
    assert np.linalg.norm(root, axis=0).max() == pytest.approx(1)
    own = np.linalg.inv(root) @ np.cov(images.reshape(-1, 3).T) @ np.linalg.inv(root).T
    np.testing.assert_allclose(own / own[0, 0], np.eye(3), atol=1e-3)  # float32 pictures


def test_the_published_matrix_is_of_this_form():
    """Its columns are orthogonal to about their printed two digits, as U sqrt(S) is, and rise to length one."""
    inner = canvases.color.TO_RGB.T @ canvases.color.TO_RGB
    assert np.abs(inner - np.diag(np.diag(inner))).max() < 0.03 and inner.max() == pytest.approx(1)


@pytest.mark.parametrize("decay", [0.0, 1.0, 1.5])
def test_the_spectrum_has_the_slope_of_the_pictures(decay):
    spectrum = canvases.measure(pictures(decay)).spectrum
    inside = [2 / 48 < f < 0.4 for f in spectrum.frequencies]  # the window smears the lowest rings
    slopes = [
        np.polyfit(np.log(spectrum.frequencies)[inside], np.log(one)[inside], 1)[0]
        for one in spectrum.magnitudes
    ]
    np.testing.assert_allclose(slopes, -decay, atol=0.1)


def test_a_measured_spectrum_is_interpolated_to_any_size_and_keeps_its_numbers():
    spectrum = canvases.Spectrum((0.1, 0.2, 0.4), ((8.0, 4.0, 2.0), (1.0, 1.0, 1.0)))
    law = spectrum.at((20, 30), 2)
    assert law.shape == (2, 20, 16)
    frequencies = canvases.frequencies((20, 30))
    between = (frequencies >= 0.1) & (frequencies <= 0.4)
    np.testing.assert_allclose(law[0][between], np.sqrt(600) * 0.8 / frequencies[between])  # on its own line
    np.testing.assert_allclose(law[0][0, 0], np.sqrt(600) * 8.0)  # below the rings it stays
    np.testing.assert_allclose(law[1], np.sqrt(600))
    with pytest.raises(InvalidInput, match="2 channels for a picture of 3"):
        spectrum.at(8, 3)


def test_pictures_drawn_on_a_measured_canvas_have_the_measured_colours():
    measured = canvases.measure(pictures(1.5))
    canvas = canvases.Phase(measured.spectrum, color=measured.color)
    logits = jax.vmap(lambda key: canvas.to_image(canvas.init(key, 64)))(
        jax.random.split(jax.random.key(0), 8)
    )
    logits = np.asarray(jnp.log(logits) - jnp.log1p(-logits)).reshape(-1, 3)
    # the channels have very different spectra only in size, so the drawn colours follow the matrix's first column
    first = np.linalg.svd(np.cov(logits.T))[0][:, 0]
    assert abs(first @ np.array(measured.color)[:, 0]) > 0.97  # the cosine; 8 pictures of few large shapes


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "0 pictures"),
        ([np.zeros((4, 9, 3))], "smallest side 4"),
        ([np.random.default_rng(0).random((9, 9, c)) for c in (1, 3)], "channels"),
        ([np.repeat(np.random.default_rng(0).random((9, 9, 1)), 3, 2)], "do not vary independently"),
        ([np.full((9, 9, 3), 2.0)], "photograph of shape"),
    ],
)
def test_what_cannot_be_measured_is_refused(images, message):
    with pytest.raises(InvalidInput, match=message):
        canvases.measure(images)


def test_one_channel_can_be_measured():
    measured = canvases.measure(pictures(1.0)[..., :1])
    assert measured.color == ((1.0,),)
    assert color_root(list(pictures(1.0)[..., :1])).shape == (1, 1)
