"""The loop: closed forms, keys, stages, and what happens when a run goes wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diffprog.errors import InvalidInput
from diffprog.optimize import Stage, compiled, optimize


def test_gradient_descent_shrinks_every_error_by_its_own_factor(x64):
    eigenvalues, rate = jnp.array([0.1, 1.0, 1.9]), 0.7
    start = jnp.array([1.0, -2.0, 3.0])
    run = optimize(lambda w: 0.5 * jnp.sum(eigenvalues * w**2), start, optax.sgd(rate), steps=20)
    expected = start * (1 - rate * eigenvalues) ** 20
    np.testing.assert_allclose(run.value, expected, rtol=1e-13)  # 20 float64 products
    assert run.stopped == "finished" and run.steps == 20 and run.history.shape == (20,)


def test_any_pytree_and_records():
    start = {"a": jnp.ones(3), "b": [jnp.zeros(())]}

    def cost(tree):
        return jnp.sum(tree["a"] ** 2) + (tree["b"][0] - 1) ** 2, {"b": tree["b"][0]}

    run = optimize(cost, start, optax.adam(0.1), steps=5)
    assert jax.tree.structure(run.value) == jax.tree.structure(start)
    assert run.records["b"].shape == (5,) and run.records["b"][0] == 0


def test_every_step_has_its_own_key_and_runs_repeat_bit_for_bit():
    def cost(w, key):
        noise = jax.random.normal(key)
        return (w - noise) ** 2, noise

    first, second = (
        optimize(cost, jnp.zeros(()), optax.sgd(0.1), steps=6, key=jax.random.key(4)) for _ in range(2)
    )
    assert len(set(first.records.tolist())) == 6
    assert first.value == second.value and (first.history == second.history).all()


def test_the_last_good_value_is_kept_when_the_cost_is_not_finite():
    def cost(w):  # the square root's gradient is finite down to w = 0, and the cost is nan below
        return jnp.sqrt(w)

    run = optimize(cost, jnp.array(1.0), optax.sgd(0.8), steps=50)
    assert run.stopped == "not finite"
    assert run.steps < 50 and len(run.history) == run.steps
    assert np.isfinite(run.history).all() and jnp.isfinite(run.value)


def test_interruption_returns_what_there_is():
    def interrupting(total):
        class Progress:
            def __enter__(self):
                return self.told

            def __exit__(self, *error):
                return False

            def told(self, done, report):
                if done == 4:
                    raise KeyboardInterrupt

        return Progress()

    run = optimize(lambda w: w**2, jnp.array(1.0), optax.sgd(0.1), steps=100, progress=interrupting)
    assert run.stopped == "interrupted" and run.steps == 4
    assert run.value == pytest.approx(0.8**4, rel=1e-6)  # float32


def test_stages_change_the_cost_and_keep_the_state():
    method = optax.sgd(0.5)
    stages = [Stage(compiled(lambda w: w**2, method), 1), Stage(compiled(lambda w: -w, method), 2)]
    run = optimize(stages, jnp.array(4.0), method)
    assert run.value == 1.0 and run.history.tolist() == [16.0, 0.0, -0.5]


def test_arguments_are_passed_on():
    run = optimize(lambda w, t: (w - t) ** 2, jnp.array(0.0), optax.sgd(0.5), steps=1, args=(jnp.array(3.0),))
    assert run.value == 3.0


@pytest.mark.parametrize("steps", [-1, 2.5, True, None])
def test_a_number_of_steps_that_is_none_is_refused(steps):
    with pytest.raises(InvalidInput, match="steps"):
        optimize(lambda w: w**2, jnp.array(1.0), optax.sgd(0.1), steps=steps)


def test_integers_cannot_be_optimized():
    with pytest.raises(InvalidInput, match=r"start\['n'\] of type int"):
        optimize(lambda tree: tree["n"] ** 2.0, {"n": jnp.array(3)}, optax.sgd(0.1), steps=1)


def test_a_cost_that_is_not_a_scalar_is_refused():
    with pytest.raises(InvalidInput, match=r"shape \(2,\)"):
        optimize(lambda w: w**2, jnp.ones(2), optax.sgd(0.1), steps=1)
