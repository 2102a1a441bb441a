"""Max-pooling against XLA's reduce_window: values, gradients and ties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog import rules
from diffprog.errors import InvalidInput
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random


@given(
    height=st.integers(2, 10),
    width=st.integers(2, 10),
    window=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from(["SAME", "VALID", ((1, 1), (0, 1))]),
    levels=st.sampled_from([2, 1000]),
)
@settings(max_examples=30, deadline=None)
def test_gradients_and_ties_equal_autodiff(height, width, window, strides, padding, levels):
    room = 1 if isinstance(padding, tuple) else 0
    if padding != "SAME" and (height + 2 * room < window[0] or width + room < window[1]):
        return
    with jax.enable_x64(True):
        numbers = np.random.default_rng(0).integers(
            0, levels, (2, height, width, 3)
        )  # 2 levels: ties everywhere
        x = jnp.asarray(numbers, jnp.float64)
        assert_same_gradients(
            lambda x: rules.max_pool(x, window, strides, padding),
            lambda x: linen.max_pool(x, window, strides, padding),
            x,
        )


def test_gradients_equal_differences(x64):
    assert_matches_differences(lambda x: rules.max_pool(x, (3, 3), (2, 2)), random(3, (2, 9, 8, 3)))


def test_one_byte_a_window_is_saved():
    x = jnp.zeros((1, 8, 8, 4))
    _, pull = jax.vjp(lambda x: rules.max_pool(x, (2, 2), (2, 2)), x)
    saved = [leaf for leaf in jax.tree.leaves(pull) if hasattr(leaf, "nbytes")]
    assert sum(leaf.nbytes for leaf in saved) == 4 * 4 * 4


def test_nan_passes_through():
    x = jnp.zeros((1, 4, 4, 1)).at[0, 1, 1, 0].set(jnp.nan)
    assert jnp.isnan(rules.max_pool(x, (2, 2), (2, 2))).sum() == 1


def test_a_window_that_does_not_fit_is_refused():
    with pytest.raises(InvalidInput, match=r"3 taps.*over 2 pixels"):
        rules.max_pool(jnp.zeros((1, 2, 2, 1)), (3, 3), (2, 2))
