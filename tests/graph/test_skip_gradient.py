"""The skip gradient: values stay, and each branch passes its part of the gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.graph import skip_gradient, stochastic_depth, trace

WEIGHTS = jax.random.normal(jax.random.key(0), (3, 5, 5))
X = jax.random.normal(jax.random.key(1), (4, 5))


def network(x, decay=1.0):
    """Three residual blocks; a gradient through each of their branches is `decay` times as long."""
    for w in WEIGHTS:
        branch = jnp.tanh(x @ w)
        x = x + decay * branch + (1 - decay) * jax.lax.stop_gradient(branch)
    return x


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.5, 1.0])
def test_every_branch_passes_its_part(decay):
    graph = skip_gradient(trace(network, X), decay)
    np.testing.assert_array_equal(graph.run(X)[0], trace(network, X).run(X)[0])
    cotangent = jax.random.normal(jax.random.key(2), X.shape)
    slope = jax.vjp(lambda x: graph.run(x)[0], X)[1](cotangent)[0]
    expected = jax.vjp(lambda x: network(x, decay), X)[1](cotangent)[0]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)  # float32 sums in another order


def test_without_branches_the_gradient_is_that_of_the_shortcuts():
    slope = jax.grad(lambda x: skip_gradient(trace(network, X), 0.0).run(x)[0].sum())(X)
    np.testing.assert_array_equal(slope, jnp.ones_like(X))


def test_both_changes_of_branches_go_together():
    """Branches that are left out pass nothing, and those that are not pass their part of what they are scaled to."""
    keys = jax.random.split(jax.random.key(3), len(X))
    alone = stochastic_depth(trace(network, X), keys, 0.6)
    both = stochastic_depth(skip_gradient(trace(network, X), 0.5), keys, 0.6)
    np.testing.assert_allclose(both.run(X)[0], alone.run(X)[0], rtol=1e-5, atol=1e-6)

    def expected(x):
        for depth, w in enumerate(WEIGHTS, start=1):
            p = 0.6 * depth / 3
            kept = jax.vmap(lambda key: jax.random.bernoulli(jax.random.fold_in(key, depth), 1 - p))(keys)  # noqa: B023
            branch = jnp.where(kept[:, None], jnp.tanh(x @ w) / (1 - p), 0)
            x = x + 0.5 * branch + 0.5 * jax.lax.stop_gradient(branch)
        return x

    slopes = [jax.grad(lambda x, f=f: jnp.sin(f(x)).sum())(X) for f in (lambda x: both.run(x)[0], expected)]
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-4, atol=1e-5)


def test_nothing_to_do():
    whole = trace(network, X)
    assert skip_gradient(whole, 1.0) is whole
    bare = trace(lambda x: jnp.tanh(x @ WEIGHTS[0]), X)
    assert skip_gradient(bare, 0.5) is bare


@pytest.mark.parametrize("decay", [-0.1, 1.1, float("nan")])
def test_what_is_no_part_is_refused(decay):
    with pytest.raises(InvalidInput, match="the gradient of branches times") as refused:
        skip_gradient(trace(network, X), decay)
    assert refused.value.remedy
