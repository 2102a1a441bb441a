"""The lab against runs of the methods, linear algebra, and the numbers of the article (its slips corrected)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov

from diffprog.errors import InvalidInput
from diffprog.optimize import gradient_descent, momentum, nesterov, optimize
from diffprog.optimize import momentum_lab as lab

steps_of = st.floats(0.01, 3.9)
betas = st.floats(0.0, 0.999)
SMALL, LARGE = 0.01, 1.0


@given(a=steps_of, beta=betas)
def test_roots_are_the_eigenvalues_and_their_product_is_beta(a, beta):
    roots = lab.momentum_roots(1.0, a, beta)
    expected = np.linalg.eigvals(lab.momentum_matrix(1.0, a, beta))
    # Near a double root eigenvalues are only known to the square root of rounding.
    np.testing.assert_allclose(np.sort(np.abs(roots)), np.sort(np.abs(expected)), atol=1e-7)
    assert np.prod(roots) == pytest.approx(beta, abs=1e-12)


@given(a=steps_of, beta=betas)
def test_it_converges_just_below_two_plus_two_beta(a, beta):
    if abs(a - 2 - 2 * beta) > 1e-6:
        assert (lab.momentum_rate(1.0, a, beta) < 1) == (a < 2 + 2 * beta)


@given(a=steps_of, beta=betas)
def test_ripples_have_the_rate_sqrt_beta_and_not_twice_that(a, beta):
    if lab.regime(1.0, a, beta) == "ripples":
        assert lab.momentum_rate(1.0, a, beta) == pytest.approx(np.sqrt(beta), abs=1e-12)


@pytest.mark.parametrize(
    ("a", "beta", "name"),
    [
        (0.01, 0.5, "monotone"),
        (1.0, 0.9, "ripples"),
        (1.9, 0.0, "oscillates"),
        (2.1, 0.0, "diverges"),
        (3.9, 0.9, "diverges"),
    ],
)
def test_regimes_are_what_a_run_does(a, beta, name):
    assert lab.regime(1.0, a, beta) == name
    R, x = lab.momentum_matrix(1.0, a, beta), [1.0]
    state = np.array([0.0, 1.0])
    for _ in range(30):
        state = R @ state
        x.append(state[1])
    x = np.array(x)
    signs = (x[1:] * x[:-1] < 0).sum()
    if name == "monotone":
        assert (np.diff(x) < 0).all() and (x > 0).all()
    elif name == "ripples":
        assert 2 <= signs < 29
    elif name == "oscillates":
        assert signs == 30 and abs(x[-1]) < abs(x[0])
    else:
        assert abs(x[-1]) > 3


def test_the_numbers_of_the_article():
    assert lab.best_descent(SMALL, LARGE) == pytest.approx((1.980198, 0.0, 0.980198), abs=1e-6)
    assert lab.best_momentum(SMALL, LARGE) == pytest.approx((3.305785, 0.669421, 0.818182), abs=1e-6)
    assert lab.best_nesterov(SMALL, LARGE).rate == pytest.approx(0.88472, abs=1e-5)
    assert lab.critical_damping(1.0, 0.01) == pytest.approx(0.81)
    assert lab.momentum_rate(1.0, 0.01, 0.81) == pytest.approx(0.9, abs=1e-7)  # a double root
    assert lab.momentum_rate(1.0, 0.5, 0.99) == pytest.approx(0.99499, abs=1e-5)


@pytest.mark.parametrize(
    ("tuned", "rate"),
    [
        (lab.best_descent, lambda curved, a, b: float(lab.descent_rate(curved, a))),
        (lab.best_momentum, lambda curved, a, b: float(lab.momentum_rate(curved, a, b))),
        (lab.best_nesterov, lab.nesterov_rate),
    ],
    ids=["descent", "momentum", "nesterov"],
)
def test_the_best_settings_are_best(tuned, rate):
    best = tuned(SMALL, LARGE)
    curvatures = np.linspace(SMALL, LARGE, 50)

    def worst(alpha, beta):
        return max(rate(curved, alpha, beta) for curved in curvatures)

    assert worst(best.alpha, best.beta) == pytest.approx(
        best.rate, abs=1e-6
    )  # double roots: sqrt of rounding
    for factor in (0.97, 1.03):
        assert worst(best.alpha * factor, best.beta) > best.rate - 1e-7
        assert worst(best.alpha, min(best.beta * factor, 0.999)) > best.rate - 1e-7


def test_the_rates_are_those_of_the_methods(x64):
    for tuned, method in [
        (lab.best_descent, lambda t: gradient_descent(t.alpha)),
        (lab.best_momentum, lambda t: momentum(t.alpha, t.beta)),
        (lab.best_nesterov, lambda t: nesterov(t.alpha, t.beta)),
    ]:
        best = tuned(SMALL, LARGE)
        run = optimize(
            lambda w: 0.5 * jnp.sum(jnp.array([SMALL, 0.1, LARGE]) * w**2),
            jnp.ones(3),
            method(best),
            steps=400,
        )
        # f falls like (k rate^k)^2 where roots are double: its rate over the last half is within 1 % of that.
        measured = (run.history[-1] / run.history[200]) ** (1 / (2 * 199))
        assert measured == pytest.approx(best.rate, rel=0.01)


def test_the_excess_of_gradient_descent_with_its_half(x64):
    curvatures, start = np.array([0.1, 0.5, 1.0]), np.array([1.0, -2.0, 3.0])
    run = optimize(
        lambda w: 0.5 * jnp.sum(curvatures * w**2), jnp.asarray(start), gradient_descent(1.2), steps=30
    )
    np.testing.assert_allclose(run.history, lab.excess(curvatures, 1.2, start, 29).sum(1), rtol=1e-10)


def test_unrolled_momentum_subtracts(x64):
    gradients = []

    def note(done, value, report):
        gradients.append(float(value))

    run = optimize(lambda w: 0.5 * w**2, 1.0, momentum(0.1, 0.7), steps=9, callback=note)
    g = np.array([1.0, *gradients[:-1]])  # on w^2 / 2 the gradient is the point
    assert float(run.value) == pytest.approx(1.0 - 0.1 * lab.unrolled(0.7, 9) @ g, abs=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_the_noise_floor_is_the_stationary_variance(beta, x64):
    alpha, curvature, s2 = 0.3, 0.8, 2.0
    R, noise = lab.momentum_matrix(curvature, alpha, beta), np.array([1.0, -alpha])
    exact = solve_discrete_lyapunov(R, s2 * np.outer(noise, noise))[1, 1]
    floor = float(lab.noise_floor(curvature, alpha, beta, s2))
    assert floor == pytest.approx(exact, rel=1e-10)

    def noisy(w, key):
        return jnp.sum(0.5 * curvature * w**2 + jnp.sqrt(s2) * jax.random.normal(key, w.shape) * w)

    run = optimize(
        noisy,
        jnp.zeros(20_000),
        momentum(alpha, beta) if beta else gradient_descent(alpha),
        steps=150,
        key=jax.random.key(1),
    )
    measured = float(jnp.var(run.value))
    # 20,000 independent walkers: the variance of a normal sample has relative error sqrt(2 / n) = 1 %; five of them.
    assert measured == pytest.approx(floor, rel=0.05)


def test_the_hardest_problem_has_its_condition_number():
    A, b = lab.hardest(100.0, 300)
    eigenvalues = np.linalg.eigvalsh(A)
    assert eigenvalues[-1] / eigenvalues[0] == pytest.approx(100.0, rel=0.01)  # reached as the chain grows
    np.testing.assert_allclose(np.linalg.solve(A, b)[:50], (9 / 11) ** np.arange(1, 51), rtol=1e-9)


def test_a_spectrum_that_is_not_positive_is_refused():
    with pytest.raises(InvalidInput, match="0 < smallest"):
        lab.best_momentum(-0.1, 1.0)
