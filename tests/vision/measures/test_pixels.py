"""Slopes, shares and colours of pictures whose spectrum and covariance are known in closed form."""

import math

import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.vision.canvases.color import COLOR_SVD_SQRT
from diffprog.vision.measures import color_distance, high_frequency_share, spectral_slope
from tests.vision.test_measure import pictures


def noise(size=(128, 96), seed=0):
    return np.random.default_rng(seed).random((*size, 3))


def wave(frequency, size=64):
    """Vertical stripes of so many cycles a pixel."""
    line = 0.5 + 0.4 * np.cos(2 * np.pi * frequency * np.arange(size))
    return np.broadcast_to(line[:, None, None], (size, size, 3))


def test_white_noise_has_no_slope_and_its_share_is_an_area():
    for seed in range(3):
        assert abs(spectral_slope(noise(seed=seed))) < 0.1  # of some 50 numbers on the lowest rings
        # 1 - pi / 16: the unit square of frequencies without the disc of radius 1 / 4; 6,000 of them, windowed
        assert high_frequency_share(noise(seed=seed)) == pytest.approx(1 - math.pi / 16, abs=0.02)


@pytest.mark.parametrize("decay", [0.5, 1.0, 1.5])
def test_amplitudes_of_a_power_law_have_twice_its_slope(decay):
    slopes = [spectral_slope(one) for one in pictures(decay, count=3, size=(128, 96), mix=np.eye(3))]
    assert np.mean(slopes) == pytest.approx(2 * decay, abs=0.1)  # the window smears the lowest rings


def test_the_slope_knows_neither_contrast_nor_brightness_nor_direction():
    picture = pictures(1.0, count=1, size=(64, 64))[0]
    slope = spectral_slope(picture)
    for same in (0.2 + 0.5 * picture, picture.swapaxes(0, 1), picture[:, ::-1]):
        assert spectral_slope(same) == pytest.approx(slope, abs=1e-3)  # pixels are rounded to float32


def test_a_wave_lies_on_one_side_or_the_other():
    # A Hann window's side lobes fall by 18 dB an octave: 10 bins away, less than 1e-6 of the power is left.
    assert high_frequency_share(wave(26 / 64)) == pytest.approx(1, abs=1e-4)
    assert high_frequency_share(wave(6 / 64)) == pytest.approx(0, abs=1e-4)


def test_the_distance_of_colours_in_closed_form():
    signs = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])  # orthogonal columns of mean 0
    tiled = np.tile(signs.reshape(2, 2, 3), (8, 8, 1))
    natural = COLOR_SVD_SQRT @ COLOR_SVD_SQRT.T
    natural = natural / np.trace(natural)
    cases = {
        "natural": (COLOR_SVD_SQRT, 0.0),
        "independent": (np.eye(3), np.linalg.norm(np.eye(3) / 3 - natural)),
        "grey": (np.ones((3, 3)), np.linalg.norm(np.ones((3, 3)) / 3 - natural)),
    }
    for name, (mix, expected) in cases.items():
        for contrast in (0.02, 0.1):
            picture = 0.5 + contrast * tiled @ mix.T
            assert color_distance(picture) == pytest.approx(expected, abs=1e-5), name  # float32 pixels
    red = 0.5 + 0.1 * tiled @ np.diag([1.0, 0, 0])
    assert 0.8 < color_distance(red) < math.sqrt(2)


def test_pictures_of_one_colour_have_none_of_the_three():
    flat = np.full((32, 32, 3), 0.3)
    assert all(math.isnan(of(flat)) for of in (spectral_slope, high_frequency_share, color_distance))


@pytest.mark.parametrize(
    ("of", "picture"),
    [
        (spectral_slope, np.zeros((15, 64, 3))),
        (high_frequency_share, np.zeros((64, 15, 3))),
        (spectral_slope, np.full((32, 32, 3), 2.0)),
        (spectral_slope, np.full((32, 32, 3), np.nan)),
        (color_distance, np.zeros((32, 32, 1))),
        (color_distance, np.zeros((32, 32))),
    ],
)
def test_what_is_no_such_picture_is_refused(of, picture):
    with pytest.raises(InvalidInput):
        of(picture)
