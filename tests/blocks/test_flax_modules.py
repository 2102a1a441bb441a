"""Flax modules as blocks and blocks as Flax modules: the same numbers either way."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from diffprog import InvalidInput, blocks


class Mlp(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2)(nn.tanh(nn.Dense(4)(x)))


class Normed(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dropout(0.5, deterministic=not train)(nn.BatchNorm(use_running_average=not train)(x))


class Tower(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(3, 4, rngs=rngs)
        self.norm = nnx.BatchNorm(4, use_running_average=True, rngs=rngs)
        self.last = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.tanh(self.norm(self.first(x))))


X = jax.random.normal(jax.random.key(0), (5, 3))


def test_a_linen_module_is_a_block_among_others():
    block = blocks.chain(blocks.linear(3), blocks.from_flax(Mlp()), blocks.relu)
    params = block.init(jax.random.key(1), X)
    want = nn.relu(Mlp().apply({"params": params["Mlp"]}, blocks.linear(3).apply(params["linear"], X)))
    assert np.array_equal(block.apply(params, X), want)
    gradient = jax.grad(lambda p: block.apply(p, X).sum())(params)
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(gradient))


def test_what_linen_keeps_besides_parameters_is_used_as_it_is():
    block = blocks.from_flax(Normed())
    params = block.init(jax.random.key(1), X)
    params["collections"]["batch_stats"]["BatchNorm_0"]["mean"] += 1.0
    np.testing.assert_allclose(block.apply(params, X), X - 1.0, rtol=2e-5, atol=1e-6)  # epsilon 1e-5, float32
    gradient = jax.grad(lambda p: block.apply(p, X).sum())(params)
    assert all(float(jnp.abs(g).max()) == 0 for g in jax.tree.leaves(gradient["collections"]))
    assert float(jnp.abs(gradient["BatchNorm_0"]["bias"]).max()) == 5


@pytest.mark.parametrize("make", [lambda: Tower(nnx.Rngs(3)), lambda: lambda rngs: Tower(rngs)])
def test_an_nnx_module_is_a_block(make):
    given = make()
    block = blocks.from_flax(given)
    params = block.init(jax.random.key(1), X)
    module = given if isinstance(given, Tower) else Tower(nnx.Rngs(jax.random.key(1)))
    assert np.array_equal(block.apply(params, X), module(X))
    assert set(params) == {"first", "norm", "last"}
    gradient = jax.grad(lambda p: jnp.sum(block.apply(p, X) ** 2))(params)
    graph, own, rest = nnx.split(module, nnx.Param, ...)
    want = jax.grad(lambda s: jnp.sum(nnx.merge(graph, s, rest)(X) ** 2))(own)
    for got, other in zip(*map(jax.tree.leaves, (gradient, nnx.to_pure_dict(want))), strict=True):
        assert np.array_equal(got, other)


def test_a_block_works_inside_a_linen_module():
    body = blocks.chain(blocks.linear(4), blocks.relu)

    class Outer(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(2)(blocks.to_linen(body, name="body")(x))

    params = Outer().init(jax.random.key(0), X)["params"]
    inside = params["body"]["block"]
    assert np.array_equal(
        Outer().apply({"params": params}, X),
        nn.Dense(2).apply({"params": params["Dense_0"]}, body.apply(inside, X)),
    )
    gradient = jax.grad(lambda p: Outer().apply({"params": p}, X).sum())(params)
    assert float(jnp.abs(gradient["body"]["block"]["linear"]["kernel"]).max()) > 0


def test_a_block_works_and_trains_inside_an_nnx_module():
    class Outer(nnx.Module):
        def __init__(self, rngs):
            self.body = blocks.NnxBlock(blocks.chain(blocks.linear(4), blocks.relu), (1, 3), rngs=rngs)
            self.head = nnx.Linear(4, 1, rngs=rngs)

        def __call__(self, x):
            return self.head(self.body(x))

    module = Outer(nnx.Rngs(0))
    before = nnx.to_pure_dict(nnx.state(module, nnx.Param))
    assert sum(leaf.size for leaf in jax.tree.leaves(before)) == 3 * 4 + 4 + 4 + 1

    def cost(module):
        return jnp.mean((module(X) - 1.0) ** 2)

    optimizer = nnx.Optimizer(module, optax.adam(0.05), wrt=nnx.Param)
    first = cost(module)
    for _ in range(50):
        optimizer.update(module, nnx.grad(cost)(module))
    assert cost(module) < 0.1 * first


def test_what_is_no_module_is_refused():
    with pytest.raises(InvalidInput, match="nnx module"):
        blocks.from_flax(3)
