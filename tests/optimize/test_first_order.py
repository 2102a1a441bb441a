"""Momentum in all its forms, against iteration matrices, PyTorch, optax, and the bound no method can pass."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diffprog.errors import InvalidInput
from diffprog.optimize import gradient_descent, momentum, nesterov, optimize
from tests.optimize.methods import FIRST_ORDER

EIGENVALUES = np.array([0.01, 0.1, 1.0])
START = np.array([1.0, -2.0, 3.0])
ETA, BETA, STEPS = 0.7, 0.85, 30


def quadratic(w):
    return 0.5 * jnp.sum(jnp.asarray(EIGENVALUES) * w**2)


def path(cost, start, method, steps):
    """All points of a run, [steps + 1, n]."""
    points = [np.asarray(start)]
    optimize(
        cost,
        start,
        method,
        steps=steps,
        callback=lambda done, value, report: points.append(np.asarray(value)),
    )
    return np.array(points)


def test_gradient_descent_is_the_power_of_its_iteration_matrix(x64):
    points = path(quadratic, START, gradient_descent(ETA), STEPS)
    exact = START * (1 - ETA * EIGENVALUES) ** np.arange(STEPS + 1)[:, None]
    np.testing.assert_allclose(points, exact, rtol=1e-13)  # 30 float64 products


def test_heavy_ball_is_the_power_of_its_iteration_matrix(x64):
    points = path(quadratic, START, momentum(ETA, BETA), STEPS)
    for i, curvature in enumerate(EIGENVALUES):
        # (m, w) -> (beta m + l w, w - eta (beta m + l w))
        R = np.array([[BETA, curvature], [-ETA * BETA, 1 - ETA * curvature]])
        exact = [(np.linalg.matrix_power(R, k) @ [0.0, START[i]])[1] for k in range(STEPS + 1)]
        np.testing.assert_allclose(points[:, i], exact, rtol=1e-10, atol=1e-12)


def test_nesterov_is_momentum_with_the_gradient_taken_ahead(x64):
    points = path(quadratic, START, nesterov(ETA, BETA), STEPS)
    # Sutskever's form: v <- beta v - eta grad(theta + beta v), theta <- theta + v; ours is x = theta + beta v.
    theta, v, exact = START.copy(), np.zeros(3), [START]
    for _ in range(STEPS):
        v = BETA * v - ETA * EIGENVALUES * (theta + BETA * v)
        theta = theta + v
        exact.append(theta + BETA * v)
    np.testing.assert_allclose(points, exact, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("ahead", [False, True])
def test_the_lecture_and_optax_and_pytorch_take_the_same_path(x64, ahead):
    ours = path(quadratic, START, (nesterov if ahead else momentum)(ETA, BETA), STEPS)
    theirs = path(quadratic, START, optax.sgd(ETA, momentum=BETA, nesterov=ahead), STEPS)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ours, torch_path(nesterov=ahead), rtol=1e-10, atol=1e-12)


def torch_path(lr=ETA, steps=STEPS, **options):
    torch = pytest.importorskip("torch")
    w = torch.tensor(START, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=lr, momentum=BETA, **options)
    points = [START]
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * (torch.tensor(EIGENVALUES) * w**2).sum()).backward()
        optimizer.step()
        points.append(w.detach().numpy().copy())
    return np.array(points)


def test_dampening_in_pytorch_is_a_rate_but_for_the_first_step(x64):
    dampening = 0.4
    theirs = torch_path(lr=ETA / (1 - dampening), dampening=dampening)
    # b_1 = g_1 undamped, which is (1 - d) times an m_1 = g_1 / (1 - d).
    w, m = START.copy(), None
    for point in theirs[1:]:
        g = EIGENVALUES * w
        m = g / (1 - dampening) if m is None else BETA * m + g
        w = w - ETA * m
        np.testing.assert_allclose(point, w, rtol=1e-10, atol=1e-12)


def test_autograd_scales_the_gradient_and_polyak_keeps_no_buffer(x64):
    ours = path(quadratic, START, momentum(ETA, BETA), STEPS)
    x, v = START.copy(), np.zeros(3)  # autograd: v = mass v - (1 - mass) g; x += step_size v
    before, w = START.copy(), START.copy()  # Polyak
    for point in ours[1:]:
        v = BETA * v - (1 - BETA) * EIGENVALUES * x
        x = x + ETA / (1 - BETA) * v
        before, w = w, w - ETA * EIGENVALUES * w + BETA * (w - before)
        np.testing.assert_allclose(point, x, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(point, w, rtol=1e-10, atol=1e-12)


def test_the_rate_of_a_schedule_is_that_of_the_step(x64):
    schedule = optax.linear_schedule(1.0, 0.1, 5)
    ours = path(quadratic, START, momentum(schedule, BETA), 8)
    theirs = path(quadratic, START, optax.sgd(schedule, momentum=BETA), 8)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_no_first_order_method_sees_farther_than_its_light_cone(x64, name):
    # Goh's convex Rosenbrock: information moves one coordinate a step, so after k steps coordinates past k are 0.
    n, kappa, k = 40, 100.0, 12

    def cost(w):
        chain = (w[0] - 1) ** 2 + jnp.sum((w[1:] - w[:-1]) ** 2)
        return chain / 2 + 2 / (kappa - 1) * jnp.sum(w**2)

    run = optimize(cost, jnp.zeros(n), FIRST_ORDER[name](), steps=k)
    assert (run.value[k:] == 0).all() and (run.value[:k] != 0).all()
    # The minimum is w*_i = q^i, so |w_k - w*| is at least the tail beyond the cone.
    q = (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)
    minimum = np.linalg.solve(
        np.asarray(jax.hessian(cost)(jnp.zeros(n))), -np.asarray(jax.grad(cost)(jnp.zeros(n)))
    )
    np.testing.assert_allclose(
        minimum[:20], q ** np.arange(1, 21), rtol=2e-3
    )  # the chain is cut off at n = 40
    assert np.linalg.norm(run.value - minimum) >= np.linalg.norm(minimum[k:])


def test_mutation_a_heavy_ball_that_damps_its_gradient_is_caught(x64):
    ours = path(quadratic, START, momentum(ETA, BETA), 5)
    wrong = path(quadratic, START, optax.chain(optax.ema(BETA, debias=False), optax.scale(-ETA)), 5)
    assert np.abs(ours - wrong).max() > 0.1


@pytest.mark.parametrize(
    "make", [lambda: momentum(0.1, 1.0), lambda: momentum(0.1, -0.1), lambda: gradient_descent(-0.2)]
)
def test_rates_that_cannot_work_are_refused(make):
    with pytest.raises(InvalidInput, match="expected"):
        make()
