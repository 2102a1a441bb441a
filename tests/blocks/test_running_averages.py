"""Batch normalization in its two modes, alone and anywhere inside a program, with Flax's numbers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diffprog import blocks, rules
from diffprog.errors import InvalidInput
from diffprog.optimize import train

X = 3 * jax.random.normal(jax.random.key(0), (16, 4)) + 2


def norm() -> blocks.Block:
    return blocks.batch_norm(momentum=0.8)


def averages(tree):
    """All running means, by path."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        k: v for p, v in leaves if "averages" in (k := jax.tree_util.keystr(p, simple=True, separator="/"))
    }


def test_both_modes_are_flax_s() -> None:
    ours = norm()
    params = ours.init(jax.random.key(0), X)
    theirs = nn.BatchNorm(momentum=0.8)
    state = theirs.init(jax.random.key(0), X, use_running_average=False)
    for step in range(3):
        y, params = ours.training(params, X + step)
        expected, moved = theirs.apply(state, X + step, use_running_average=False, mutable=["batch_stats"])
        state = {**state, **moved}
        np.testing.assert_allclose(y, expected, atol=2e-6)  # float32, two ways to sum
    for name in ("mean", "var"):
        np.testing.assert_allclose(params["averages"][name], state["batch_stats"][name], rtol=1e-6)
    expected = theirs.apply(state, X[:1], use_running_average=True)
    np.testing.assert_allclose(ours.apply(params, X[:1]), expected, atol=2e-6)


def test_evaluation_sees_one_at_a_time() -> None:
    _, params = norm().training(norm().init(jax.random.key(0), X), X)
    together = norm().apply(params, X)
    np.testing.assert_array_equal(norm().apply(params, X[3:4])[0], together[3])
    plain = blocks.batch_norm()
    assert plain.learn is None and "averages" not in plain.init(jax.random.key(0), X)


TWICE = blocks.shared("norm", norm())


@pytest.mark.parametrize(
    "block",
    [
        blocks.chain(blocks.linear(4), norm(), blocks.relu, norm()),
        blocks.chain(blocks.branch(norm(), blocks.chain(blocks.linear(4), norm())), blocks.add),
        blocks.chain(blocks.residual(blocks.chain(blocks.linear(4), norm())), blocks.tanh),
        blocks.chain(blocks.residual(norm()), norm()),
        blocks.chain(TWICE, blocks.tanh, TWICE),
        blocks.chain(blocks.residual(blocks.chain(blocks.linear(4), TWICE)), TWICE),
        blocks.chain(blocks.branch(blocks.identity, norm()), blocks.parallel(norm(), TWICE), blocks.multiply),
        blocks.shared("outer", blocks.chain(blocks.linear(4), TWICE)),
    ],
)
def test_averages_move_wherever_they_are_and_nothing_else_does(block) -> None:
    params = block.init(jax.random.key(0), X)
    before = jax.tree.map(jnp.array, params)
    y, moved = jax.jit(block.training)(params, X)
    assert jax.tree.structure(moved) == jax.tree.structure(params)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, params, before))
    was, now = averages(params), averages(moved)
    assert now and all(not jnp.array_equal(was[path], now[path]) for path in was)
    rest = blocks.with_averages(moved, params)  # the old averages back: then nothing has changed
    assert jax.tree.all(jax.tree.map(jnp.array_equal, rest, params))
    # once the averages are those of this batch, both modes make the same
    for _ in range(80):
        y, moved = block.training(moved, X)
    if "shared" not in params:  # of two uses the averages are those of both batches
        np.testing.assert_allclose(block.apply(moved, X), y, atol=1e-4)


def test_a_shared_average_is_moved_by_every_use() -> None:
    block = blocks.chain(TWICE, blocks.function(lambda x: x + 5.0), TWICE)
    _, moved = block.training(block.init(jax.random.key(0), X), X)
    mean = moved["shared"]["norm"]["averages"]["mean"]
    np.testing.assert_allclose(mean, 0.8 * (0.2 * X.mean(0)) + 0.2 * 5.0, rtol=1e-5)


def test_frozen_averages_stay() -> None:
    still = blocks.frozen(norm())
    params = still.init(jax.random.key(0), X)
    y, moved = still.training(params, X)
    assert averages(moved)["averages/mean"] is params["averages"]["mean"]
    np.testing.assert_array_equal(y, still.apply(params, X))


def test_averages_have_no_gradient_and_weight_decay_leaves_them() -> None:
    block = blocks.chain(blocks.linear(3), norm(), blocks.linear(1))
    params = block.init(jax.random.key(0), X)

    def cost(params, batch):
        y, moved = block.training(params, batch)
        return jnp.mean(rules.square(y - 1)), moved

    gradient = jax.grad(lambda p: cost(p, X)[0])(params)
    assert all((leaf == 0).all() for leaf in averages(gradient).values())
    method = optax.adamw(0.05, weight_decay=0.5)
    run = train(
        cost, params, method, X, batch=16, epochs=60, key=jax.random.key(0), settle=blocks.with_averages
    )
    _, fresh = block.training(run.value, X)
    assert run.history[-1] < 0.2 * run.history[0]
    found, batch = averages(run.value)["batch_norm/averages/var"], averages(fresh)["batch_norm/averages/var"]
    np.testing.assert_allclose(found, batch, rtol=0.1)  # of the last few steps, whose kernels still move
    without = train(cost, params, method, X, batch=16, epochs=60, key=jax.random.key(0)).value
    assert (averages(without)["batch_norm/averages/var"] < 0.3).all()  # decayed from 1, and of no batch


@pytest.mark.parametrize("momentum", [-0.1, 1.0, float("nan")])
def test_a_momentum_that_cannot_be_is_refused(momentum) -> None:
    with pytest.raises(InvalidInput, match="momentum"):
        blocks.batch_norm(momentum=momentum)
