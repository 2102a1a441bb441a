"""Stochastic depth: residual sums are found by what they are, and their branches left out as often as is said."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.graph import stochastic_depth, trace


def chain(x, blocks=4):
    """Blocks that add their own input to it: each doubles x, or leaves it."""
    for _ in range(blocks):
        x = x + x @ jnp.eye(x.shape[-1])
    return x


def thinned(function, x, seed=0, rate=0.5):
    keys = jax.random.split(jax.random.key(seed), len(x))
    return stochastic_depth(trace(function, x), keys, rate).run(x)[0]


class Encoder(nn.Module):
    """A block of a Vision Transformer, whose GELU adds x to a function of x, too."""

    @nn.compact
    def __call__(self, x):
        x = x + self.param("position", nn.initializers.normal(), (1, 5, 8))
        x = x + nn.MultiHeadDotProductAttention(2)(nn.LayerNorm()(x))
        return x + nn.Dense(8)(nn.gelu(nn.Dense(16)(nn.LayerNorm()(x))))


class Projected(nn.Module):
    """A sum of two projections, of which neither is computed from the other."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(4)(x) + nn.Dense(4)(nn.relu(nn.Dense(8)(x)))


def differs(module, x):
    function = module.bind(module.init(jax.random.key(0), x))
    return jnp.abs(thinned(function, x, rate=0.999) - function(x)).max() > 1e-3


def test_a_transformer_has_two_branches_a_block():
    x = jax.random.normal(jax.random.key(1), (3, 5, 8))
    module = Encoder()
    variables = module.init(jax.random.key(0), x)
    graph = trace(lambda x: module.apply(variables, x), x)
    keys = jax.random.split(jax.random.key(0), 3)
    changed = stochastic_depth(graph, keys, 0.999)
    names = [node.name for node, new in zip(graph.nodes, changed.nodes, strict=True) if node is not new]
    sums = [node.name for node in graph.nodes if node.primitive == "add" and "Dense" not in node.name]
    assert len(names) == 2 and set(names) <= set(sums) and len(sums) > 3  # not the position's, not the GELU's


def test_sums_of_two_projections_and_of_a_bias_stay():
    x = jax.random.normal(jax.random.key(1), (3, 8))
    assert not differs(Projected(), x)
    assert not differs(nn.Dense(8), x)


def test_convolutions_count_as_well():
    x = jax.random.normal(jax.random.key(1), (2, 6, 6, 3))
    kernel = jax.random.normal(jax.random.key(2), (3, 3, 3, 3))

    def block(x):
        return x + jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    without = np.asarray(thinned(block, x, rate=0.999999))
    np.testing.assert_array_equal(without, x)


def test_later_branches_are_left_out_more_often_and_the_mean_stays():
    pictures, blocks, rate = 4096, 4, 0.6
    results = np.asarray(thinned(lambda x: chain(x, blocks), jnp.ones((pictures, 1)), rate=rate))[:, 0]
    factors = [1 + 1 / (1 - rate * j / blocks) for j in range(1, blocks + 1)]
    subsets = np.array([[k >> j & 1 for j in range(blocks)] for k in range(2**blocks)])
    which = np.abs(np.log(results)[:, None] - subsets @ np.log(factors)).argmin(1)
    kept = subsets[which].mean(0)
    expected = 1 - rate * np.arange(1, blocks + 1) / blocks
    deviation = np.sqrt(expected * (1 - expected) / pictures)
    assert (np.abs(kept - expected) < 4 * deviation).all()
    np.testing.assert_allclose(results.mean(), 2.0**blocks, rtol=0.1)  # unbiased: six deviations of the mean


def test_a_picture_is_seen_the_same_alone_and_in_a_batch():
    x = jax.random.normal(jax.random.key(1), (6, 4))
    keys = jax.random.split(jax.random.key(2), 6)
    together = stochastic_depth(trace(chain, x), keys, 0.5).run(x)[0]
    for i in range(6):
        alone = stochastic_depth(trace(chain, x[:1]), keys[i : i + 1], 0.5).run(x[i : i + 1])[0]
        np.testing.assert_array_equal(alone[0], together[i])
    assert len({float(one) for one in together[:, 0] / x[:, 0]}) > 2


def test_gradients_pass_only_through_what_is_there():
    x = jnp.ones((8, 3))
    keys = jax.random.split(jax.random.key(0), 8)
    graph = stochastic_depth(trace(chain, x), keys, 0.5)
    slope = jax.jit(jax.grad(lambda x: graph.run(x)[0].sum()))(x)
    np.testing.assert_allclose(
        slope, graph.run(x)[0], rtol=1e-6
    )  # linear in x, so slope times one is the value


def test_nothing_to_leave_out_and_nothing_asked_for():
    x = jnp.ones((2, 3))
    graph = trace(lambda x: jnp.tanh(x @ jnp.eye(3)), x)
    assert stochastic_depth(graph, jax.random.split(jax.random.key(0), 2), 0.5).nodes == graph.nodes
    whole = trace(chain, x)
    assert stochastic_depth(whole, jax.random.split(jax.random.key(0), 2), 0.0) is whole


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan")])
def test_what_is_no_rate_is_refused(rate):
    x = jnp.ones((2, 3))
    with pytest.raises(InvalidInput, match="probability") as refused:
        thinned(chain, x, rate=rate)
    assert refused.value.remedy
