"""Hessian-vector products and Lanczos against the dense matrix, and the rates against the methods themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog import rules
from diffprog.graph.diagnosis.curvature import Spectrum, hessian_product, lanczos
from diffprog.graph.diagnosis.line import sample_line


def symmetric(eigenvalues, seed=0):
    n = len(eigenvalues)
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    return Q @ np.diag(eigenvalues) @ Q.T


@settings(max_examples=25, deadline=None)
@given(
    eigenvalues=st.lists(st.floats(-100, 100).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=12),
    seed=st.integers(0, 1000),
)
def test_lanczos_finds_the_extreme_eigenvalues(eigenvalues, seed) -> None:
    A = symmetric(eigenvalues, seed)
    found = lanczos(lambda v: A @ v, len(A), np.float64)
    expected = np.linalg.eigvalsh(A)
    # float64: eigenvalues of a symmetric matrix are known to rounding of its norm; a direction that Lanczos gave
    # up as rounding may hide what is that small
    scale = 1e-9 * np.abs(expected).max()
    assert found.resolved
    np.testing.assert_allclose([found.smallest, found.largest], expected[[0, -1]], rtol=0, atol=scale)


def test_few_products_find_separated_ends_of_a_large_matrix() -> None:
    eigenvalues = np.concatenate([[-7.0, 50.0], np.linspace(1, 2, 298)])
    A = symmetric(eigenvalues)
    products = 0

    def product(v):
        nonlocal products
        products += 1
        return A @ v

    found = lanczos(product, 300, np.float64, steps=20)
    assert products == 20
    assert found.resolved and found.indefinite
    # the error of an end shrinks by its distance from the rest, here far below a millionth in 20 products
    np.testing.assert_allclose([found.smallest, found.largest], [-7, 50], rtol=1e-6)


def test_what_is_not_resolved_is_said_to_be_so() -> None:
    A = np.diag(np.logspace(-8, 0, 400))
    found = lanczos(lambda v: A @ v, 400, np.float64, steps=10)
    assert not found.resolved
    assert found.smallest > 1e-8  # an upper bound, as every Ritz value is


def network(params, x):
    for W in params[:-1]:
        x = jnp.tanh(x @ W)
    return jnp.mean((x @ params[-1]) ** 2)


def ruled(params, x):
    for W in params[:-1]:
        x = rules.tanh(rules.linear(x, W))
    y = rules.linear(x, params[-1])
    return rules.squared_error(y, jnp.zeros_like(y))


def dense(cost, at, *fixed):
    flat, unravel = jax.flatten_util.ravel_pytree(at)
    return jax.hessian(lambda flat: cost(unravel(flat), *fixed))(flat)


@pytest.mark.parametrize("cost", [network, ruled])
def test_products_and_ends_are_those_of_the_dense_hessian(x64, cost) -> None:
    keys = jax.random.split(jax.random.key(0), 4)
    shapes = ((4, 3), (3, 3), (3, 1))
    params = [jax.random.normal(k, s, jnp.float64) for k, s in zip(keys, shapes, strict=False)]
    x = jax.random.normal(keys[3], (5, 4), jnp.float64)
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    H = dense(cost, params, x)
    product = hessian_product(cost, params, x)
    v = jax.random.normal(jax.random.key(9), flat.shape, jnp.float64)
    got = jax.flatten_util.ravel_pytree(product(unravel(v)))[0]
    np.testing.assert_allclose(got, H @ v, rtol=1e-12, atol=1e-12)  # the same sums in another order, float64
    found = lanczos(lambda v: jax.flatten_util.ravel_pytree(product(unravel(v)))[0], flat.size, np.float64)
    np.testing.assert_allclose([found.smallest, found.largest], np.linalg.eigvalsh(H)[[0, -1]], rtol=1e-10)


def test_a_function_without_forward_mode_has_products_too(x64) -> None:
    @jax.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, g: (3 * x**2 * g,))
    at = jnp.array([1.0, 2.0])
    got = hessian_product(lambda x: jnp.sum(cube(x)), at)(jnp.array([1.0, 10.0]))
    np.testing.assert_allclose(got, [6.0, 120.0], rtol=1e-14)


EIGENVALUES = np.array([0.01, 0.1, 1.0])
SPECTRUM = Spectrum(0.01, 1.0, 0.0, True, 3)


def test_the_rate_of_gradient_descent_is_the_one_it_takes() -> None:
    error = np.ones(3)
    step = 2 / (SPECTRUM.largest + SPECTRUM.smallest)
    for _ in range(100):
        before, error = np.linalg.norm(error), (1 - step * EIGENVALUES) * error
    np.testing.assert_allclose(np.linalg.norm(error) / before, SPECTRUM.descent_rate, rtol=1e-12)
    assert abs(SPECTRUM.descent_rate - 99 / 101) < 1e-15


def test_the_rate_of_momentum_is_the_spectral_radius_of_its_iteration() -> None:
    low, high = np.sqrt([SPECTRUM.smallest, SPECTRUM.largest])
    step, damping = (2 / (low + high)) ** 2, ((high - low) / (high + low)) ** 2
    radii = [
        np.abs(np.linalg.eigvals([[damping, curve], [-step * damping, 1 - step * curve]])).max()
        for curve in EIGENVALUES
    ]
    # both extreme roots are double, so that rounding moves them by the root of the rounding unit
    np.testing.assert_allclose(max(radii), SPECTRUM.momentum_rate, rtol=1e-6)
    assert abs(SPECTRUM.momentum_rate - 9 / 11) < 1e-15


@pytest.mark.parametrize(("factor", "diverges"), [(0.99, False), (1.01, True)])
def test_the_largest_step_is_where_descent_begins_to_diverge(factor: float, diverges: bool) -> None:
    error = np.ones(3)
    for _ in range(3000):
        error = (1 - factor * SPECTRUM.largest_step * EIGENVALUES) * error
    assert (np.linalg.norm(error) > 1) == diverges


def test_the_line_sees_waves_and_not_valleys() -> None:
    x = jnp.array([0.3, -0.2, 0.5])
    assert sample_line(lambda x: jnp.sum(jnp.cos(300 * x)), x).turns > 20
    assert sample_line(lambda x: jnp.sum(x**2), x).turns == 1
    assert sample_line(lambda x: jnp.sum(x), x).turns == 0
    assert sample_line(lambda x: 0 * jnp.sum(x), x).turns == 0
    assert np.isnan(sample_line(lambda x: jnp.sum(jnp.log(x)), x).costs).any()  # outside the domain: left out
    assert sample_line(lambda x: jnp.sum(jnp.log(x)), x).turns == 0
