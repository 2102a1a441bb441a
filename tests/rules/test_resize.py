"""Resizing against jax.image.resize and PyTorch: values and transposes, every method."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog.errors import InvalidInput
from diffprog.rules.sampling.resize import METHODS, resize
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random


@pytest.mark.thorough
@pytest.mark.parametrize("method", METHODS)
@given(
    before=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    after=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    antialias=st.booleans(),
)
@settings(max_examples=2, deadline=None)
def test_gradients_equal_autodiff(method, before, after, antialias):
    with jax.enable_x64(True):
        shape = (2, *after, 2)
        assert_same_gradients(
            lambda x: resize(x, shape, method, antialias),
            lambda x: jax.image.resize(x, shape, method, antialias=antialias),
            random(0, (2, *before, 2)),
        )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_values_equal_jax_and_keep_the_dtype(method, dtype):
    x = jax.random.normal(jax.random.key(0), (2, 8, 9, 3), dtype)
    found, expected = resize(x, (2, 5, 16, 3), method), jax.image.resize(x, (2, 5, 16, 3), method)
    assert found.dtype == dtype
    if method == "nearest":
        np.testing.assert_array_equal(found, expected)
    else:  # the same weights; the compiler may add in another order
        error = jnp.abs(found.astype(jnp.float32) - expected.astype(jnp.float32)).max()
        assert error <= 16 * jnp.finfo(dtype).eps  # seen: 6


def test_equal_to_pytorch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((1, 6, 5, 2)).astype(np.float32)
    theirs = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    out = torch.nn.functional.interpolate(theirs, (4, 9), mode="bilinear", antialias=True)
    (out**2).sum().backward()
    value, g_in = jax.value_and_grad(lambda x: (resize(x, (1, 4, 9, 2)) ** 2).sum())(jnp.asarray(x))
    assert abs(float(value) - float((out.detach() ** 2).sum())) < 1e-4  # a float32 sum of 72 squares
    np.testing.assert_allclose(g_in, theirs.grad.numpy().transpose(0, 2, 3, 1), atol=1e-5)


def test_gradients_equal_differences(x64):
    for method in ("nearest", "bicubic"):
        assert_matches_differences(lambda x, m=method: resize(x, (1, 7, 3, 2), m), random(1, (1, 3, 5, 2)))


def test_a_constant_stays_and_its_gradient_is_the_magnification():
    x = jnp.ones((1, 4, 4, 1))
    for method in METHODS:
        np.testing.assert_allclose(resize(x, (1, 12, 12, 1), method), 1.0, rtol=1e-5)
        total = jax.grad(lambda x, m=method: resize(x, (1, 12, 12, 1), m).sum())(x).sum()
        assert abs(float(total) - 144) < 1e-3  # float32 sums of 144


def test_vmap_equals_a_loop(x64):
    x = random(2, (3, 5, 4, 2))
    gradient = jax.grad(lambda x: (resize(x, (7, 3, 2), "bicubic") ** 2).sum())
    np.testing.assert_allclose(jax.vmap(gradient)(x), jnp.stack([*map(gradient, x)]), rtol=1e-12)


@pytest.mark.parametrize(
    ("x", "arguments", "says"),
    [
        (jnp.zeros((4, 4)), ((4,),), r"shape \(4, 4\) to resize to \(4,\)"),
        (jnp.zeros((4, 4)), ((4, 0),), r"to resize to \(4, 0\)"),
        (jnp.zeros((4, 0)), ((4, 4),), r"shape \(4, 0\)"),
        (jnp.zeros((4, 4)), ((8, 8), "sinc"), r"'sinc'"),
    ],
)
def test_what_does_not_fit_is_refused(x, arguments, says):
    with pytest.raises(InvalidInput, match=says):
        resize(x, *arguments)


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_integers_are_resized_as_jax_does(method):
    x = jnp.arange(12, dtype=jnp.uint8).reshape(3, 4)
    np.testing.assert_array_equal(resize(x, (6, 5), method), jax.image.resize(x, (6, 5), method))
