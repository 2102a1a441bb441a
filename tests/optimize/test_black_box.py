"""Values only: estimates against their theory, the simplex against SciPy, samplers on costs without gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

from diffprog.errors import InvalidInput
from diffprog.optimize import (
    cma_es,
    directional,
    evolution_strategies,
    evosax_strategy,
    external,
    finite_differences,
    gradient_descent,
    momentum,
    nelder_mead,
    optimize,
    random_search,
    spsa,
)
from diffprog.optimize.method import Oracle
from tests.optimize.methods import BLACK_BOX


def rosenbrock(w):
    return 100 * (w[1] - w[0] ** 2) ** 2 + (1 - w[0]) ** 2


def estimates(method, cost, at, draws):
    """Many estimates of one gradient, [draws, d]."""

    def one(key):
        return method.estimate(Oracle(cost, lambda value: None, None, key), at)[1]

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), draws)))


def test_coordinate_differences_are_the_gradient_to_their_order(x64):
    at = jnp.array([0.7, -0.3, 1.1])

    def cost(w):
        return jnp.sum(jnp.tanh(w)) * w[0]

    exact = np.asarray(jax.grad(cost)(at))

    def error(width, central):
        return np.abs(estimates(finite_differences(1.0, width, central), cost, at, 1)[0] - exact).max()

    assert error(1e-5, True) < 1e-9  # h^2 plus rounding / h
    assert error(1e-3, True) / error(1e-4, True) == pytest.approx(100, rel=0.05)
    assert error(1e-3, False) / error(1e-4, False) == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("d", [5, 50])
def test_directional_estimates_are_unbiased_with_second_moment_d_plus_two(x64, d):
    slope = jnp.asarray(np.random.default_rng(0).standard_normal(d))
    g = estimates(directional(1.0, width=1e-3), lambda w: slope @ w, jnp.zeros(d), 40_000)
    # On a linear cost the estimate is (g.v) v exactly; E|.|^2 = (d + 2)|g|^2. 40,000 draws: some 1 % error.
    assert np.mean(np.sum(g**2, 1)) / float(slope @ slope) == pytest.approx(d + 2, rel=0.05)
    spread = g.std(0) / np.sqrt(len(g))
    assert (np.abs(g.mean(0) - slope) < 5 * spread).all()


def test_sign_vectors_have_second_moment_d(x64):
    slope = jnp.asarray(np.random.default_rng(0).standard_normal(20))
    g = estimates(spsa(1.0), lambda w: slope @ w, jnp.zeros(20), 20_000)
    # (g.v) v with |v|^2 = d: the square is d (g.v)^2. 20,000 draws: some 1 % statistical error.
    assert np.mean(np.sum(g**2, 1)) / float(slope @ slope) == pytest.approx(20, rel=0.05)
    spread = g.std(0) / np.sqrt(len(g))
    assert (np.abs(g.mean(0) - slope) < 5 * spread).all()


def test_antithetic_pairs_do_not_see_even_orders(x64):
    # At the minimum of a parabola every pair is balanced: the estimate is exactly 0, and one-sided ones are not.
    def bowl(w):
        return jnp.sum(w**2)

    assert np.abs(estimates(evolution_strategies(1.0, width=0.5), bowl, jnp.zeros(4), 10)).max() < 1e-12
    assert np.abs(estimates(directional(1.0, width=0.5), bowl, jnp.zeros(4), 10)).max() > 0.1


def test_evolution_strategies_follow_the_blurred_cost(x64):
    # E of |x + h v| at x has the slope 2 Phi(x / h) - 1: erf(x / (h sqrt 2)).
    g = estimates(
        evolution_strategies(1.0, pairs=1, width=0.5), lambda w: jnp.abs(w[0]), jnp.array([0.3]), 40_000
    )
    expected = float(jax.scipy.special.erf(0.3 / (0.5 * np.sqrt(2))))
    assert g.mean() == pytest.approx(expected, abs=5 * g.std() / 200)


def test_differences_follow_the_method_they_are_given(x64):
    def cost(w):
        return jnp.sum(jnp.array([1.0, 3.0]) * w**2)

    exact = optimize(cost, jnp.ones(2), momentum(0.05, 0.7), steps=10)
    blind = optimize(cost, jnp.ones(2), finite_differences(momentum(0.05, 0.7), 1e-3), steps=10)
    np.testing.assert_allclose(
        blind.value, exact.value, atol=1e-10
    )  # central differences of a parabola are exact
    assert blind.counts == (40, 0, 0, 0) and exact.counts == (0, 10, 0, 0)


def test_nelder_and_mead_take_scipy_s_path(x64):
    start = np.array([-1.2, 1.0])
    for iterations in (1, 10, 60):
        run = optimize(rosenbrock, jnp.asarray(start), nelder_mead(), steps=iterations + 1)
        oracle = scipy.optimize.minimize(
            lambda w: float(rosenbrock(w)),
            start,
            method="Nelder-Mead",
            # SciPy counts from 1: its "maxiter" is one more than the moves it makes.
            options={"maxiter": iterations + 1, "xatol": 0, "fatol": 0, "disp": False},
        )
        np.testing.assert_allclose(run.value, oracle.x, rtol=1e-12)
        assert run.counts.values == oracle.nfev


@pytest.mark.parametrize("name", ["evolution strategies", "random search", "cma-es"])
def test_a_staircase_has_no_gradient_and_is_gone_down(name):
    def stairs(w):
        return jnp.sum(jnp.round(4 * jnp.abs(w)))

    start = jnp.array([3.0, -2.0])
    assert (jax.grad(stairs)(start) == 0).all()
    methods = {
        "evolution strategies": evolution_strategies(0.02, width=0.3),
        "random search": random_search(),
        "cma-es": cma_es(8),
    }
    run = optimize(stairs, start, methods[name], steps=120)
    assert stairs(run.value) <= 2 < stairs(start) and run.counts.gradients == 0


def test_cma_es_learns_a_valley_that_random_search_does_not(x64):
    def valley(w):
        return jnp.sum(jnp.array([1.0, 1e2, 1e4]) * w**2)

    ours = optimize(valley, jnp.ones(3), cma_es(12), steps=120)
    blind = optimize(valley, jnp.ones(3), random_search(12), steps=120)
    assert valley(ours.value) < 1e-6 and valley(ours.value) < 1e-2 * valley(blind.value)


def test_any_strategy_of_evosax_is_a_method():
    algorithms = pytest.importorskip("evosax.algorithms")
    for strategy in (algorithms.SNES, algorithms.Sep_CMA_ES):
        run = optimize(lambda w: jnp.sum((w - 1) ** 2), jnp.zeros(3), evosax_strategy(strategy), steps=60)
        assert run.cost < 0.3


def test_a_sample_without_a_finite_cost_is_only_a_bad_sample():
    def walled(w):
        return jnp.where(w[0] < 0, jnp.nan, (w[0] - 0.1) ** 2 + w[1] ** 2)

    for method in (cma_es(16), random_search()):
        run = optimize(walled, jnp.array([1.0, 1.0]), method, steps=60)
        assert run.stopped == "finished" and run.value[0] >= 0 and walled(run.value) < 1e-2


def simulated(throw, wind=0.0):
    """How far from 3 m a ball lands: plain Python, with branches on its numbers; it takes a dict of numpy arrays."""
    x, y, dt = 0.0, 0.0, 0.01
    u, v = float(throw["speed"]) * np.cos(throw["angle"]), float(throw["speed"]) * np.sin(throw["angle"])
    while y >= 0:
        x, y, u, v = x + dt * u, y + dt * v, u + dt * float(wind), v - 9.81 * dt
    return abs(x - 3.0)


THROW = {"angle": jnp.array(0.5), "speed": jnp.array(4.0)}


@pytest.mark.parametrize("name", ["nelder-mead", "cma-es", "random search", "spsa"])
def test_a_simulator_in_plain_python_is_optimized(name):
    run = optimize(external(simulated), THROW, BLACK_BOX[name](), steps=40, args=(jnp.array(-0.5),))
    start = simulated({k: np.asarray(v) for k, v in THROW.items()}, -0.5)
    reached = simulated({k: np.asarray(v) for k, v in run.value.items()}, -0.5)
    assert reached < 0.3 * start


def test_an_external_cost_runs_in_populations_and_compiles_once():
    starts = jax.tree.map(lambda leaf: leaf + jnp.array([0.0, 0.3, 0.6]), THROW)
    run = optimize(external(simulated), starts, nelder_mead(), steps=30, population=True)
    assert run.cost == run.population.costs.min() and run.cost < 0.2


def test_an_external_cost_has_no_gradient_and_says_so():
    with pytest.raises(InvalidInput, match="a gradient of an external cost"):
        optimize(external(simulated), THROW, gradient_descent(0.1), steps=1)
    with pytest.raises(InvalidInput, match=r"external\(cost\)"):
        optimize(simulated, THROW, nelder_mead(), steps=1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: spsa(0.1, directions=0),
        lambda: finite_differences(0.1, width=0.0),
        lambda: finite_differences("adam"),
        lambda: nelder_mead(0.0),
        lambda: random_search(0),
        lambda: cma_es(1),
        lambda: evolution_strategies(optax.adam(0.1), pairs=-1),
    ],
)
def test_settings_that_cannot_work_are_refused(make):
    with pytest.raises(InvalidInput, match="expected"):
        make()
