"""Priors: where each price is least, closed forms, and BigSleep's numbers against its own formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.guide.priors import Chi, Clamp, Few, Free, Moments, Sphere, Within, parts

pytestmark = pytest.mark.usefixtures("compiled_plainly")

BOUNDS = Within(jnp.array(-0.5), jnp.array(0.7), of="both parts")
ALL = (Free(), Chi(), Moments(), Clamp(), Sphere(), Few(), BOUNDS, parts(z=Chi(), y=Clamp(0.1)))


@pytest.mark.parametrize("prior", ALL, ids=repr)
def test_a_prior_is_a_finite_scalar_with_a_finite_gradient(prior):
    z = {"z": jax.random.normal(jax.random.key(0), (3, 40)), "y": jax.random.normal(jax.random.key(1), (9,))}
    price, gradient = jax.value_and_grad(prior.penalty)(z)
    assert price.shape == () and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((price, gradient)))
    assert jax.tree.map(jnp.shape, prior.project(z)) == jax.tree.map(jnp.shape, z)


def test_chi_is_least_at_the_root_of_d_minus_one_and_zero_there():
    z = jax.random.normal(jax.random.key(0), (100,))
    lengths = np.linspace(5, 15, 1001)
    prices = np.array([float(Chi(1.0).penalty(length * z / jnp.linalg.norm(z))) for length in lengths[::20]])
    np.testing.assert_allclose(
        lengths[::20][prices.argmin()], np.sqrt(99), atol=0.11
    )  # half a step of the grid
    # 1e-4 is the rounding of the difference of two numbers near 250 in float32.
    np.testing.assert_allclose(Chi(1.0).penalty(np.sqrt(99) * z / jnp.linalg.norm(z)), 0, atol=1e-4)


def test_chi_is_minus_the_log_density_of_the_length_up_to_a_constant():
    stats = pytest.importorskip("scipy.stats")
    z, lengths = jnp.ones(25) / 5, np.array([3.0, 5.0, 8.0])
    ours = np.array([float(Chi(1.0).penalty(length * z)) for length in lengths])
    theirs = -stats.chi(25).logpdf(lengths)
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], rtol=1e-4)


def test_chi_at_zero_has_a_gradient():
    assert np.isfinite(jax.grad(Chi(1.0).penalty)(jnp.zeros(10))).all()


def test_moments_are_those_of_big_sleep():
    """lucidrains/big-sleep, `BigSleep.forward`, written out in numpy."""
    z = np.random.default_rng(0).normal(0.3, 1.4, (5, 128))
    rows = 0.0
    for row in z:
        standard = (row - row.mean()) / row.std()
        rows += (abs((standard**3).mean()) + abs((standard**4).mean() - 3)) / len(z)
    expected = (
        np.abs(1 - z.std(1, ddof=1)).mean() + np.abs(z.mean(1)).mean() + 4 * max((z**2).mean(), 1) + rows
    )
    np.testing.assert_allclose(Moments().penalty(jnp.asarray(z, jnp.float32)), expected, rtol=1e-5)


def test_projections():
    z = jnp.array([3.0, -4.0, 0.5, 0.0])
    np.testing.assert_allclose(Clamp(2.0).project(z), [2, -2, 0.5, 0])
    np.testing.assert_allclose(jnp.linalg.norm(Sphere().project(z)), 2.0, rtol=1e-6)
    np.testing.assert_allclose(Sphere().project(jnp.zeros(3)), 0)
    np.testing.assert_array_equal(Free().project(z), z)


def test_bounds_are_each_channels_own():
    z = jnp.array([[-3.0, 0.2, 3.0]])
    found = Within(jnp.array([-1.0, 0.0, 0.0]), jnp.array([1.0, 0.1, 5.0])).project(z)
    np.testing.assert_allclose(found, [[-1.0, 0.1, 3.0]])


def test_few_is_big_sleeps_price_of_classes():
    z = jax.random.normal(jax.random.key(2), (3, 40))
    p = np.sort(1 / (1 + np.exp(-np.asarray(z, np.float64))), 1)[:, :-1]
    np.testing.assert_allclose(
        Few(1.0).penalty(z), np.mean((50 * p) ** 2), rtol=1e-4
    )  # a difference of large sums


def test_parts_have_each_their_own_and_leave_the_rest():
    z = {"z": jnp.array([3.0, 4.0]), "y": jnp.array([3.0]), "rest": jnp.array([9.0])}
    prior = parts(z=Chi(1.0), y=Clamp(2.0))
    np.testing.assert_allclose(prior.penalty(z), Chi(1.0).penalty(z["z"]))
    found = prior.project(z)
    assert found["y"] == 2 and found["rest"] == 9 and (found["z"] == z["z"]).all()
    assert prior == parts(z=Chi(1.0), y=Clamp(2.0)) and hash(prior) == hash(parts(z=Chi(1.0), y=Clamp(2.0)))
