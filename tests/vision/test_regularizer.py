"""Regularizers against closed forms on pictures simple enough to know them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.vision import regularizer as r

RAMP = jnp.linspace(0, 1, 11)[:, None, None] * jnp.ones((11, 11, 3))
BOARD = jnp.asarray((np.indices((8, 8)).sum(0) % 2)[..., None] * np.ones(3), jnp.float32)
GREY = jnp.full((8, 8, 3), 0.5)


@pytest.mark.parametrize(
    ("one", "image", "expected"),
    [
        (r.TotalVariation(), RAMP, 0.1),
        (r.TotalVariation(3.0), BOARD, 6.0),
        (r.L1(2.0), BOARD, 1.0),
        (r.L1(level=0.0), GREY, 0.5),
        (r.L2(), BOARD, 0.5),
        (r.Blur(), GREY, 0.0),
        (r.HighFrequency(), BOARD, 1.0),
    ],
    ids=str,
)
def test_closed_forms(one, image, expected):
    assert float(one(image)) == pytest.approx(expected, abs=1e-4)  # L2 has 1e-6 under its root


def test_blurring_a_chessboard_costs_more_than_blurring_what_is_smooth():
    assert r.Blur()(BOARD) > 100 * r.Blur()(RAMP)
    wave = jnp.cos(2 * jnp.pi * jnp.arange(16) / 16)[:, None, None] * jnp.ones(
        (16, 16, 3)
    )  # one period a picture
    assert r.HighFrequency()(wave) < 1e-6


@pytest.mark.parametrize("one", [r.TotalVariation(), r.L1(), r.L2(), r.Blur(), r.HighFrequency()], ids=str)
def test_gradients_are_finite_everywhere_even_on_flat_grey(one):
    assert jnp.isfinite(jax.grad(one)(GREY)).all()
    assert jnp.isfinite(jax.grad(one)(BOARD)).all()
