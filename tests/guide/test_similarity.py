"""Similarities: closed forms, equal directions, opposite ones, and gradients where formulas have a pole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog.guide.similarity import cosine, inner, spherical

pytestmark = pytest.mark.usefixtures("compiled_plainly")

angles = st.floats(0.01, 3.1)


@settings(deadline=None, max_examples=25)
@given(angles)
def test_similarities_of_an_angle(angle):
    a, b = jnp.array([2.0, 0.0]), 3 * jnp.array([np.cos(angle), np.sin(angle)])
    np.testing.assert_allclose(cosine(a, b), np.cos(angle), atol=1e-6)
    # asin near 1 loses half of float32's digits, in an angle of up to 3.1
    np.testing.assert_allclose(spherical(a, b), -(angle**2) / 2, atol=3e-3, rtol=1e-3)
    np.testing.assert_allclose(inner(a, b), 6 * np.cos(angle), atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(angles)
def test_spherical_is_minus_the_loss_of_vqgan_clip(angle):
    torch = pytest.importorskip("torch")
    a, b = np.array([1.0, 0.0], np.float32), np.array([np.cos(angle), np.sin(angle)], np.float32)
    theirs = torch.from_numpy(a).sub(torch.from_numpy(b)).norm(dim=-1).div(2).arcsin().pow(2).mul(2)
    np.testing.assert_allclose(
        -spherical(jnp.asarray(a), jnp.asarray(b)), theirs.numpy(), atol=3e-3, rtol=1e-3
    )


@pytest.mark.parametrize("similarity", [cosine, spherical, inner])
@pytest.mark.parametrize("b", [(1.0, 0.0), (-1.0, 0.0), (0.0, 0.0)])
def test_gradients_are_finite_where_directions_meet_oppose_or_are_missing(similarity, b):
    assert bool(jnp.isfinite(jax.grad(similarity)(jnp.array([1.0, 0.0]), jnp.array(b))).all())


def test_spherical_grows_towards_the_same_direction_from_far_and_near():
    for angle in (0.1, 1.5, 3.0):
        a, b = jnp.array([np.cos(angle), np.sin(angle)]), jnp.array([1.0, 0.0])
        slope = jax.grad(spherical)(a, b) @ jnp.array(
            [np.sin(angle), -np.cos(angle)]
        )  # along the circle to b
        np.testing.assert_allclose(slope, angle, rtol=2e-2)  # d/dt of t^2 / 2
