"""Functions, healthy and sick, and what a diagnosis must say of each: the table behind the tests and docs/diagnose.md.

A case names the kinds of errors and warnings that must be found, no more and no fewer, and a node that the first
of them must be at. A healthy case names none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (16, 8))
LABELS = jnp.arange(16) % 4


class Case(NamedTuple):
    """A cost, a point to diagnose it at, and what is wrong with it there."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kinds: tuple[str, ...] = ()
    node: str = ""
    plot: tuple[float, float] | None = None  # where to draw it, if it is a function of one number
    at: str = ""  # the point in words, where the numbers would not say it


def step(x):
    return jnp.where(x > 0, 1.0, 0.0)


def sign(x):
    return jnp.sign(x)


def rounded(x):
    return (jnp.round(x) - 2.0) ** 2


def floor(x):
    return jnp.floor(x)


def integer_cast(x):
    return x.astype(jnp.int32).astype(x.dtype)


def count_correct(logits):
    return jnp.sum(jnp.argmax(logits, axis=-1) == LABELS[:4])


def one_hot_argmax(logits):
    return jnp.sum(jax.nn.one_hot(jnp.argmax(logits, axis=-1), 4) * jnp.arange(4.0))


def frozen_encoder(params, x):
    hidden = jax.lax.stop_gradient(jnp.tanh(x @ params["encoder"]))
    return jnp.mean((hidden @ params["head"]) ** 2)


def unused_argument(w, b, x):
    return jnp.mean((x @ w) ** 2)


def quantized_hidden(params, x):
    hidden = jnp.round(x @ params["below"])
    return jnp.mean((hidden @ params["above"] - 1.0) ** 2)


def absolute(x):
    return jnp.abs(x)


def relu(x):
    return jax.nn.relu(x)


def largest(x):
    return jnp.max(x)


def square_root(x):
    return jnp.sqrt(x)


def norm(x):
    return jnp.linalg.norm(x)


def deviation(x):
    return jnp.std(x)


def logarithm(x):
    return jnp.sum(jnp.log(x))


def entropy(p):
    return -jnp.sum(p * jnp.log(p))


def where_trap(x):
    return jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0.0))


def where_safe(x):
    return jnp.sum(jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0))


def ratio(x):
    return jnp.sum(1.0 / x)


def angle(a, b):
    return jnp.arccos(jnp.dot(a, b))


def naive_softmax(logits):
    return -jnp.log(jnp.exp(logits)[0] / jnp.sum(jnp.exp(logits)))


def until_large(x):
    return jnp.sum(jax.lax.while_loop(lambda x: x.sum() < 10, lambda x: 2 * x, x))


def sine(x):
    return jnp.sin(100 * x)


def slow_sine(x):
    return jnp.sin(x)


def rosenbrock(p):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def valley(w):
    return 0.5 * jnp.sum(jnp.array([0.0001, 0.01, 1.0]) * w**2)


def bowl(w):
    return 0.5 * jnp.sum(jnp.array([0.5, 1.0, 2.0]) * w**2)


def plateau(x):
    return 1 - jnp.exp(-(x**2))


def saddle(p):
    return p[0] ** 2 - p[1] ** 2


def perceptron(activation):
    def network(params, x):
        for w, b in params[:-1]:
            x = activation(x @ w + b)
        return jnp.mean((x @ params[-1][0] + params[-1][1]) ** 2)

    network.__name__ = f"{activation.__name__}_network"
    return network


def layers(sizes, gain=2.0, bias=0.0, key=KEY):
    keys = jax.random.split(key, len(sizes) - 1)
    pairs = zip(keys, sizes[:-1], sizes[1:], strict=True)
    return [(jax.random.normal(k, (n, m)) * jnp.sqrt(gain / n), jnp.full(m, bias)) for k, n, m in pairs]


def with_bias(params, at, bias):
    return [(w, jnp.full_like(b, bias)) if i == at else (w, b) for i, (w, b) in enumerate(params)]


def growing_chain(x):
    for _ in range(16):
        x = 3.0 * jnp.logaddexp(x, 0.0)
    return x


def repeated_product(W, x):
    for _ in range(16):
        x = x @ W
    return jnp.mean(x**2)


def sharp_choice(scores, values):
    return jnp.sum(jax.nn.softmax(100.0 * scores) @ values)


def cross_entropy(params, x):
    for w, b in params[:-1]:
        x = jnp.tanh(x @ w + b)
    logits = x @ params[-1][0] + params[-1][1]
    return optax.softmax_cross_entropy_with_integer_labels(logits, LABELS).mean()


def attention(params, x):
    q, k, v = (x @ params[name] for name in "qkv")
    scores = q @ k.T / jnp.sqrt(q.shape[-1])
    causal = jnp.tril(jnp.ones(scores.shape, bool))
    return jnp.mean((jax.nn.softmax(jnp.where(causal, scores, -jnp.inf)) @ v - 1.0) ** 2)


def straight_through(params, x):
    hidden = x @ params["below"]
    hidden = hidden + jax.lax.stop_gradient(jnp.round(hidden) - hidden)
    return jnp.mean((hidden @ params["above"] - 1.0) ** 2)


class Convnet(nn.Module):
    """Convolutions, ReLUs and max-pools, whose windows of zeros tie everywhere."""

    @nn.compact
    def __call__(self, x):
        for features in (8, 16):
            x = nn.max_pool(nn.relu(nn.Conv(features, (3, 3))(x)), (2, 2), (2, 2))
        return nn.Dense(4)(x.reshape(len(x), -1))


class Gated(nn.Module):
    """LayerNorm and GELU, whose inner tanh saturates in health, with a residual."""

    @nn.compact
    def __call__(self, x):
        for _ in range(3):
            x = x + nn.Dense(8)(nn.gelu(4 * nn.Dense(32)(nn.LayerNorm()(x))))
        return x


IMAGES = jax.random.uniform(jax.random.key(2), (16, 16, 16, 3))
CONVNET, GATED = Convnet(), Gated()


def convnet(params, images):
    logits = CONVNET.apply(params, images)
    return optax.softmax_cross_entropy_with_integer_labels(logits, LABELS).mean()


def gated(params, x):
    return jnp.mean((GATED.apply(params, x) - 1.0) ** 2)


def weights(*shapes):
    keys = jax.random.split(KEY, len(shapes))
    return [jax.random.normal(k, shape) / jnp.sqrt(shape[0]) for k, shape in zip(keys, shapes, strict=True)]


W8, V8, U8 = weights((8, 8), (8, 8), (8, 8))
TWO = {"below": W8, "above": V8}
AT = jnp.float32

SICK = {
    "step": Case(step, (AT(0.5),), ("no gradient",), "gt", (-2, 2)),
    "sign": Case(sign, (AT(0.5),), ("no gradient",), "sign", (-2, 2)),
    "round": Case(rounded, (AT(0.7),), ("no gradient",), "round/round", (-1, 5)),
    "floor": Case(floor, (AT(0.7),), ("no gradient",), "floor", (-2, 2)),
    "integer cast": Case(integer_cast, (AT(1.7),), ("no gradient",), "convert_element_type", (-2, 2)),
    "argmax": Case(count_correct, (X[:4, :4],), ("no gradient",), "argmax", at="random logits of 4 examples"),
    "one-hot of argmax": Case(
        one_hot_argmax, (X[:4, :4],), ("no gradient",), "argmax", at="random logits of 4 examples"
    ),
    "stop_gradient": Case(
        frozen_encoder,
        ({"encoder": W8, "head": V8}, X),
        ("no gradient",),
        "stop_gradient",
        at="random weights",
    ),
    "unused argument": Case(
        unused_argument, (W8, V8[0], X), ("unused argument",), "b", at="random w, b and x"
    ),
    "rounded hidden layer": Case(
        quantized_hidden, (TWO, X), ("no gradient",), "round/round", at="random weights"
    ),
    "abs at 0": Case(absolute, (AT(0.0),), ("undefined derivative",), "abs", (-2, 2)),
    "max of equals": Case(largest, (jnp.ones(3),), ("undefined derivative",), "reduce_max"),
    "sqrt at 0": Case(square_root, (AT(0.0),), ("undefined derivative",), "sqrt", (0, 2)),
    "norm of zeros": Case(norm, (jnp.zeros(3),), ("undefined derivative",), "norm/sqrt"),
    "deviation of equals": Case(deviation, (jnp.ones(4),), ("undefined derivative",), "std/sqrt"),
    "log of 0": Case(logarithm, (jnp.array([0.0, 1.0]),), ("not finite",), "log"),
    "entropy of a certainty": Case(entropy, (jnp.array([0.0, 1.0]),), ("not finite",), "log"),
    "division by 0": Case(ratio, (jnp.array([0.0, 1.0]),), ("not finite",), "div"),
    "exp overflow": Case(naive_softmax, (jnp.array([0.0, 100.0]),), ("not finite",), "exp"),
    "where trap": Case(where_trap, (jnp.array([-1.0, 0.0, 4.0]),), ("where trap",), "sqrt"),
    "arccos at 1": Case(
        angle, (jnp.array([1.0, 0.0]), jnp.array([1.0, 0.0])), ("undefined derivative",), "acos"
    ),
    "while loop": Case(until_large, (jnp.ones(3),), ("no reverse mode",), "while"),
    "dead relu": Case(
        perceptron(jax.nn.relu),
        (with_bias(layers([8, 32, 32, 1]), 1, -50.0), X),
        ("dead units",),
        "relu_1",
        at="He weights; the second layer has biases of -50",
    ),
    "saturated sigmoid": Case(
        perceptron(jax.nn.sigmoid),
        (with_bias(layers([8, 32, 32, 1]), 0, 20.0), X),
        ("saturated units",),
        "logistic",
        at="random weights; the first layer has biases of 20",
    ),
    "saturated tanh": Case(
        perceptron(jnp.tanh),
        (layers([8, 32, 1], gain=2e4), X),
        ("saturated units", "rugged cost"),
        "tanh",
        at="random weights of deviation 50",
    ),
    "saturated softmax": Case(
        sharp_choice,
        (X[:, :4], jnp.arange(8.0).reshape(4, 2)),
        ("saturated softmax",),
        "div",
        at="random scores, about 1 in size",
    ),
    "vanishing chain": Case(
        perceptron(jax.nn.sigmoid),
        (layers([8, *[16] * 8, 1], gain=0.25), X),
        ("vanishing gradient",),
        "dot",
        at="8 hidden layers with weights of deviation 1/8, half of what 16 inputs ask for",
    ),
    "exploding product": Case(
        repeated_product,
        (2.0 * jnp.linalg.qr(W8)[0], X),
        ("exploding gradient",),
        "dot",
        at="W is twice a rotation, used 16 times",
    ),
    "exploding chain": Case(growing_chain, (AT(0.01),), ("exploding gradient",), "logaddexp"),
    "sine of a large frequency": Case(sine, (AT(0.3),), ("rugged cost",), "sin", (-0.3, 0.3)),
    "narrow valley": Case(rosenbrock, (jnp.array([1.0, 1.0]),), ("ill-conditioned",), "add"),
    "ill-conditioned quadratic": Case(valley, (jnp.ones(3),), ("ill-conditioned",)),
    "plateau": Case(plateau, (AT(12.0),), ("plateau",), "sub", (-4, 14)),
    "saddle": Case(saddle, (jnp.zeros(2),), ("saddle",), "sub"),
}

HEALTHY = {
    "quadratic": Case(bowl, (jnp.ones(3),)),
    "sine": Case(slow_sine, (AT(0.3),), plot=(-6, 6)),
    "relu": Case(relu, (AT(1.0),), plot=(-2, 2)),
    "abs": Case(absolute, (AT(1.0),), plot=(-2, 2)),
    "where, safe": Case(where_safe, (jnp.array([-1.0, 0.0, 4.0]),)),
    "max": Case(largest, (jnp.array([1.0, 2.0, 3.0]),)),
    "logsumexp": Case(jax.nn.logsumexp, (jnp.array([1.0, 2.0, 2.0]),)),
    "straight-through": Case(straight_through, (TWO, X)),
    "MLP of relu": Case(perceptron(jax.nn.relu), (layers([8, 32, 32, 1]), X)),
    "MLP of tanh": Case(perceptron(jnp.tanh), (layers([8, 32, 32, 1], gain=1.0), X)),
    "deep MLP of relu": Case(perceptron(jax.nn.relu), (layers([8, *[64] * 7, 1]), X)),
    "softmax cross-entropy": Case(cross_entropy, (layers([8, 32, 4], gain=1.0), X)),
    "convnet with max-pool": Case(convnet, (CONVNET.init(KEY, IMAGES), IMAGES)),
    "layer norm, GELU, residual": Case(gated, (GATED.init(KEY, X), X)),
    "causal attention": Case(attention, ({"q": W8, "k": V8, "v": U8}, X)),
}

GALLERY = {**SICK, **HEALTHY}
assert len(GALLERY) == len(SICK) + len(HEALTHY) and not np.isnan(X).any()
