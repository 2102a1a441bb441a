"""The slides' layers as rules: every matrix of the MLP, and the sum over the uses of a shared parameter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog import rules

pytestmark = pytest.mark.usefixtures("x64")


def draw(*shape, seed):
    return jax.random.normal(jax.random.key(seed), shape)


def test_the_linear_layer_has_the_three_outputs_of_the_slide():
    """x_out = x_in W, g_in = g_out W^T, dJ/dW = x_in^T g_out; the slide's W is this one's transpose."""
    x_in, W, g_out = draw(1, 3, seed=0), draw(3, 2, seed=1), draw(1, 2, seed=2)
    x_out, pull = jax.vjp(rules.linear, x_in, W)
    g_in, g_W = pull(g_out)
    np.testing.assert_allclose(x_out, x_in @ W)
    np.testing.assert_allclose(g_in, g_out @ W.T)
    np.testing.assert_allclose(g_W, np.outer(x_in, g_out))


def test_the_mlp_backward_is_the_slides_chain_of_matrices():
    """dJ/dy = y - t; dJ/dh = dJ/dy W2; dJ/dz = dJ/dh H' with H' diagonal; dJ/dW1 = x dJ/dz."""
    x, t = draw(1, 4, seed=0), draw(1, 2, seed=1)
    W1, W2 = draw(4, 5, seed=2), draw(5, 2, seed=3)

    def cost(W1, W2, x):
        return rules.squared_error(rules.linear(rules.relu(rules.linear(x, W1)), W2), t)

    z = x @ W1
    h = np.maximum(z, 0)
    dJ_dy = h @ W2 - t
    dJ_dh = dJ_dy @ W2.T
    slopes = np.diag(np.asarray(z[0] > 0, float))
    dJ_dz = dJ_dh @ slopes
    got = jax.grad(cost, (0, 1, 2))(W1, W2, x)
    for gradient, expected in zip(got, (x.T @ dJ_dz, h.T @ dJ_dy, dJ_dz @ W1.T), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-12)


def test_a_shared_parameter_gets_the_sum_of_its_copies_gradients():
    x, W = draw(1, 3, seed=0), draw(3, 3, seed=1)

    def unshared(W1, W2):
        return jnp.sum(rules.linear(rules.tanh(rules.linear(x, W1)), W2))

    first, second = jax.grad(unshared, (0, 1))(W, W)
    np.testing.assert_allclose(jax.grad(lambda W: unshared(W, W))(W), first + second, rtol=1e-12)


def test_a_value_used_twice_gets_the_sum_of_its_gradients():
    x = draw(4, seed=0)

    def cost(x):
        left, right = rules.branch(x)
        return rules.merge(rules.tanh(left), rules.square(right)).sum()

    np.testing.assert_allclose(jax.grad(cost)(x), 1 - jnp.tanh(x) ** 2 + 2 * x, rtol=1e-12)
