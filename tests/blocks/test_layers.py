"""Every layer against Flax's with the same parameters: values and gradients, in float64 and float32."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog import InvalidInput, blocks

# Sums of at most 300 products in another order: a few units in the last place of each dtype.
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}

# name -> (block, Flax's layer, shape of x)
LAYERS = {
    "linear": (blocks.linear(5), nn.Dense(5), (4, 3)),
    "linear, two batch axes, no bias": (
        blocks.linear(5, bias=False),
        nn.Dense(5, use_bias=False),
        (2, 4, 3),
    ),
    "convolution": (blocks.convolution(6), nn.Conv(6, (3, 3)), (2, 7, 6, 4)),
    "convolution, strided": (
        blocks.convolution(6, (5, 3), stride=2, padding="VALID"),
        nn.Conv(6, (5, 3), strides=2, padding="VALID"),
        (2, 9, 8, 3),
    ),
    "convolution, dilated": (
        blocks.convolution(4, dilation=2, bias=False),
        nn.Conv(4, (3, 3), kernel_dilation=2, use_bias=False),
        (1, 8, 8, 2),
    ),
    "convolution, depthwise": (
        blocks.convolution(4, groups=4),
        nn.Conv(4, (3, 3), feature_group_count=4),
        (2, 6, 6, 4),
    ),
    "convolution over time": (blocks.convolution(4, 5), nn.Conv(4, (5,)), (2, 9, 3)),
    "convolution of volumes": (blocks.convolution(2, 2), nn.Conv(2, (2, 2, 2)), (1, 4, 4, 4, 2)),
    "layer norm": (blocks.layer_norm(), nn.LayerNorm(use_fast_variance=False), (4, 3, 6)),
    "rms norm": (blocks.rms_norm(), nn.RMSNorm(), (4, 6)),
    "group norm": (blocks.group_norm(2), nn.GroupNorm(2, use_fast_variance=False), (2, 4, 4, 6)),
    "batch norm": (
        blocks.batch_norm(),
        nn.BatchNorm(use_running_average=False, use_fast_variance=False),
        (3, 4, 4, 5),
    ),
    "attention": (blocks.attention(2), nn.MultiHeadDotProductAttention(2), (2, 5, 8)),
}
POOLS = {
    "max": (blocks.max_pool(2), lambda x: nn.max_pool(x, (2, 2), (2, 2))),
    "max, overlapping": (blocks.max_pool(3, 2, "SAME"), lambda x: nn.max_pool(x, (3, 3), (2, 2), "SAME")),
    "average": (blocks.avg_pool((2, 3)), lambda x: nn.avg_pool(x, (2, 3), (2, 3))),
    "global": (blocks.global_avg_pool, lambda x: x.mean((1, 2))),
}


def outcome(apply, params, x):
    """Value, gradient by the parameters and gradient by x, of a cost that weights every output differently."""
    return jax.jit(jax.value_and_grad(lambda p, x: jnp.sum(jnp.sin(2 * apply(p, x))), (0, 1)))(params, x)


def assert_close(got, want, dtype):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert one.dtype == other.dtype == dtype
        assert np.linalg.norm(one - other) <= TOLERANCE[dtype] * max(1, np.linalg.norm(other))


def drawn(params, key):
    """The parameters, moved from where they started, so that a bias of zero hides nothing."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    moved = [
        leaf + 0.3 * jax.random.normal(k, leaf.shape, leaf.dtype)
        for leaf, k in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(tree, moved)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "float64") for name in LAYERS), ("convolution", "float32"), ("attention", "float32")],
)
def test_a_layer_is_flax_s_with_the_same_parameters(name, dtype):
    block, module, shape = LAYERS[name]
    with jax.enable_x64(dtype == "float64"):
        module = module.clone(dtype=dtype, param_dtype=dtype)
        x = jax.random.normal(jax.random.key(0), shape, dtype)
        params = drawn(block.init(jax.random.key(1), x), jax.random.key(2))

        def flax(params, x):
            return module.apply({"params": params}, x, mutable=["batch_stats"])[0]

        assert jax.tree.map(jnp.shape, params) == jax.tree.map(
            jnp.shape, dict(module.init(jax.random.key(1), x)["params"])
        )
        assert_close(outcome(block.apply, params, x), outcome(flax, params, x), dtype)


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_is_flax_s(name, x64):
    block, flax = POOLS[name]
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 3))
    assert_close(outcome(block.apply, {}, x), outcome(lambda _, x: flax(x), {}, x), "float64")


def test_attention_to_a_memory_is_flax_s(x64):
    x, memory = (
        jax.random.normal(jax.random.key(i), shape) for i, shape in enumerate([(2, 3, 4), (2, 5, 6)])
    )
    block, module = blocks.attention(2), nn.MultiHeadDotProductAttention(2, param_dtype=float)
    params = drawn(block.init(jax.random.key(1), (x, memory)), jax.random.key(2))
    got = outcome(block.apply, params, (x, memory))
    want = outcome(lambda p, xs: module.apply({"params": p}, xs[0], xs[1]), params, (x, memory))
    assert_close(got, want, "float64")


def test_attention_whose_queries_are_all_zero_takes_the_mean_of_the_values(x64):
    block = blocks.attention(1)
    x = jax.random.normal(jax.random.key(0), (1, 5, 4))
    params = block.init(jax.random.key(1), x)
    eye = jnp.eye(4).reshape(4, 1, 4)
    params["query"]["kernel"] *= 0
    params["value"]["kernel"], params["out"]["kernel"] = eye, eye.reshape(1, 4, 4)
    want = jnp.broadcast_to(x.mean(1, keepdims=True), x.shape)
    np.testing.assert_allclose(block.apply(params, x), want, rtol=0, atol=1e-15)  # five numbers of about 1


def test_causal_attention_does_not_see_what_comes(x64):
    block = blocks.attention(2, causal=True)
    x = jax.random.normal(jax.random.key(0), (1, 6, 4))
    params = block.init(jax.random.key(1), x)
    seen = jax.jacobian(lambda x: block.apply(params, x).sum((0, 2)))(x).sum((1, 3))  # [T, S]
    assert np.array_equal(np.abs(seen) > 0, np.tril(np.ones((6, 6), bool)))


def test_embedding_is_flax_s_and_adds_up_where_a_row_was_picked_twice(x64):
    tokens = jnp.array([[1, 4, 1], [0, 1, 2]])
    block, module = blocks.embedding(5, 3), nn.Embed(5, 3, param_dtype=float)
    params = block.init(jax.random.key(0), tokens)
    assert np.array_equal(block.apply(params, tokens), module.apply({"params": params}, tokens))
    gradient = jax.grad(lambda p: block.apply(p, tokens).sum())(params)["embedding"]
    assert np.array_equal(gradient, np.array([1, 3, 1, 0, 1])[:, None] * np.ones(3))


@pytest.mark.parametrize("layer", ["linear", "convolution", "attention", "layer norm"])
def test_layers_are_computed_by_the_rules(layer):
    """Every product and normalization of the traced program is an operation with a backward of its own."""
    block, _, shape = LAYERS[layer]
    program = jax.make_jaxpr(block.apply)(block.init(jax.random.key(0), shape), jnp.zeros(shape))
    plain = {"dot_general", "conv_general_dilated", "reduce_sum", "rsqrt", "exp"}
    assert {equation.primitive.name for equation in program.eqns} & plain == set()


def test_starting_values_are_flax_s_in_distribution():
    """Mean 0 and variance 1/n for the kernel: 20,000 draws, so the variance is known to 1 % (one deviation)."""
    kernel = blocks.linear(200).init(jax.random.key(0), (1, 100))["kernel"]
    assert abs(float(jnp.var(kernel)) * 100 - 1) < 0.04
    assert abs(float(jnp.mean(kernel))) < 4 * 0.1 / 20_000**0.5


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: blocks.linear(0), "features=0"),
        (lambda: blocks.convolution(4, groups=-1), "groups=-1"),
        (lambda: blocks.attention(3).output((1, 5, 8)), "3 heads"),
        (lambda: blocks.convolution(4, groups=2).output((1, 8, 8, 3)), "3 channels"),
        (lambda: blocks.convolution(4, (3, 3)).output((1, 8, 3)), "size"),
        (lambda: blocks.convolution(4).output((8, 3)), "at least 3 axes"),
        (lambda: blocks.embedding(5, 3).output((1, 4)), "whole numbers"),
        (lambda: blocks.max_pool(9).output((1, 8, 8, 3)), "9"),
        (lambda: blocks.group_norm(4).output((1, 8, 8, 6)), "4 groups"),
        (lambda: blocks.linear(2).output((None, 3)), "None"),
        (lambda: blocks.linear(2).output(((1, 3), (1, 3))), "2 arrays"),
        (lambda: blocks.linear(2).apply(blocks.linear(2).init(jax.random.key(0), (1, 3)), jnp.ones((1, 4))), "(1, 4)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_three_parts(make, says):
    with pytest.raises(InvalidInput) as caught:
        make()
    assert says in str(caught.value)
    assert caught.value.expected
    assert caught.value.remedy
