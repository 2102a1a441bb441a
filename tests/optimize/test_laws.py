"""What holds for every method of the table: true counts, one compilation, masks, populations, resumed runs."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.optimize import Checkpoint, compiled, initial, optimize
from tests.optimize.methods import METHODS

every_method = pytest.mark.parametrize("name", METHODS)
START = {"a": jnp.array([1.0, -0.5]), "b": jnp.array(0.5)}


def bowl(value):
    """Smooth and convex, not quadratic, with its minimum at a = (0.3, 0.3), b = 0.3."""
    away = jnp.concatenate([value["a"], value["b"][None]]) - 0.3
    return jnp.sum(jnp.array([1.0, 2.0, 0.5]) * away**2) + 0.1 * jnp.sum(away**4)


class Counted:
    """The bowl, telling how often it was evaluated and how often differentiated backward.

    Only values and gradients can be told apart so: a product with the Hessian goes through both.
    """

    def __init__(self):
        self.calls = collections.Counter()

        @jax.custom_vjp
        def watched(value):
            jax.debug.callback(
                self._tell("values"), value["b"]
            )  # an operand: once for every member of a vmap
            return bowl(value)

        def forward(value):
            jax.debug.callback(self._tell("gradients"), value["b"])
            return jax.vjp(bowl, value)

        watched.defvjp(forward, lambda back, g: back(g))
        self.cost = watched

    def _tell(self, what):
        return lambda _: self.calls.update([what])


@every_method
def test_it_goes_down(name):
    run = optimize(bowl, START, METHODS[name](), steps=60)
    assert run.stopped == "finished"
    assert bowl(run.value) < 0.05 * bowl(START)
    assert jax.tree.structure(run.value) == jax.tree.structure(START)


@every_method
def test_its_counts_are_those_of_a_cost_that_counts(name):
    watched = Counted()
    run = optimize(watched.cost, START, METHODS[name](), steps=5)
    jax.effects_barrier()
    if run.counts.products or run.counts.hessians:
        pytest.skip("second derivatives are counted in test_second_order.py")
    assert watched.calls["values"] == run.counts.values
    assert watched.calls["gradients"] == run.counts.gradients
    assert sum(run.counts) > 0


@every_method
def test_the_second_step_and_the_second_call_compile_nothing(name):
    traced = []

    def cost(value):
        traced.append(1)
        return bowl(value)

    method = METHODS[name]()
    optimize(cost, START, method, steps=1)
    once = len(traced)
    optimize(cost, jax.tree.map(lambda leaf: leaf + 1, START), method, steps=4)
    assert len(traced) == once


@pytest.mark.thorough
@every_method
def test_leaves_that_rest_are_left_alone_and_may_be_integers(name):
    start = {"a": jnp.array([1.0, -0.5]), "b": jnp.array(2.0), "n": jnp.array(3)}

    def cost(value):
        return bowl({"a": value["a"], "b": value["b"]}) * value["n"]

    run = optimize(cost, start, METHODS[name](), steps=3, mask={"a": True, "b": False, "n": False})
    assert run.value["b"] == 2.0 and run.value["n"] == 3 and run.value["n"].dtype == start["n"].dtype
    alone = optimize(lambda a: cost({**start, "a": a}), start["a"], METHODS[name](), steps=3)
    np.testing.assert_allclose(run.value["a"], alone.value, rtol=1e-5)  # float32, fused in another order


@pytest.mark.thorough
@every_method
def test_a_population_is_its_members_each_alone(name):
    starts = {"a": jnp.array([[1.0, -0.5], [0.0, 2.0], [5.0, 5.0]]), "b": jnp.array([0.5, -1.0, 4.0])}
    key = jax.random.key(5)
    together = optimize(lambda w, key: bowl(w), starts, METHODS[name](), steps=4, key=key, population=True)
    method = METHODS[name]()
    singles = [jax.tree.map(lambda leaf, i=i: leaf[i], starts) for i in range(3)]
    keys = jax.random.split(key, 3)
    alone = [
        optimize(lambda w, key: bowl(w), one, method, steps=4, key=k)
        for one, k in zip(singles, keys, strict=True)
    ]
    for i, run in enumerate(alone):
        # float32: batching reorders sums, and four steps magnify the last digits a little.
        np.testing.assert_allclose(together.population.values["a"][i], run.value["a"], rtol=2e-3, atol=1e-5)
    costs = [float(bowl(run.value)) for run in alone]
    assert together.population.best == int(np.argmin(costs))
    assert together.cost == pytest.approx(min(costs), rel=1e-2, abs=1e-6)
    assert together.history.shape == (4, 3)


@every_method
def test_a_killed_run_resumes_bit_for_bit(name, tmp_path):
    path = tmp_path / "run.safetensors"

    def killed(done, value, report):
        if done == 5:
            raise RuntimeError("killed")

    def cost(value, key):  # noisy: the keys must go on where they were
        return bowl(value) + 0.1 * value["b"] * jax.random.normal(key)

    asked = {"key": jax.random.key(3), "steps": 8}
    whole = optimize(cost, START, METHODS[name](), **asked)
    method = METHODS[name]()
    with pytest.raises(RuntimeError, match="killed"):
        optimize(cost, START, method, callback=killed, checkpoint=Checkpoint(path, every=2), **asked)
    resumed = optimize(cost, START, method, checkpoint=Checkpoint(path), **asked)
    for one, other in zip(jax.tree.leaves(whole.value), jax.tree.leaves(resumed.value), strict=True):
        assert (one == other).all()
    assert (whole.history == resumed.history).all() and whole.counts == resumed.counts
    assert whole.steps == resumed.steps == 8


@pytest.mark.thorough
@every_method
def test_a_step_is_pure_and_can_be_scanned(name):
    method = METHODS[name]()
    step = compiled(bowl, method)
    state, _ = jax.lax.scan(lambda state, _: step(state), initial(START, method), None, length=3)
    run = optimize(bowl, START, method, steps=3)
    np.testing.assert_allclose(
        state.value["a"], run.value["a"], rtol=1e-4, atol=1e-6
    )  # float32, fused otherwise
