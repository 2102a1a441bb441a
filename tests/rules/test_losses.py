"""Losses: the lecture's numbers, autodiff, differences, PyTorch, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog.errors import InvalidInput
from diffprog.rules.losses import contrastive as pairs
from diffprog.rules.losses.binary import binary_cross_entropy
from diffprog.rules.losses.cross_entropy import (
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)
from diffprog.rules.losses.errors import huber, squared_error
from diffprog.rules.losses.similarity import cosine_distance, cosine_similarity
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random


def test_the_lecture(x64):
    """x3 = 0.3130551647 and y = 0.5: L = 0.0174741857, dL/dx3 = -0.1869448353."""
    loss, slope = jax.value_and_grad(squared_error)(0.3130551647, 0.5)
    assert float(loss) == pytest.approx(0.0174741857, abs=1e-10)
    assert float(slope) == pytest.approx(-0.1869448353, abs=1e-10)


@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=3), axis=st.sampled_from([None, 0, -1]))
@settings(max_examples=4, deadline=None)
def test_regression_losses_equal_optax(shape, axis):
    with jax.enable_x64(True):
        y, t = random(0, shape), random(1, shape)
        assert_same_gradients(
            lambda y, t: squared_error(y, t, axis), lambda y, t: jnp.sum(optax.l2_loss(y, t), axis), y, t
        )
        assert_same_gradients(
            lambda y, t: huber(y, t, 0.7, axis),
            lambda y, t: jnp.sum(optax.huber_loss(y, t, delta=0.7), axis),
            y,
            t,
        )


@given(rows=st.lists(st.integers(1, 3), max_size=2), classes=st.integers(1, 5))
@settings(max_examples=3, deadline=None)
def test_classification_losses_equal_optax(rows, classes):
    with jax.enable_x64(True):
        x, t = 3 * random(0, (*rows, classes)), random(1, (*rows, classes))
        labels = jnp.argmax(t, -1)
        assert_same_gradients(
            lambda x: softmax_cross_entropy_with_integer_labels(x, labels),
            lambda x: optax.softmax_cross_entropy_with_integer_labels(x, labels),
            x,
        )
        assert_same_gradients(softmax_cross_entropy, optax.softmax_cross_entropy, x, t)
        assert_same_gradients(binary_cross_entropy, optax.sigmoid_binary_cross_entropy, x, t)


def test_cross_entropy_far_out():
    """No overflow; labels that do not exist are as in optax: from the end when negative, NaN beyond."""
    x = jnp.array([[1e30, 0.0, -1e30], [1e4, 1e4, 0.0]])
    labels = jnp.array([2, 0])
    np.testing.assert_allclose(
        softmax_cross_entropy_with_integer_labels(x, labels), [2e30, np.log(2)], rtol=1e-6
    )
    found = jax.grad(lambda x: softmax_cross_entropy_with_integer_labels(x, labels).sum())(x)
    np.testing.assert_allclose(found, [[1, 0, -1], [-0.5, 0.5, 0]])
    for odd in (jnp.array([-1, -2]), jnp.array([3, 99])):
        theirs = optax.softmax_cross_entropy_with_integer_labels(x, odd)
        # optax adds the small logarithm to the large maximum, and keeps three of its digits.
        np.testing.assert_allclose(softmax_cross_entropy_with_integer_labels(x, odd), theirs, rtol=1e-3)
    np.testing.assert_allclose(jax.grad(binary_cross_entropy)(1e30, 1.0), 0)


def test_equal_to_pytorch(x64):
    torch = pytest.importorskip("torch")
    x, labels = random(0, (5, 4)), np.array([0, 3, 1, 1, 2])
    there = torch.tensor(np.asarray(x), requires_grad=True)
    torch.nn.functional.cross_entropy(there, torch.tensor(labels)).backward()

    def loss(x):
        return softmax_cross_entropy_with_integer_labels(x, jnp.asarray(labels)).mean()

    np.testing.assert_allclose(jax.grad(loss)(x), there.grad, atol=1e-15)


def test_cosine(x64):
    a, b = random(0, (3, 4)), random(1, (4,))
    assert_same_gradients(cosine_similarity, optax.cosine_similarity, a, jnp.broadcast_to(b, a.shape))
    assert_matches_differences(cosine_distance, a, b)
    g_a = jax.grad(lambda a: cosine_similarity(a, b).sum())(a)
    np.testing.assert_allclose(jnp.sum(g_a * a, -1), 0, atol=1e-15)  # a longer a is no more similar
    zero = jax.grad(lambda a: cosine_similarity(a, b, epsilon=0.5))(jnp.zeros(4))
    np.testing.assert_allclose(zero, 2 * b / jnp.linalg.norm(b))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["info_nce", "sigmoid_contrastive"])
@pytest.mark.parametrize("shape", [(1, 3), (5, 2)])
def test_contrastive_losses(x64, name, shape):
    scalars = [jnp.asarray(1.3), jnp.asarray(-0.4)][: 1 if name == "info_nce" else 2]
    rule, plain = {
        "info_nce": (pairs.info_nce, pairs._plain_info_nce),
        "sigmoid_contrastive": (pairs.sigmoid_contrastive, pairs._plain_sigmoid),
    }[name]
    a, b = random(0, shape), random(1, shape)
    assert_same_gradients(rule, plain, a, b, *scalars)
    assert_matches_differences(rule, a, b, *scalars)


def test_contrastive_scales_that_clip_reaches():
    """At scale 100 scores are far apart; every row keeps its own maximum, so nothing underflows to a NaN."""
    a = jnp.eye(4)
    for loss in (pairs.info_nce, pairs.sigmoid_contrastive):
        value, gradients = jax.value_and_grad(loss, (0, 1, 2))(a, -a, 100.0)
        assert np.isfinite(value) and all(np.all(np.isfinite(g)) for g in gradients)
    assert float(pairs.info_nce(a, a, 100.0)) == pytest.approx(0, abs=1e-6)


V = jnp.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: squared_error(V, V[0]), "equal shapes"),
        (lambda: squared_error(V, V.astype(jnp.bfloat16)), "one dtype"),
        (lambda: squared_error(V.astype(int), V), "floating-point"),
        (lambda: squared_error(V, V, axis=2), "distinct axes from"),
        (lambda: huber(V, V, delta=0.0), "positive"),
        (lambda: huber(V, V, delta=float("nan")), "positive"),
        (lambda: binary_cross_entropy(V, V[:1]), "equal shapes"),
        (lambda: softmax_cross_entropy(V, V[0]), "labels of shape"),
        (lambda: softmax_cross_entropy(V[:, :0], V[:, :0]), "at least one class"),
        (lambda: softmax_cross_entropy_with_integer_labels(V, V[:, 0]), "integers"),
        (lambda: softmax_cross_entropy_with_integer_labels(V, jnp.zeros(3, int)), "labels of shape"),
        (lambda: cosine_similarity(V, jnp.ones(4)), "broadcast"),
        (lambda: cosine_similarity(V, V, axis=2), "axes from -2 to 1"),
        (lambda: cosine_similarity(V, V, epsilon=-1.0), "1e-18"),
        (lambda: pairs.info_nce(V, V[:1]), "equal shape"),
        (lambda: pairs.info_nce(V[:0], V[:0]), "not empty"),
        (lambda: pairs.info_nce(V, V, jnp.ones(2)), "a scalar"),
        (lambda: pairs.sigmoid_contrastive(V, V, 1.0, jnp.ones(2)), "a scalar"),
    ],
)
def test_refuses(call, said):
    with pytest.raises(InvalidInput, match=said):
        call()
