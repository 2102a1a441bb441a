"""Piecewise functions: values and gradients on both sides of every kink and at it, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog import rules
from diffprog.errors import InvalidInput
from diffprog.rules.pointwise.piecewise import absolute, clip, hard_swish
from diffprog.rules.pointwise.rectifiers import leaky_relu
from tests.rules.oracle import assert_same_gradients


@pytest.mark.parametrize("name", ["relu", "relu6"])
def test_equal_to_jax_on_and_around_the_kinks(x64, name):
    x = jnp.array([-2.0, -1e-9, 0.0, 1e-9, 3.0, 6.0 - 1e-9, 6.0, 6.0 + 1e-9, 8.0])
    assert_same_gradients(getattr(rules, name), getattr(jax.nn, name), x)


@pytest.mark.parametrize(
    ("rule", "plain"),
    [(leaky_relu, jax.nn.leaky_relu), (hard_swish, jax.nn.hard_swish)],
    ids=["leaky", "swish"],
)
def test_these_keep_the_conventions_of_jax_at_their_kinks(x64, rule, plain):
    x = jnp.array([-8.0, -3.0 - 1e-9, -3.0, -3.0 + 1e-9, -1.0, 0.0, 1.0, 3.0, 5.0])
    assert_same_gradients(rule, plain, x)


def slopes(rule, *points):
    return [float(jax.grad(rule)(x)) for x in points]


def test_conventions_that_are_our_own():
    assert slopes(absolute, -2.0, -0.0, 0.0, 2.0) == [-1, 0, 0, 1]
    assert slopes(lambda x: clip(x, -1.0, 2.0), -1.5, -1.0, 0.0, 2.0, 2.5) == [0, 1, 1, 1, 0]
    assert slopes(lambda x: clip(x, high=0.0), -9.0, 0.0, 1.0) == [1, 1, 0]


def test_the_second_derivative_of_hard_swish_is_a_third_between_the_kinks():
    assert slopes(jax.grad(hard_swish), -4.0, -1.0, 2.0, 4.0) == pytest.approx([0, 1 / 3, 1 / 3, 0])


@pytest.mark.parametrize("rule", [leaky_relu, hard_swish, absolute, clip])
def test_nan_and_infinity_pass(rule):
    x = jnp.array([jnp.nan, jnp.inf])
    value = np.asarray(rule(x))
    assert np.isnan(value[0]) and value[1] == np.inf
    g_in = jax.vjp(rule, jnp.ones(2))[1](x)[0]
    np.testing.assert_array_equal(g_in, x)


def test_masks_are_bytes():
    """What is saved for a piecewise slope is one byte an element, not a second array."""
    x = jnp.ones((64, 64))
    for rule in (leaky_relu, absolute, clip):
        saved = [leaf for leaf in jax.tree.leaves(jax.vjp(rule, x)[1]) if leaf.shape == x.shape]
        assert [leaf.dtype.itemsize for leaf in saved] == [1]


@pytest.mark.parametrize(
    ("rule", "plain"),
    [
        (leaky_relu, jax.nn.leaky_relu),
        (hard_swish, jax.nn.hard_swish),
        (absolute, jnp.abs),
        (lambda x: clip(x, -1, 2), lambda x: jnp.clip(x, -1, 2)),
    ],
)
def test_integers_are_left_to_the_plain_operation(rule, plain):
    x = jnp.arange(-4, 5)
    found, expected = rule(x), plain(x)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_refuses_settings_that_make_no_sense():
    with pytest.raises(InvalidInput, match="low <= high"):
        clip(jnp.ones(2), 1.0, 0.0)
    with pytest.raises(InvalidInput, match="low <= high"):
        clip(jnp.ones(2), float("nan"), 0.0)
    with pytest.raises(InvalidInput, match="Python number"):
        leaky_relu(jnp.ones(2), jnp.ones(2))
