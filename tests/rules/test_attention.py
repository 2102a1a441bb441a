"""Attention in chunks against attention at once, against JAX's and PyTorch's, and its memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog.errors import InvalidInput
from diffprog.rules.attention.attention import _plain, dot_product_attention
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random


def arrays(queries, keys, heads=2, key_heads=2, batch=(2,), features=3):
    shapes = (queries, heads), (keys, key_heads), (keys, key_heads)
    return [random(i, (*batch, *shape, features)) for i, shape in enumerate(shapes)]


@given(
    queries=st.integers(1, 5),
    keys=st.integers(1, 5),
    chunk=st.integers(1, 5),
    causal=st.booleans(),
    masked=st.booleans(),
    groups=st.integers(1, 2),
)
@settings(max_examples=4, deadline=None)
def test_gradients_equal_those_of_the_whole_matrix(queries, keys, chunk, causal, masked, groups):
    with jax.enable_x64(True):
        q, k, v = arrays(queries, keys, heads=2, key_heads=2 // groups)
        # A quarter of the keys counts, so that some queries have none: there all keys count equally.
        mask = random(5, (2, 1, queries, keys)) > 0.7 if masked else None

        def rule(q, k, v):
            return dot_product_attention(q, k, v, mask, causal=causal, chunk=chunk)

        def plain(q, k, v):
            return _plain(q, k, v, mask, causal=causal)

        assert_same_gradients(rule, plain, q, k, v)


def test_gradients_equal_differences(x64):
    def rule(q, k, v):
        return dot_product_attention(q, k, v, causal=True, chunk=2)

    assert_matches_differences(rule, *arrays(4, 5))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_one_gradient_alone_is_the_same(x64, number):
    q, k, v = arrays(3, 5)

    def loss(*qkv):
        return jnp.sum(jnp.sin(dot_product_attention(*qkv, chunk=2)))

    np.testing.assert_allclose(
        jax.grad(loss, number)(q, k, v), jax.grad(loss, (0, 1, 2))(q, k, v)[number], atol=1e-15
    )


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_values_equal_those_of_jax(dtype, causal):
    q, k, v = (x.astype(dtype) for x in arrays(9, 9, heads=4, key_heads=2, features=8))
    mask = jax.random.bernoulli(jax.random.key(0), 0.6, (2, 1, 9, 9))
    expected = jax.nn.dot_product_attention(q, k, v, mask=mask, is_causal=causal).astype(jnp.float32)
    rounding = 4e-2 if dtype == jnp.bfloat16 else 2e-6  # a few units of numbers of size 3
    for chunk in (None, 4):
        found = dot_product_attention(q, k, v, mask, causal=causal, chunk=chunk)
        assert found.dtype == dtype
        np.testing.assert_allclose(found.astype(jnp.float32), expected, atol=rounding)


def test_equal_to_pytorch(x64):
    torch = pytest.importorskip("torch")
    q, k, v = arrays(4, 4)
    there = [torch.tensor(np.asarray(x), requires_grad=True) for x in (q, k, v)]
    heads_first = [x.transpose(1, 2) for x in there]
    out = torch.nn.functional.scaled_dot_product_attention(*heads_first, is_causal=True).transpose(1, 2)
    g_out = random(9, out.shape)
    out.backward(torch.tensor(np.asarray(g_out)))
    found, pull = jax.vjp(lambda *x: dot_product_attention(*x, causal=True, chunk=3), q, k, v)
    np.testing.assert_allclose(found, out.detach(), atol=1e-14)
    for mine, theirs in zip(pull(g_out), there, strict=True):
        np.testing.assert_allclose(mine, theirs.grad, atol=1e-14)


def test_memory_grows_with_the_sequence_and_not_with_its_square():
    """Four times the sequence: at most five times the memory of its gradient; the whole matrix would be sixteen."""

    def temporary(length):
        shape = jax.ShapeDtypeStruct((1, length, 8, 16), jnp.float32)

        def loss(q, k, v):
            return jnp.sum(dot_product_attention(q, k, v, chunk=128) ** 2)

        return jax.jit(jax.grad(loss, (0, 1, 2))).lower(shape, shape, shape).compile().memory_analysis()

    short, long = (temporary(length).temp_size_in_bytes for length in (512, 2048))
    assert long < 5 * short
    assert long < 4 * 8 * 2048 * 2048  # bytes of one matrix of scores


def test_batches_of_any_rank(x64):
    q, k, v = arrays(3, 4, batch=())
    single = dot_product_attention(q, k, v)
    stacked = dot_product_attention(*(jnp.stack([jnp.stack([x])] * 2) for x in (q, k, v)))
    np.testing.assert_allclose(stacked[1, 0], single, atol=1e-15)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda q, k, v: (q[..., :2], k, v), "K dividing N"),
        (lambda q, k, v: (q, k[:, :, :1], v), "K dividing N"),
        (lambda q, k, v: (q[:, :, :1], k, v), "K dividing N"),
        (lambda q, k, v: (q[0, 0], k[0, 0], v[0, 0]), "K dividing N"),
        (lambda q, k, v: (q, k[:, :0], v[:, :0]), "nothing empty"),
        (lambda q, k, v: (q.astype(jnp.bfloat16), k, v), "one dtype"),
        (lambda q, k, v: (q, k, v, jnp.ones((3, 4))), "booleans"),
        (lambda q, k, v: (q, k, v, jnp.ones((2, 3, 4), bool)[:, :2]), "booleans that broadcast"),
    ],
)
def test_refuses(change, said):
    with pytest.raises(InvalidInput, match=said):
        dot_product_attention(*change(*(x.astype(jnp.float32) for x in arrays(3, 4))))
