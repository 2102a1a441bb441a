"""The wiring of graphs: what parts, meets, joins and repeats, forward and backward."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.rules.structure.branch import branch, shared
from diffprog.rules.structure.join import concatenate, merge
from diffprog.rules.structure.shapes import broadcast, reshape
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random


def test_a_branch_sums_the_gradients_of_all_its_ways(x64):
    x = random(0, (3, 2))
    pulls = [random(1 + k, (3, 2)) for k in range(3)]
    _, pull = jax.vjp(lambda x: branch(x, 3), x)
    np.testing.assert_allclose(pull(tuple(pulls))[0], sum(pulls), rtol=1e-15)


def test_a_branch_of_a_tree_copies_integers_without_a_gradient():
    tree = {"W": jnp.ones(2), "step": jnp.int32(3)}
    left, right = branch(tree)
    assert left["step"] == right["step"] == 3
    g = jax.grad(lambda W: sum(part["W"].sum() for part in branch({"W": W, "step": jnp.int32(3)})))(tree["W"])
    np.testing.assert_array_equal(g, [2.0, 2.0])


def test_an_unused_way_gives_no_gradient():
    assert jax.grad(lambda x: branch(x)[0] * 3.0)(2.0) == 3.0


def test_sharing_a_parameter_sums_the_gradients_of_its_uses(x64):
    W, x, y = random(4, (3, 2)), random(5, (4, 3)), random(6, (4, 3))
    layer = lambda W, x: jnp.tanh(x @ W)  # noqa: E731
    g_out = random(7, (4, 2))
    apart = sum(jax.vjp(layer, W, value)[1](g_out)[0] for value in (x, y))
    _, pull = jax.vjp(lambda W: sum(shared(layer, W, x, y)), W)
    np.testing.assert_allclose(pull(g_out)[0], apart, rtol=1e-13)


def test_a_residual_block_of_branch_and_merge(x64):
    def block(W, x):
        skip, through = branch(x)
        return merge(skip, jnp.tanh(through @ W))

    assert_same_gradients(block, lambda W, x: x + jnp.tanh(x @ W), random(8, (3, 3)), random(9, (2, 3)))
    assert_matches_differences(block, random(8, (3, 3)), random(9, (2, 3)))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concatenate_cuts_the_gradient_where_it_joined(x64, axis):
    parts = [random(k, (2, 3)) for k in range(3)]
    assert_same_gradients(lambda *xs: concatenate(xs, axis), lambda *xs: jnp.concatenate(xs, axis), *parts)


def test_reshape_and_broadcast_equal_numpy(x64):
    assert_same_gradients(lambda x: reshape(x, (-1, 2)), lambda x: jnp.reshape(x, (-1, 2)), random(1, (4, 3)))
    for before, after in (
        ((3,), (2, 4, 3)),
        ((2, 1, 3), (2, 5, 3)),
        ((), (2, 2)),
        ((1, 1), (1, 1)),
        ((2,), (0, 2)),
    ):
        assert_same_gradients(
            lambda x, s=after: broadcast(x, s), lambda x, s=after: jnp.broadcast_to(x, s), random(2, before)
        )


def test_every_transformation_passes(x64):
    def program(x):
        left, right = branch(reshape(x, (3, 2)))
        return (merge(concatenate([left, right], 1), broadcast(x[:1, None], (3, 4))) ** 3).sum()

    def plain(x):
        y = x.reshape(3, 2)
        return ((jnp.concatenate([y, y], 1) + x[0]) ** 3).sum()

    x = random(3, (6,))
    for transformed in (jax.grad, jax.jacfwd, jax.hessian, lambda f: jax.vmap(jax.grad(f), in_axes=0)):
        at = x if transformed in (jax.grad, jax.jacfwd, jax.hessian) else jnp.stack([x, 2 * x])
        np.testing.assert_allclose(
            jax.jit(transformed(program))(at), jax.jit(transformed(plain))(at), rtol=1e-11
        )


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: branch(1.0, 0), "0 ways"),
        (lambda: merge(), "branches of nothing"),
        (lambda: merge(jnp.zeros(2), jnp.zeros(3)), r"\(2,\) float32 and \(3,\) float32"),
        (lambda: merge(jnp.zeros(2), jnp.zeros(2, jnp.bfloat16)), "bfloat16"),
        (lambda: concatenate([]), "arrays of nothing"),
        (lambda: concatenate([jnp.zeros((2, 3)), jnp.zeros((3, 3))], 1), "axis 1"),
        (lambda: concatenate([jnp.zeros(2)], 1), "axis 1"),
        (lambda: reshape(jnp.zeros(6), (4, -1)), "for 6 numbers"),
        (lambda: reshape(jnp.zeros(6), (-2, -3)), "for 6 numbers"),
        (lambda: broadcast(jnp.zeros((2, 3)), (3,)), r"shape \(3,\)"),
        (lambda: broadcast(jnp.zeros(2), (2, 3)), r"shape \(2, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(call, says):
    with pytest.raises(InvalidInput, match=says):
        call()
