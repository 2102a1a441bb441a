"""Second order: one step on quadratics, the canonical traps, true counts, and all of it through hand-written rules."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

from diffprog import rules
from diffprog.errors import InvalidInput
from diffprog.optimize import (
    Stop,
    conjugate_gradients,
    gauss_newton,
    gradient_descent,
    half_squares,
    hessian,
    hvp,
    lbfgs,
    levenberg_marquardt,
    newton,
    newton_cg,
    optimize,
    spectrum,
)
from tests.optimize.methods import RESIDUALS, SECOND_ORDER


def quadratic(n, kappa, seed=0):
    """(A, b, the minimum) with eigenvalues from 1 to kappa in a random basis."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    A = Q @ np.diag(np.geomspace(1, kappa, n)) @ Q.T
    b = rng.standard_normal(n)
    return jnp.asarray(A), jnp.asarray(b), np.linalg.solve(A, b)


def rosenbrock(w):
    return 100 * (w[1] - w[0] ** 2) ** 2 + (1 - w[0]) ** 2


@pytest.mark.parametrize("kappa", [1.0, 1e2, 1e4])
@pytest.mark.parametrize(
    "method", [newton(), newton(search="none"), newton(search="trust region", radius=1e6)]
)
def test_newton_solves_a_quadratic_in_one_step(x64, kappa, method):
    A, b, minimum = quadratic(6, kappa)
    run = optimize(lambda w: w @ A @ w / 2 - b @ w, jnp.ones(6), method, steps=1)
    np.testing.assert_allclose(run.value, minimum, atol=1e-10)
    assert run.counts.hessians == run.counts.gradients == 1


def test_conjugate_gradients_end_in_n_products(x64):
    A, b, minimum = quadratic(8, 50.0)
    found = conjugate_gradients(lambda v: A @ v, -b, steps=8)
    np.testing.assert_allclose(found.step, minimum, atol=1e-10)
    short = conjugate_gradients(lambda v: A @ v, -b, steps=6)
    assert np.abs(short.step - minimum).max() > 1e-6  # eight eigenvalues need eight
    three = jnp.array([1.0, 1.0, 4.0, 4.0, 9.0, 9.0])  # three different ones need three
    found = conjugate_gradients(lambda v: three * v, jnp.ones(6), tolerance=1e-12)
    assert found.products == 3
    run = optimize(
        lambda w: w @ A @ w / 2 - b @ w, jnp.zeros(8), newton_cg(radius=1e6, tolerance=1e-13), steps=1
    )
    np.testing.assert_allclose(run.value, minimum, atol=1e-10)
    assert run.counts.products <= 8 and run.counts.hessians == 0


def test_newton_does_not_depend_on_the_coordinates(x64):
    M = jnp.array([[2.0, 1.0], [0.0, 0.1]])
    start = jnp.array([-0.5, 1.0])
    plain = newton(search="none")
    run = optimize(lambda w: jnp.sum(jnp.cosh(w)), start, plain, steps=3)
    other = optimize(lambda u: jnp.sum(jnp.cosh(M @ u)), jnp.linalg.solve(M, start), plain, steps=3)
    np.testing.assert_allclose(M @ other.value, run.value, atol=1e-10)


def test_log_cosh_needs_a_search_beyond_its_radius(x64):
    def cost(x):
        return jnp.log(jnp.cosh(x))

    near = optimize(cost, 1.08, newton(search="none"), steps=12)
    assert abs(near.value) < 1e-10
    far = optimize(cost, 1.09, newton(search="none"), steps=12)
    assert abs(far.value) > 2 or far.stopped != "finished"
    for method in (newton(), newton(search="trust region"), newton_cg(), newton(damping=1.0, search="none")):
        run = optimize(cost, 1.09, method, steps=60)
        assert abs(run.value) < 1e-6


def test_a_fourth_power_falls_by_two_thirds(x64):
    run = optimize(lambda x: x**4, 1.0, newton(), steps=10)
    assert float(run.value) == pytest.approx((2 / 3) ** 10, rel=1e-10)


@pytest.mark.parametrize("method", [newton(), newton(search="trust region")], ids=["line", "trust region"])
def test_a_saddle_is_left_even_from_the_saddle_itself(x64, method):
    def saddle(w):  # minima at (0, +-1), cost -1/4; saddle at 0
        return w[0] ** 2 / 2 - w[1] ** 2 / 2 + w[1] ** 4 / 4

    for start in ([0.0, 0.0], [1.0, 0.0], [0.5, 1e-12]):
        run = optimize(saddle, jnp.array(start), method, steps=40)
        assert float(saddle(run.value)) == pytest.approx(-0.25, abs=1e-10)
    plain = jnp.linalg.solve(hessian(saddle, jnp.array([0.5, 0.1])), jax.grad(saddle)(jnp.array([0.5, 0.1])))
    assert jnp.linalg.norm(jnp.array([0.5, 0.1]) - plain) < 0.01  # what Newton alone would have walked into


def test_newton_cg_leaves_a_saddle_that_it_is_beside(x64):
    run = optimize(
        lambda w: w[0] ** 2 / 2 - w[1] ** 2 / 2 + w[1] ** 4 / 4, jnp.array([0.5, 1e-6]), newton_cg(), steps=60
    )
    np.testing.assert_allclose(np.abs(run.value), [0.0, 1.0], atol=1e-6)


@pytest.mark.parametrize("name", [name for name in SECOND_ORDER if name != "newton, damped"])
def test_rosenbrock_takes_few_steps(x64, name):
    run = optimize(
        rosenbrock, jnp.array([-1.2, 1.0]), SECOND_ORDER[name](), steps=100, stop=Stop(gradient_norm=1e-8)
    )
    np.testing.assert_allclose(run.value, 1.0, atol=1e-7)
    assert run.stopped == "gradient norm" and run.steps < 60


def test_counts_of_second_derivatives_are_true(x64):
    # The Hessian of a quadratic is asked once a step whatever it holds; products are counted by conjugate gradients,
    # which stop at a matrix of three eigenvalues after three.
    three = jnp.array([1.0, 4.0, 9.0, 9.0])
    run = optimize(lambda w: w @ (three * w) / 2, jnp.ones(4), newton_cg(1e3, tolerance=1e-9), steps=1)
    assert run.counts == (1, 1, 3, 0)
    run = optimize(lambda w: w @ (three * w) / 2, jnp.ones(4), newton(), steps=1)
    assert run.counts == (1, 1, 0, 1)


def decay(w, t, y):
    return w[0] * jnp.exp(-w[1] * t) + w[2] - y


@pytest.mark.parametrize("name", RESIDUALS)
def test_curve_fits_agree_with_scipy(x64, name):
    t = jnp.linspace(0.0, 3.0, 40)
    y = 2.0 * jnp.exp(-1.3 * t) + 0.5 + 0.05 * jnp.sin(40 * t)
    start = np.array([1.0, 1.0, 0.0])
    run = optimize(half_squares(decay), jnp.asarray(start), RESIDUALS[name](), steps=40, args=(t, y))
    oracle = scipy.optimize.least_squares(lambda w: np.asarray(decay(w, t, y)), start, xtol=1e-14, ftol=1e-14)
    np.testing.assert_allclose(run.value, oracle.x, rtol=1e-6)
    assert run.counts.products == 3 * 40  # three variables, forward


def test_linear_residuals_take_one_step_and_other_methods_may_follow_them_too(x64):
    rng = np.random.default_rng(0)
    A, y = jnp.asarray(rng.standard_normal((20, 5))), jnp.asarray(rng.standard_normal(20))
    cost = half_squares(lambda w: A @ w - y)
    run = optimize(cost, jnp.zeros(5), gauss_newton(), steps=1)
    np.testing.assert_allclose(run.value, np.linalg.lstsq(A, y)[0], atol=1e-10)
    slow = optimize(cost, jnp.zeros(5), gradient_descent(0.02), steps=2000)
    np.testing.assert_allclose(slow.value, run.value, atol=1e-6)


def test_levenberg_marquardt_bears_a_jacobian_without_full_rank(x64):
    run = optimize(
        half_squares(lambda w: jnp.stack([w[0] + w[1] - 2, 2 * (w[0] + w[1] - 2)])),
        jnp.zeros(2),
        levenberg_marquardt(),
        steps=30,
    )
    assert float(run.value.sum()) == pytest.approx(2.0, abs=1e-6)


def network(params, x):
    """A small network made of hand-written rules."""
    h = rules.tanh(rules.linear(x, params["W"], params["b"]))
    return rules.linear(h, params["V"], params["c"])


def data():
    keys = jax.random.split(jax.random.key(0), 4)
    params = {
        "W": jax.random.normal(keys[0], (2, 3)),
        "b": jnp.zeros(3),
        "V": jax.random.normal(keys[1], (3, 1)),
        "c": jnp.zeros(1),
    }
    x = jax.random.normal(keys[2], (30, 2))
    return params, x, jnp.sin(x[:, :1]) * x[:, 1:]


def test_hessian_and_products_through_the_rules_are_those_of_autodiff(x64):
    params, x, y = data()

    def hand(params):
        return jnp.mean((network(params, x) - y) ** 2)

    def plain(params):
        h = jnp.tanh(x @ params["W"] + params["b"])
        return jnp.mean((h @ params["V"] + params["c"] - y) ** 2)

    flat, whole = jax.flatten_util.ravel_pytree(params)
    expected = jax.hessian(lambda w: plain(whole(w)))(flat)
    np.testing.assert_allclose(hessian(hand, params), expected, atol=1e-12)
    v = jax.random.normal(jax.random.key(9), flat.shape)
    product = jax.flatten_util.ravel_pytree(hvp(hand, params, whole(v)))[0]
    np.testing.assert_allclose(product, expected @ v, atol=1e-12)
    found, eigenvalues = spectrum(hand, params, steps=flat.size), np.linalg.eigvalsh(expected)
    np.testing.assert_allclose((found.smallest, found.largest), eigenvalues[[0, -1]], atol=1e-10)


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_every_second_order_method_trains_through_the_rules(x64, name):
    params, x, y = data()
    cost = lambda p, x, y: jnp.mean((network(p, x) - y) ** 2)  # noqa: E731
    run = optimize(cost, params, SECOND_ORDER[name](), steps=40, args=(x, y))
    assert cost(run.value, x, y) < 0.5 * cost(params, x, y)


@pytest.mark.parametrize("name", RESIDUALS)
def test_least_squares_train_through_the_rules(x64, name):
    params, x, y = data()
    cost = half_squares(lambda p: network(p, x) - y)
    run = optimize(cost, params, RESIDUALS[name](), steps=20)
    assert cost(run.value) < 0.5 * cost(params)


def test_l_bfgs_is_optax_s(x64):
    ours = optimize(rosenbrock, jnp.array([-1.2, 1.0]), lbfgs(7), steps=9)
    theirs = optimize(rosenbrock, jnp.array([-1.2, 1.0]), optax.lbfgs(memory_size=7), steps=9)
    assert (ours.value == theirs.value).all() and ours.counts == theirs.counts


@pytest.mark.parametrize(
    ("cost", "method", "says"),
    [
        (lambda w: jnp.sum(jnp.abs(w)), newton(), "second derivative is zero"),
        (lambda w: jnp.sum(jax.nn.relu(w)), newton_cg(), "second derivative is zero"),
        (lambda w: jnp.sum(w**2), gauss_newton(), "residuals are not known"),
    ],
)
def test_costs_without_what_a_method_needs_are_refused(cost, method, says):
    with pytest.raises(InvalidInput, match=says):
        optimize(cost, jnp.ones(2), method, steps=1)


def test_a_rule_that_cannot_be_differentiated_again_is_said():
    @jax.custom_vjp
    def once(w):
        return jnp.sum(w**2)

    def backward(w, g):
        found = jax.pure_callback(lambda w: 2 * np.asarray(w), jax.ShapeDtypeStruct(w.shape, w.dtype), w)
        return (g * found,)

    once.defvjp(lambda w: (once(w), w), backward)
    with pytest.raises(InvalidInput, match=r"without second derivatives.*; at once, "):
        optimize(lambda w: once(3 * w), jnp.ones(2), newton(), steps=1)


@pytest.mark.parametrize("method", [newton(), newton_cg()])
def test_the_node_without_curvature_is_named(method):
    def cost(w, key, count, x):
        return jnp.mean(jnp.abs(x @ w["w"] - jax.random.normal(key))) + 0.0 * count

    with pytest.raises(InvalidInput, match=r"at abs, test_second_order.py:\d+ .*straight pieces"):
        optimize(cost, {"w": jnp.ones(3)}, method, steps=1, key=jax.random.key(0), args=(2, jnp.ones((4, 3))))


@pytest.mark.parametrize(
    "make",
    [
        lambda: newton(search="wolfe"),
        lambda: newton(damping=-1.0),
        lambda: newton_cg(0.0),
        lambda: levenberg_marquardt(0.0),
        lambda: lbfgs(0),
    ],
)
def test_settings_that_cannot_work_are_refused(make):
    with pytest.raises(InvalidInput, match="expected"):
        make()
