"""Average and sum pooling against Flax and PyTorch: values, gradients, counts at the border."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog.errors import InvalidInput
from diffprog.rules.pooling.average import avg_pool, global_avg_pool
from diffprog.rules.pooling.sums import sum_pool
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random


@pytest.mark.thorough
@given(
    height=st.integers(4, 9),
    width=st.integers(4, 9),
    window=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from(["SAME", "VALID", ((1, 1), (0, 1))]),
    counted=st.booleans(),
)
@settings(max_examples=6, deadline=None)
def test_gradients_equal_autodiff(height, width, window, strides, padding, counted):
    if padding == "VALID" and width < window[1]:
        return
    with jax.enable_x64(True):
        assert_same_gradients(
            lambda x: avg_pool(x, window, strides, padding, counted),
            lambda x: linen.avg_pool(x, window, strides, padding, counted),
            random(0, (2, height, width, 3)),
        )


@pytest.mark.parametrize("counted", [True, False])
def test_equal_to_pytorch(counted):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((2, 7, 6, 3)).astype(np.float32)
    theirs = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    out = torch.nn.functional.avg_pool2d(theirs, 3, 2, padding=1, count_include_pad=counted)
    (out**2).sum().backward()
    pool = lambda x: avg_pool(x, (3, 3), (2, 2), 1, counted)  # noqa: E731
    # float32 sums of nine numbers of size 1, in another order
    np.testing.assert_allclose(pool(x), out.detach().numpy().transpose(0, 2, 3, 1), atol=1e-6)
    g_in = jax.grad(lambda x: (pool(x) ** 2).sum())(jnp.asarray(x))
    np.testing.assert_allclose(g_in, theirs.grad.numpy().transpose(0, 2, 3, 1), atol=1e-6)


def test_gradients_equal_differences(x64):
    assert_matches_differences(lambda x: avg_pool(x, (3, 2), (2, 1), "SAME", False), random(3, (2, 5, 6, 3)))
    assert_matches_differences(global_avg_pool, random(4, (2, 5, 6, 3)))


def test_small_windows_equal_flax_bit_for_bit():
    x = jax.random.normal(jax.random.key(0), (1, 9, 9, 4))
    for dtype in (jnp.float32, jnp.bfloat16):
        found, expected = (
            jax.jit(lambda x, p=p: p(x, (3, 3), (2, 2)))(x.astype(dtype)) for p in (avg_pool, linen.avg_pool)
        )
        np.testing.assert_array_equal(found, expected)


def test_a_window_over_everything_is_the_global_average(x64):
    x = random(5, (2, 12, 13, 3))
    np.testing.assert_allclose(avg_pool(x, (12, 13))[:, 0, 0], global_avg_pool(x), rtol=1e-13)  # 156 terms


def test_sums_of_a_window_of_more_taps_than_a_program_should_hold(x64):
    assert_same_gradients(
        lambda x: sum_pool(x, (120,), (3,)),
        lambda x: linen.avg_pool(x, (120,), (3,)) * 120,
        random(6, (1, 130, 2)),
    )


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
@pytest.mark.parametrize("pool", [global_avg_pool, lambda x: avg_pool(x, (2, 2), (1, 1), "SAME", False)])
def test_values_and_gradients_keep_the_dtype(pool, dtype):
    value, pull = jax.vjp(pool, jnp.ones((1, 3, 3, 2), dtype))
    assert value.dtype == pull(value)[0].dtype == dtype
    np.testing.assert_array_equal(value, np.ones_like(value))


def test_nothing_is_saved():
    _, pull = jax.vjp(lambda x: avg_pool(x, (3, 3), (2, 2)), jnp.zeros((1, 9, 9, 4)))
    assert not [leaf for leaf in jax.tree.leaves(pull) if getattr(leaf, "size", 0) > 1]


def test_nan_reaches_the_windows_that_read_it():
    x = jnp.zeros((1, 5, 1)).at[0, 2, 0].set(jnp.nan)
    np.testing.assert_array_equal(jnp.isnan(avg_pool(x, (2,)))[0, :, 0], [False, True, True, False])


@pytest.mark.parametrize("pool", [avg_pool, sum_pool])
def test_what_does_not_fit_is_refused(pool):
    with pytest.raises(InvalidInput, match=r"5 taps.*over 4 pixels"):
        pool(jnp.zeros((1, 4, 4, 1)), (5, 5))


@pytest.mark.parametrize("pool", [avg_pool, sum_pool])
def test_integers_are_summed_as_they_are(pool):
    x = jnp.arange(16).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(pool(x, (2, 2)), pool(x.astype(float), (2, 2)))


def test_an_empty_picture_has_no_average():
    with pytest.raises(InvalidInput, match="at least one pixel"):
        global_avg_pool(jnp.zeros((1, 0, 4, 2)))
