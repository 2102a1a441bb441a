"""Rules of stopping are obeyed to the step; a run that fails says so and keeps a value."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diffprog.errors import InvalidInput
from diffprog.optimize import Box, Stop, gradient_descent, momentum, optimize, projected


def square(w):
    return 0.5 * w**2


def test_the_gradient_norm_stops_at_the_first_point_that_has_it():
    run = optimize(square, 1.0, gradient_descent(0.5), steps=1000, stop=Stop(gradient_norm=0.1))
    assert run.steps == 4 and run.value == 0.5**4 and run.stopped == "gradient norm"  # 0.0625 <= 0.1 < 0.125
    assert run.cost == square(0.5**4) and len(run.history) == 4
    assert run.counts.gradients == 5  # the fifth found that it could stop


def test_a_projected_minimum_on_the_boundary_stops_too():
    run = optimize(
        lambda w: jnp.sum((w - 3.0) ** 2),
        jnp.zeros(2),
        gradient_descent(0.1),
        steps=1000,
        constraint=projected(Box(-1.0, 1.0)),
        stop=Stop(gradient_norm=1e-6),
    )
    assert run.stopped == "gradient norm" and (run.value == 1.0).all() and run.steps < 10


def test_a_target_and_a_small_change():
    run = optimize(square, 1.0, gradient_descent(0.5), steps=1000, stop=Stop(target=0.01))
    assert run.stopped == "target" and run.cost == square(0.125) and run.value == 0.125
    run = optimize(square, 1.0, gradient_descent(0.5), steps=1000, stop=Stop(change=0.1))
    assert run.stopped == "change" and run.value == 0.125  # the next step would have moved 0.0625


def test_no_step_begins_once_the_evaluations_are_used():
    run = optimize(square, 1.0, gradient_descent(0.5), steps=1000, stop=Stop(evaluations=7))
    assert run.stopped == "evaluations" and run.steps == run.counts.gradients == 7


def test_a_learning_rate_that_diverges_is_stopped_and_the_best_value_kept():
    run = optimize(square, 1.0, gradient_descent(3.0), steps=1000)
    assert run.stopped == "diverged" and run.steps < 30
    assert run.value == 1.0 and run.cost == 0.5
    assert "smaller learning rate" in run.why and "risen from 0.5" in run.why


def test_a_transient_of_momentum_is_no_divergence(x64):
    # The optimal heavy ball overshoots by sqrt(kappa) before it settles: here 15 times in cost.
    eigenvalues = jnp.array([1e-3, 1.0])
    eta, beta = (2 / (np.sqrt(1e-3) + 1)) ** 2, ((1 - np.sqrt(1e-3)) / (1 + np.sqrt(1e-3))) ** 2
    run = optimize(lambda w: 0.5 * jnp.sum(eigenvalues * w**2), jnp.ones(2), momentum(eta, beta), steps=600)
    assert run.stopped == "finished" and run.history.max() > 3 * run.history[0] and run.cost < 1e-8


def test_a_callback_sees_every_step_and_can_end_the_run():
    told = []

    def callback(done, value, report):
        told.append((done, float(value), float(report.cost)))
        return done == 3

    run = optimize(square, 1.0, gradient_descent(0.5), steps=1000, callback=callback)
    assert run.stopped == "callback" and run.steps == 3
    assert told == [(1, 0.5, 0.5), (2, 0.25, 0.125), (3, 0.125, 0.03125)]


@pytest.mark.parametrize("rule", [{"gradient_norm": -1.0}, {"evaluations": -1}, {"change": float("nan")}])
def test_rules_that_are_none_are_refused(rule):
    with pytest.raises(InvalidInput, match="0 or more"):
        Stop(**rule)


@pytest.mark.parametrize(
    ("cost", "start", "says"),
    [
        (lambda w: jnp.log(w), 0.0, "a cost of -inf at the start"),
        (lambda w: jnp.sqrt(w), 0.0, "a gradient that is not finite at the start"),
        (lambda w: w["a"] ** 2, jnp.ones(()), "fails on the start: "),
        (lambda w, key: w**2, 1.0, "fails on the start: TypeError"),
        (lambda w: w, jnp.ones(3), r"shape \(3,\)"),
        (lambda w: jnp.round(w).astype(int), 1.0, "a cost of type int"),
        (lambda w: w**2 if w > 0 else w, 1.0, "cannot trace"),
        (lambda w: float(np.sin(np.asarray(w))), 1.0, "cannot trace"),
        (lambda w: {"cost": w**2}, 1.0, "a cost that returns"),
        (lambda w: 0.0, {}, "an empty pytree"),
    ],
)
def test_bad_costs_and_starts_are_refused_in_words(cost, start, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        optimize(cost, start, optax.sgd(0.1), steps=2)
    assert "expected:" in str(caught.value) and "try:" in str(caught.value)


def test_what_is_no_method_is_refused():
    with pytest.raises(InvalidInput, match="a method of type str"):
        optimize(square, 1.0, "adam", steps=1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mask": [True, False]}, "a mask that does not fit"),
        ({"mask": 3}, "a mask that does not fit"),
        ({"mask": False}, "lets no leaf move"),
        ({"constraint": projected(3)}, "a constraint that does not fit"),
        ({"population": True}, "a population whose leaves"),
    ],
)
def test_masks_constraints_and_populations_must_fit(options, says):
    with pytest.raises(InvalidInput, match=says):
        optimize(square, 1.0, optax.sgd(0.1), steps=1, **options)
