"""Transposed convolution against XLA's own and PyTorch's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from diffprog.errors import InvalidInput
from diffprog.rules.convolution.transpose import conv_transpose
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random


@pytest.mark.thorough
@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    taps=st.tuples(st.integers(1, 5), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from(["SAME", "VALID", ((4, 3), (3, 5))]),
    transpose_kernel=st.booleans(),
)
@settings(max_examples=4, deadline=None)
def test_gradients_equal_autodiff(size, taps, strides, padding, transpose_kernel):
    with jax.enable_x64(True):
        channels = (3, 2) if transpose_kernel else (2, 3)
        x, W = random(0, (2, *size, 2)), random(1, (*taps, *channels))
        assert_same_gradients(
            lambda x, W: conv_transpose(x, W, strides, padding, transpose_kernel=transpose_kernel),
            lambda x, W: lax.conv_transpose(x, W, strides, padding, transpose_kernel=transpose_kernel),
            x,
            W,
        )


def test_gradients_equal_differences(x64):
    assert_matches_differences(
        lambda x, W: conv_transpose(x, W, (2, 2), "SAME"), random(0, (2, 3, 3, 2)), random(1, (4, 4, 2, 3))
    )


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, W, g = (
        rng.standard_normal((2, 3, 4, 5)),
        rng.standard_normal((4, 4, 5, 2)),
        rng.standard_normal((2, 6, 8, 2)),
    )
    there = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    kernel = torch.tensor(W[::-1, ::-1].transpose(2, 3, 0, 1).copy(), requires_grad=True)
    out = torch.nn.functional.conv_transpose2d(there, kernel, stride=2, padding=1)
    out.backward(torch.tensor(g.transpose(0, 3, 1, 2)))
    with jax.enable_x64(True):
        here, pull = jax.vjp(
            lambda x, W: conv_transpose(x, W, (2, 2), "SAME"), jnp.asarray(x), jnp.asarray(W)
        )
        g_in, g_W = pull(jnp.asarray(g))
    # float64 sums of at most 80 terms
    np.testing.assert_allclose(here, out.detach().numpy().transpose(0, 2, 3, 1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(g_in, there.grad.numpy().transpose(0, 2, 3, 1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(g_W[::-1, ::-1], kernel.grad.numpy().transpose(2, 3, 0, 1), rtol=0, atol=1e-12)


def test_the_layout_of_flax_and_others_are_taken(x64):
    x, W = random(0, (2, 3, 5)), random(1, (3, 4, 2))
    numbers = ("NCH", "IOH", "NCH")
    assert_same_gradients(
        lambda x, W: conv_transpose(x, W, (2,), "SAME", dimension_numbers=numbers),
        lambda x, W: lax.conv_transpose(x, W, (2,), "SAME", dimension_numbers=numbers),
        x,
        W,
    )


@pytest.mark.parametrize(
    ("strides", "padding", "complaint"),
    [((0, 1), "SAME", "strides"), ((2,), "SAME", "2 spatial axes"), ((2, 2), "REFLECT", "REFLECT")],
)
def test_what_does_not_fit_is_refused(strides, padding, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        conv_transpose(jnp.ones((1, 3, 3, 2)), jnp.ones((2, 2, 2, 2)), strides, padding)
