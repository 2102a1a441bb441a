"""One piece after the other has the values and the gradients of all at once, and less memory."""

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.guide.pieces import each, mean_over

W = jax.random.normal(jax.random.key(0), (5, 5))


def of_one(x, example, shared):
    key, factor = example
    hidden = jnp.tanh(shared @ x["a"]) * factor + jax.random.normal(key, (5,)) * x["b"]
    return jnp.sum(hidden**2), {"norm": jnp.linalg.norm(hidden)}


def of_piece(x, piece, shared):
    return jnp.sum(jnp.sin(shared @ x * piece))


def test_each_is_vmap_with_its_gradient():
    xs = {"a": jax.random.normal(jax.random.key(1), (3, 5)), "b": jnp.arange(3.0)}
    examples = (jax.random.split(jax.random.key(2), 3), jnp.array([1.0, 2.0, -1.0]))
    weights = jnp.array([1.0, 0.5, -2.0])

    def total(function):
        return lambda xs: jnp.sum(weights * function(xs, examples, W)[0])

    plain = jax.vmap(of_one, (0, 0, None))
    np.testing.assert_allclose(each(of_one)(xs, examples, W)[0], plain(xs, examples, W)[0], rtol=1e-6)
    for record in (each(of_one)(xs, examples, W)[1], jax.jit(each(of_one))(xs, examples, W)[1]):
        np.testing.assert_allclose(record["norm"], plain(xs, examples, W)[1]["norm"], rtol=1e-6)
    got, expected = (jax.jit(jax.grad(total(function)))(xs) for function in (each(of_one), plain))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, expected)


def test_mean_over_pieces_has_the_gradient_of_all_at_once():
    x, pieces = jnp.arange(5.0) / 5, jax.random.normal(jax.random.key(3), (8, 5))

    def at_once(x):
        return jnp.mean(jax.vmap(lambda piece: of_piece(x, piece, W))(pieces))

    for parts in (1, 2, 8):  # chunks of pieces give the same
        chunks = pieces.reshape(parts, -1, 5)

        def in_parts(x, chunks=chunks):
            return mean_over(lambda x, c, W: jnp.mean(jax.vmap(lambda p: of_piece(x, p, W))(c)), x, chunks, W)

        both = jax.jit(lambda x, f=in_parts: [jax.value_and_grad(g)(x) for g in (f, at_once)])
        (value, gradient), (expected, its_gradient) = both(x)
        np.testing.assert_allclose(value, expected, rtol=1e-6)
        np.testing.assert_allclose(gradient, its_gradient, rtol=1e-5, atol=1e-6)


def test_pieces_one_after_the_other_take_less_memory():
    x, pieces = jnp.ones((64, 64)), jnp.ones((32, 64, 64))

    def deep(x, piece, shared):
        for _ in range(4):
            x = jnp.tanh(x @ piece)
        return jnp.sum(x)

    def at_once(x):
        return jnp.mean(jax.vmap(lambda piece: deep(x, piece, None))(pieces))

    def temporaries(function):
        return jax.jit(jax.grad(function)).lower(x).compile().memory_analysis().temp_size_in_bytes

    assert temporaries(lambda x: mean_over(deep, x, pieces, None)) < temporaries(at_once) / 4
