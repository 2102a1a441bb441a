"""Softmax, log-softmax and log-sum-exp against autodiff, at extremes, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog.errors import InvalidInput
from diffprog.rules.attention.softmax import log_softmax, logsumexp, softmax
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random

PAIRS = {
    "softmax": (softmax, jax.nn.softmax),
    "log_softmax": (log_softmax, jax.nn.log_softmax),
    "logsumexp": (logsumexp, jax.nn.logsumexp),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", PAIRS)
@given(shape=st.tuples(*[st.integers(1, 4)] * 3), axis=st.sampled_from([0, -1, (0, 2), (1,)]))
@settings(max_examples=3, deadline=None)
def test_gradients_equal_autodiff(name, shape, axis):
    with jax.enable_x64(True):
        rule, plain = PAIRS[name]
        x = 3 * random(0, shape)
        assert_same_gradients(lambda x: rule(x, axis), lambda x: plain(x, axis), x)
        assert_matches_differences(lambda x: rule(x, axis), x)


@pytest.mark.parametrize("name", PAIRS)
def test_values_are_bit_for_bit_those_of_jax_with_a_derivative_and_without(name):
    rule, plain = PAIRS[name]
    x = 5 * jax.random.normal(jax.random.key(0), (7, 33))
    for dtype in (jnp.float32, jnp.bfloat16):
        np.testing.assert_array_equal(rule(x.astype(dtype), axis=-1), plain(x.astype(dtype), axis=-1))
        np.testing.assert_array_equal(jax.vjp(lambda x: rule(x, axis=-1), x)[0], plain(x, axis=-1))


def test_the_gradient_of_softmax_sums_to_nothing(x64):
    x = random(0, (3, 5))
    np.testing.assert_allclose(jax.vjp(softmax, x)[1](random(1, x.shape))[0].sum(-1), 0, atol=1e-15)


def test_no_overflow_and_no_nan_where_nothing_counts():
    x = jnp.array([1e30, 1e30, -1e30])
    np.testing.assert_allclose(jax.grad(logsumexp)(x), [0.5, 0.5, 0])
    hidden = jnp.full(3, -jnp.inf)
    assert logsumexp(hidden) == -jnp.inf
    np.testing.assert_array_equal(jax.grad(logsumexp)(hidden), 0)
    half = jnp.array([0.0, -jnp.inf])
    np.testing.assert_array_equal(jax.vjp(softmax, half)[1](jnp.ones(2))[0], 0)


@pytest.mark.parametrize("name", PAIRS)
def test_refuses(name):
    rule = PAIRS[name][0]
    for bad, axis, said in (
        (jnp.ones((2, 3)), 2, "distinct axes from -2 to 1"),
        (jnp.ones((2, 3)), (0, -2), "distinct axes from -2 to 1"),
        (jnp.ones((2, 3)), 0.5, "whole numbers"),
    ):
        with pytest.raises(InvalidInput, match=said):
            rule(bad, axis=axis)


@pytest.mark.parametrize("name", PAIRS)
def test_accepts_what_jax_accepts(name):
    rule, plain = PAIRS[name][:2]
    for x, axis in ((jnp.zeros((2, 0)), -1), (jnp.arange(6).reshape(2, 3), np.int64(1))):
        # As floating-point numbers: JAX's own log softmax warns about integers.
        np.testing.assert_array_equal(rule(x, axis=axis), plain(x.astype(float), axis=int(axis)))
