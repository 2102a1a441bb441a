"""Normalizations: closed forms, autodiff, PyTorch, drawn shapes, precision and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog.errors import InvalidInput
from diffprog.rules.normalization import records as book
from diffprog.rules.normalization.frozen import batch_norm_frozen
from diffprog.rules.normalization.l2 import l2_normalize
from diffprog.rules.normalization.norms import batch_norm, batch_statistics, group_norm, layer_norm, rms_norm
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random

KINDS = {
    "batch": (batch_norm, book._plain_batch),
    "layer": (layer_norm, book._plain_layer),
    "group": (lambda x, s, b: group_norm(x, 2, s, b), lambda x, s, b: book._plain_group(x, s, b, 2)),
    "rms": (lambda x, s, b: rms_norm(x, s) + b, lambda x, s, b: book._plain_rms(x, s) + b),
}


def parameters(channels):
    return 1 + 0.3 * random(1, (channels,)), random(2, (channels,))


@pytest.mark.parametrize("kind", KINDS)
@given(batch=st.integers(1, 3), space=st.lists(st.integers(1, 4), max_size=2), half=st.integers(1, 3))
@settings(max_examples=3, deadline=None)
def test_gradients_equal_autodiff(kind, batch, space, half):
    with jax.enable_x64(True):
        x = 2 + random(0, (batch, *space, 2 * half))
        assert_same_gradients(*KINDS[kind], x, *parameters(2 * half))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_differences(x64, kind):
    assert_matches_differences(KINDS[kind][0], random(0, (3, 2, 4)), *parameters(4))


def test_what_batch_norm_leaves(x64):
    """Mean 0, variance 1; and its gradient has neither a constant part nor one along the output."""
    x = 5 + 3 * random(0, (8, 4, 2))
    y, pull = jax.vjp(lambda x: batch_norm(x, epsilon=0.0), x)
    np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-14)
    np.testing.assert_allclose(y.var((0, 1)), 1, atol=1e-14)
    (g_in,) = pull(random(1, y.shape))
    np.testing.assert_allclose(g_in.sum((0, 1)), 0, atol=1e-13)
    np.testing.assert_allclose((g_in * y).sum((0, 1)), 0, atol=1e-13)
    mean, variance = batch_statistics(x)
    np.testing.assert_allclose(mean, x.mean((0, 1)))
    np.testing.assert_allclose(variance, x.var((0, 1)))


@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
def test_equal_to_pytorch(x64, kind):
    torch = pytest.importorskip("torch")
    names = torch.nn.functional
    x, (scale, bias), g_out = random(0, (3, 5, 4)), parameters(4), random(3, (3, 5, 4))
    arrays = [torch.tensor(np.asarray(a), requires_grad=True) for a in (x, scale, bias)]
    first = arrays[0].transpose(1, 2)  # PyTorch has channels second
    y = {
        "batch": lambda: names.batch_norm(first, None, None, *arrays[1:], training=True).transpose(1, 2),
        "layer": lambda: names.layer_norm(arrays[0], (4,), *arrays[1:]),
        "group": lambda: names.group_norm(first, 2, *arrays[1:]).transpose(1, 2),
    }[kind]()
    y.backward(torch.tensor(np.asarray(g_out)))
    found, pull = jax.vjp(KINDS[kind][0], x, scale, bias)
    np.testing.assert_allclose(found, y.detach(), atol=1e-13)
    for mine, theirs in zip(pull(g_out), arrays, strict=True):
        np.testing.assert_allclose(mine, theirs.grad, atol=1e-13)


def test_frozen_has_all_five_gradients(x64):
    x, mean = random(0, (2, 3, 4)), random(3, (4,))
    variance = 0.5 + jnp.abs(random(4, (4,)))
    assert_same_gradients(batch_norm_frozen, book._plain_frozen, x, *parameters(4), mean, variance)


def test_frozen_keeps_no_picture_for_the_gradient_to_the_picture():
    x, vector = jnp.ones((2, 9, 9, 4)), jnp.ones(4)
    pull = jax.vjp(lambda x: batch_norm_frozen(x, vector, vector, vector, vector), x)[1]
    assert all(leaf.size <= 4 for leaf in jax.tree.leaves(pull))


def test_narrow_numbers_are_summed_in_wide_ones():
    """The mean of 4096 ones and a bit, in bfloat16, would stop growing at 256."""
    x = (1 + jax.random.normal(jax.random.key(0), (4096, 2))).astype(jnp.bfloat16)
    y, pull = jax.vjp(batch_norm, x)
    (g_in,) = pull(jnp.ones_like(y))
    wide = batch_norm(x.astype(jnp.float32))
    assert y.dtype == g_in.dtype == jnp.bfloat16
    np.testing.assert_allclose(y.astype(jnp.float32), wide, atol=2**-7)  # half a unit of bfloat16 at 4
    np.testing.assert_allclose(g_in.astype(jnp.float32), 0, atol=1e-4)


def test_l2_normalization(x64):
    x = random(0, (3, 4))
    assert_same_gradients(l2_normalize, lambda x: x / jnp.linalg.norm(x, axis=-1, keepdims=True), x)
    assert_matches_differences(lambda x: l2_normalize(x, axis=0), x)
    np.testing.assert_allclose(jax.grad(lambda x: l2_normalize(x, epsilon=0.5).sum())(jnp.zeros(3)), 2)
    assert np.all(np.isfinite(jax.hessian(lambda x: l2_normalize(x).sum())(jnp.zeros(3))))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x, v: batch_norm(x, jnp.ones(3)), "one number for every channel"),
        (lambda x, v: layer_norm(x, v, jnp.ones((1, 4))), "one number for every channel"),
        (lambda x, v: rms_norm(x.astype(jnp.int32)), "floating-point"),
        (lambda x, v: batch_norm(x[:0]), "no mean of nothing"),
        (lambda x, v: layer_norm(jnp.ones(())), "axis of channels"),
        (lambda x, v: group_norm(x, 3), "groups of equal size"),
        (lambda x, v: group_norm(x, 0), "1, 2, 4 groups"),
        (lambda x, v: batch_norm_frozen(x, v, v, v, jnp.ones(1)), "variance of shape"),
        (lambda x, v: l2_normalize(x, axis=3), "axes from -3 to 2"),
        (lambda x, v: l2_normalize(x, epsilon=0.0), "1e-18"),
        (lambda x, v: l2_normalize(x, epsilon=float("nan")), "1e-18"),
    ],
)
def test_refuses(call, said):
    with pytest.raises(InvalidInput, match=said):
        call(jnp.ones((2, 3, 4)), jnp.ones(4))


@pytest.mark.parametrize("norm", [batch_norm, layer_norm, lambda *a: group_norm(a[0], 2, *a[1:])])
def test_a_narrow_array_may_have_wide_parameters(norm):
    """As in Flax: the result has the dtype of the arithmetic, every gradient that of its own array."""
    x, scale, bias = random(0, (4, 6)).astype(jnp.bfloat16), jnp.full(6, 2.0), jnp.ones(6)
    found, pull = jax.vjp(norm, x, scale, bias)
    expected, plain_pull = jax.vjp(norm, x.astype(jnp.float32), scale, bias)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    for g, wide, like in zip(pull(found), plain_pull(found), (x, scale, bias), strict=True):
        assert g.dtype == like.dtype
        np.testing.assert_allclose(g.astype(jnp.float32), wide, rtol=1e-2, atol=1e-2)  # 8 bits of fraction
