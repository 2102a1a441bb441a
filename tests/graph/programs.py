"""Small programs that every test of tracing goes through: one table, so that none can be skipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

W1 = jax.random.normal(jax.random.key(1), (5, 4))
W2 = jax.random.normal(jax.random.key(2), (4, 4))
X = jax.random.normal(jax.random.key(3), (3, 5))


class Program(NamedTuple):
    """A function, its arguments, and a name in it with the value computed by hand."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    name: str
    by_hand: Callable[..., jax.Array]


def chain(x):
    return jnp.exp(jnp.tanh(jnp.sin(x)))


def mlp(params, x):
    for w, b in params:
        x = jax.nn.relu(x @ w + b)
    return x


MLP_PARAMS = [(W1, jnp.full(4, 0.1)), (W2, jnp.full(4, -0.1))]


def branch_and_merge(x):
    with jax.named_scope("trunk"):
        h = jnp.tanh(x @ W1)
    with jax.named_scope("left"):
        left = h @ W2
    with jax.named_scope("right"):
        right = jnp.sin(h)
    return left * right + left


def shared(w, x):
    return jnp.tanh(jnp.tanh(x @ W1 @ w) @ w)


@jax.jit
def affine(x):
    with jax.named_scope("affine"):
        return x @ W2 + 1.0


def inner_jits(x):
    return jax.jit(lambda x: jnp.clip(affine(affine(x @ W1)), -2.0, 2.0))(x)


def with_scan(x):
    y, trail = jax.lax.scan(lambda c, _: (jnp.tanh(c @ W2), c.sum()), x @ W1, None, length=3)
    return {"y": y, "trail": trail}


@jax.custom_vjp
def doubled_backward(x):
    return jnp.sin(x)


doubled_backward.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (2 * g * jnp.cos(x),))


@jax.custom_jvp
def tripled_tangent(x):
    return jnp.cos(x)


@tripled_tangent.defjvp
def _tripled(primals, tangents):
    return tripled_tangent(*primals), -3 * jnp.sin(primals[0]) * tangents[0]


def custom_rules(x):
    return jax.jit(tripled_tangent)(doubled_backward(x) * 2.0)


def with_cond(x):
    return jax.lax.cond(x.sum() > 0, lambda x: jnp.sin(x), lambda x: x * 2.0, x)


def with_checkpoint(x):
    return jax.checkpoint(lambda x: jnp.sin(jnp.sin(x @ W1)))(x)


class LinenBlock(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.Dense(4)(x))


class LinenNet(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = LinenBlock(name="blocks/0")(x)
        again = nn.Dense(4, name="again")
        x = nn.relu(again(again(x)))
        return nn.Dense(2, name="logits")(x)


LINEN = LinenNet()
LINEN_PARAMS = LINEN.init(jax.random.key(0), X)


def linen(x):
    return LINEN.apply(LINEN_PARAMS, x)


def linen_first(x):
    p = LINEN_PARAMS["params"]["blocks/0"]["Dense_0"]
    return jnp.maximum(x @ p["kernel"] + p["bias"], 0)


class NnxBlock(nnx.Module):
    def __init__(self, rngs):
        self.linear = nnx.Linear(4, 4, rngs=rngs)
        self.norm = nnx.BatchNorm(4, use_running_average=True, rngs=rngs)

    def __call__(self, x):
        return x + nnx.relu(self.norm(self.linear(x)))


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.stem = nnx.Linear(5, 4, rngs=rngs)
        self.blocks = nnx.List([NnxBlock(rngs), NnxBlock(rngs)])

    def __call__(self, x):
        x = nnx.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.blocks[1](x)


NNX = NnxNet(nnx.Rngs(0))
NNX_NAMES = (
    *("stem", "relu", "blocks/0/linear", "blocks/0/norm", "blocks/0"),
    *("blocks/1/linear", "blocks/1/norm", "blocks/1"),
    *("blocks/1#2/linear", "blocks/1#2/norm", "blocks/1#2"),
)


class EquinoxBlock(eqx.Module):
    linear: eqx.nn.Linear
    norm: eqx.nn.LayerNorm

    def __init__(self, key):
        self.linear = eqx.nn.Linear(4, 4, key=key)
        self.norm = eqx.nn.LayerNorm(4)

    def __call__(self, x):
        return x + jax.nn.relu(self.norm(self.linear(x)))


class EquinoxNet(eqx.Module):
    stem: eqx.nn.Linear
    blocks: list[EquinoxBlock]
    head: eqx.nn.MLP

    def __init__(self, key):
        a, b, c, d = jax.random.split(key, 4)
        self.stem = eqx.nn.Linear(5, 4, key=a)
        self.blocks = [EquinoxBlock(b), EquinoxBlock(c)]
        self.head = eqx.nn.MLP(4, 2, 8, 1, activation=jnp.tanh, key=d)

    def __call__(self, x):
        x = jax.nn.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(self.blocks[1](x))


EQUINOX = EquinoxNet(jax.random.key(4))
EQUINOX_NAMES = (
    *("stem", "relu", "blocks/0/linear", "blocks/0/norm", "blocks/0"),
    *("blocks/1/linear", "blocks/1/norm", "blocks/1"),
    *("blocks/1#2/linear", "blocks/1#2/norm", "blocks/1#2"),
    *("head/layers/0", "head/layers/1", "head"),
)


def equinox_stem(net, x):
    return x @ net.stem.weight.T + net.stem.bias


PROGRAMS = {
    "chain": Program(chain, (X,), "tanh", lambda x: jnp.tanh(jnp.sin(x))),
    "mlp": Program(mlp, (MLP_PARAMS, X), "dot", lambda params, x: x @ params[0][0]),
    "branch_and_merge": Program(branch_and_merge, (X,), "right", lambda x: jnp.sin(jnp.tanh(x @ W1))),
    "shared": Program(shared, (W2, X), "tanh", lambda w, x: jnp.tanh(x @ W1 @ w)),
    "inner_jits": Program(inner_jits, (X,), "affine", lambda x: x @ W1 @ W2 + 1.0),
    "scan": Program(with_scan, (X,), "dot", lambda x: x @ W1),
    "custom_rules": Program(custom_rules, (X,), "doubled_backward", jnp.sin),
    "cond": Program(with_cond, (X,), "reduce_sum", jnp.sum),
    "checkpoint": Program(with_checkpoint, (X,), "checkpoint", lambda x: jnp.sin(jnp.sin(x @ W1))),
    "linen": Program(linen, (X,), "blocks/0", linen_first),
    "nnx": Program(NNX, (X,), "stem", lambda x: x @ NNX.stem.kernel[...] + NNX.stem.bias[...]),
    "equinox": Program(jax.vmap(EQUINOX), (X,), "stem", lambda x: equinox_stem(EQUINOX, x)),
}
