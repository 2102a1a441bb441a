"""The linear layer, general products and embeddings: closed form, autodiff, PyTorch, and what is refused."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from diffprog.errors import InvalidInput
from diffprog.rules.products.dot_general import dot_general
from diffprog.rules.products.embedding import embedding
from diffprog.rules.products.linear import linear
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random


def test_the_lectures_formulas(x64):
    x, W, b, g = random(0, (4, 3)), random(1, (3, 2)), random(2, (2,)), random(3, (4, 2))
    x_out, pull = jax.vjp(linear, x, W, b)
    for got, want in zip((x_out, *pull(g)), (x @ W + b, g @ W.T, x.T @ g, g.sum(0)), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-13)  # float64 sums of 4 terms


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    arrays = [
        np.random.default_rng(i).standard_normal(s)
        for i, s in enumerate([(5, 4, 3), (3, 2), (2,), (5, 4, 2)])
    ]
    x, W, b, g = (torch.tensor(a, requires_grad=True) for a in arrays)
    torch.nn.functional.linear(x, W.T, b).backward(g)
    with jax.enable_x64(True):
        _, pull = jax.vjp(linear, *map(jnp.asarray, arrays[:3]))
        for got, want in zip(pull(jnp.asarray(arrays[3])), (x.grad, W.grad, b.grad), strict=True):
            np.testing.assert_allclose(got, want.numpy(), rtol=0, atol=1e-12)  # float64 sums of 20 terms


@given(
    data=st.data(),
    batch=st.integers(0, 2),
    summed=st.integers(0, 2),
    free=st.tuples(*[st.integers(0, 1)] * 2),
)
@settings(max_examples=5, deadline=None)
def test_products_over_any_axes_equal_autodiff(data, batch, summed, free):
    lengths = [2, 3, 4, 5]
    names = list(range(batch + summed))
    left = data.draw(st.permutations([*names, *(10 for _ in range(free[0]))]))
    right = data.draw(st.permutations([*names, *(11 for _ in range(free[1]))]))
    shape = [tuple(lengths[n] if n < 10 else n - 4 for n in side) for side in (left, right)]
    numbers = tuple(
        tuple(tuple(side.index(n) for n in some) for side in (left, right))
        for some in (names[batch:], names[:batch])
    )
    with jax.enable_x64(True):
        A, B = random(0, shape[0]), random(1, shape[1])
        assert_same_gradients(
            lambda A, B: dot_general(A, B, numbers), lambda A, B: lax.dot_general(A, B, numbers), A, B
        )


def test_gradients_equal_differences(x64):
    assert_matches_differences(linear, random(0, (4, 3)), random(1, (3, 2)), random(2, (2,)))
    table, picked = random(3, (5, 2)), jnp.array([[4, 0], [4, 4]])
    assert_matches_differences(lambda table: embedding(table, picked), table)


def test_flax_layers_take_the_product(x64):
    x = random(0, (4, 3))
    plain, ours = (nn.Dense(2, param_dtype=jnp.float64, dot_general=d) for d in (None, dot_general))
    params = plain.init(jax.random.key(0), x)
    assert_same_gradients(lambda x: ours.apply(params, x), lambda x: plain.apply(params, x), x)


def test_an_index_from_the_end_and_one_beyond(x64):
    table = random(0, (3, 2))
    picked = jnp.array([-1, 7, 0])
    assert jnp.isnan(embedding(table, picked)[1]).all()
    got = jax.grad(lambda table: jnp.nansum(embedding(table, picked)))(table)
    np.testing.assert_array_equal(got, [[1, 1], [0, 0], [1, 1]])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_gradients_have_the_dtype_of_the_inputs(dtype):
    x, W, b = (jnp.ones(shape, dtype) for shape in ((4, 3), (3, 2), (2,)))
    gradients = jax.grad(lambda *a: linear(*a).sum().astype(jnp.float32), (0, 1, 2))(x, W, b)
    assert {g.dtype for g in gradients} == {jnp.dtype(dtype)}


def test_a_product_of_integers_is_the_plain_one():
    A = jnp.arange(6).reshape(2, 3)
    assert dot_general(A, A, (((1,), (1,)), ((), ()))).tolist() == [[5, 14], [14, 50]]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: linear(jnp.ones((2, 3)), jnp.ones((2, 3))), r"shapes \(2, 3\), \(2, 3\)"),
        (lambda: linear(jnp.ones((2, 3)), jnp.ones((3, 4)), jnp.ones(3)), r"\(3, 4\), \(3,\)"),
        (lambda: linear(jnp.ones((2, 3), jnp.bfloat16), jnp.ones((3, 4))), "x bfloat16, W float32"),
        (
            lambda: dot_general(jnp.ones((2, 3)), jnp.ones((2, 3)), (((1,), (0,)), ((), ()))),
            "pairs of equal length",
        ),
        (
            lambda: dot_general(jnp.ones((2, 3)), jnp.ones((2, 3)), (((2,), (0,)), ((), ()))),
            "axes that exist",
        ),
        (lambda: embedding(jnp.ones((2, 3)), jnp.ones(3)), "indices of float32"),
        (lambda: embedding(jnp.ones((0, 3)), jnp.ones(3, int)), "at least one row"),
    ],
)
def test_what_does_not_fit_is_refused(call, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        call()
