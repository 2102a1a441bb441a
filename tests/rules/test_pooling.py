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


@pytest.mark.thorough
@given(
    height=st.integers(2, 10),
    width=st.integers(2, 10),
    window=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from(["SAME", "VALID", ((1, 1), (0, 1))]),
    levels=st.sampled_from([2, 1000]),
)
@settings(max_examples=8, deadline=None)
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


@pytest.mark.parametrize(
    "window", [[1, np.nan, 0, 0], [np.nan, 1, 2, 0], [0, 1, 2, np.nan], [3, np.nan, 1, 2], [-np.inf] * 4]
)
def test_nan_and_infinity_are_won_by_whom_xla_lets_win(window):
    x = jnp.asarray(window, jnp.float32).reshape(1, 4, 1)
    (value, pull), (expected, plain) = (
        jax.vjp(lambda x, pool=pool: pool(x, (3,), (1,), ((1, 1),)), x)
        for pool in (rules.max_pool, linen.max_pool)
    )
    np.testing.assert_array_equal(value, expected)
    g_out = jnp.arange(1.0, 5.0).reshape(1, 4, 1)
    np.testing.assert_array_equal(pull(g_out)[0], plain(g_out)[0])


def test_the_first_of_a_tie_keeps_it_at_every_order():
    x = jnp.ones((1, 3, 1))
    hessian = jax.hessian(lambda x: (rules.max_pool(x, (3,)) ** 2).sum())(x).reshape(3, 3)
    np.testing.assert_array_equal(hessian, np.diag([2.0, 0.0, 0.0]))


@pytest.mark.parametrize("shape", [(6, 5, 2), (2, 3, 6, 5, 2), (0, 6, 5, 2)])
def test_any_number_of_batch_dimensions_as_flax(x64, shape):
    assert_same_gradients(
        lambda x: rules.max_pool(x, (2, 3), (2, 1), "SAME"),
        lambda x: linen.max_pool(x.reshape(-1, 6, 5, 2), (2, 3), (2, 1), "SAME").reshape(
            *shape[:-3], 3, 5, 2
        ),
        random(4, shape),
    )


@pytest.mark.parametrize("window", [(5, 6), (9, 2), (8, 7), (1, 101)])
def test_large_windows_axis_by_axis_keep_ties_row_major(x64, window):
    x = jnp.asarray(
        np.random.default_rng(1).integers(0, 3, (2, 9, 101 if window[1] > 9 else 8, 2)), jnp.float64
    )
    padding = "VALID" if window[1] > 9 else "SAME"
    assert_same_gradients(
        lambda x: rules.max_pool(x, window, (1, 2), padding),
        lambda x: linen.max_pool(x, window, (1, 2), padding),
        x,
    )


def test_dilated_windows_are_the_plain_operation():
    x = jnp.arange(5.0).reshape(1, 5, 1)
    np.testing.assert_array_equal(rules.max_pool(x, (2,), window_dilation=(3,)).ravel(), [3.0, 4.0])


def test_forward_mode_takes_the_winners_change(x64):
    x, x_dot = random(5, (1, 7, 6, 2)), random(6, (1, 7, 6, 2))
    found, expected = (
        jax.jvp(lambda x, pool=pool: pool(x, (3, 3), (2, 2)), (x,), (x_dot,))[1]
        for pool in (rules.max_pool, linen.max_pool)
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("x", "arguments", "says"),
    [
        (jnp.zeros((1, 2, 2, 1)), ((3, 3), (2, 2)), r"3 taps.*over 2 pixels"),
        (jnp.zeros((1, 0, 2, 1)), ((1, 1),), r"over 0 pixels"),
        (jnp.zeros((1, 4, 4, 1)), ((2, 2), (0, 1)), r"stride 0"),
        (jnp.zeros((1, 4, 4, 1)), ((0, 2),), r"0 taps"),
        (jnp.zeros((4, 4)), ((2, 2),), r"over an array of shape \(4, 4\)"),
        (jnp.zeros((1, 4, 4, 1)), ((2, 2), (1,)), r"strides \(1,\)"),
        (jnp.zeros((1, 4, 4, 1)), ((2, 2), (1, 1), "FULL"), r"padding 'FULL'"),
        (jnp.zeros((1, 4, 4, 1)), ((2, 2), (1, 1), ((1, 1),)), r"padding"),
        (jnp.zeros((1, 4, 4, 1)), ((2, 2), (1, 1), "SAME", (1,)), r"window_dilation"),
    ],
)
def test_what_does_not_fit_is_refused(x, arguments, says):
    with pytest.raises(InvalidInput, match=says):
        rules.max_pool(x, *arguments)


def test_integers_have_a_maximum_too():
    x = jnp.arange(-8, 8).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(rules.max_pool(x, (3, 3), (2, 2), "SAME").ravel(), [2, 3, 6, 7])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_values_and_gradients_keep_the_dtype(dtype):
    x = jnp.arange(16, dtype=dtype).reshape(1, 4, 4, 1)
    value, pull = jax.vjp(lambda x: rules.max_pool(x, (3, 3), (1, 1), "SAME"), x)
    assert value.dtype == pull(value)[0].dtype == dtype


@pytest.mark.parametrize("pool", [rules.max_pool, rules.avg_pool])
def test_a_lone_window_smaller_than_its_stride_stays_alone(pool):
    x = jnp.arange(24.0).reshape(2, 2, 2, 3)
    value, pull = jax.vjp(lambda x: pool(x, (1, 1), (1, 2), "SAME"), x)
    np.testing.assert_array_equal(value, x[:, :, :1])
    np.testing.assert_array_equal(pull(value)[0][:, :, 1], 0)
