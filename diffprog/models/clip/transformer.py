"""The parts that both towers' transformers are made of, each one named layer.

    x <- x + attention(norm(x))        x <- x + out(activation(hidden(norm(x))))

Tokens are [B, T, C] everywhere. Shape letters: B batch, T tokens, C channels, N heads, H features of a head.
Attention is the plain operation: at 50 to 257 tokens the weights are few, and XLA's own backward pass through them was
faster on CPUs than the rule, whose gain is memory at long sequences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from diffprog import rules

Activation = Callable[[jax.Array], jax.Array]


def exact_gelu(x: jax.Array) -> jax.Array:
    """x Phi(x) with the error function; the default of `jax.nn.gelu` is the tanh form, of which no CLIP knows."""
    return rules.gelu(x, approximate=False)


HEADS = ((0, 2), (0, 2))  # the axes B and N, one product for each


ACTIVATIONS: Mapping[str, Activation] = {"quick_gelu": rules.quick_gelu, "gelu": exact_gelu}


class Linear(nn.Module):
    """`activation(x W + b)` as one named layer, [..., C] -> [..., features]."""

    features: int
    use_bias: bool = True
    activation: Activation | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (x.shape[-1], self.features))
        zeros = nn.initializers.zeros_init()
        bias = self.param("bias", zeros, (self.features,)) if self.use_bias else None
        y = rules.linear(x, kernel, bias)
        return y if self.activation is None else self.activation(y)


class LayerNorm(nn.Module):
    """Mean 0 and deviation 1 over the channels, then `scale` and `bias`."""

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones_init(), (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros_init(), (x.shape[-1],))
        return rules.layer_norm(x, scale, bias, self.epsilon)


class SelfAttention(nn.Module):
    """Every token takes a mean of what the others have; [B, T, C] -> [B, T, C].

    Attributes:
        heads: N, which divides C.
        causal: whether token t sees tokens up to t only.
    """

    heads: int
    causal: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        batch, tokens, channels = x.shape
        three = Linear(3 * channels, name="qkv")(x).reshape(batch, tokens, 3, self.heads, -1)
        q, k, v = (three[:, :, i] for i in range(3))
        mixed = attention(q, k, v, self.causal).reshape(batch, tokens, channels)
        return Linear(channels, name="out")(mixed)


def attention(q: jax.Array, k: jax.Array, v: jax.Array, causal: bool = False) -> jax.Array:
    """softmax(q k^T / sqrt(H)) v for every head.

    Args:
        q: [B, T, N, H].
        k: [B, S, N, H].
        v: [B, S, N, H].
        causal: whether query t sees keys up to t only.

    Returns:
        [B, T, N, H].
    """
    with jax.named_scope("weights"):  # [B, N, T, S]
        scores = jax.lax.dot_general(q * (1 / math.sqrt(q.shape[-1])), k, (((3,), (3,)), HEADS))
        if causal:
            seen = jnp.tril(jnp.ones(scores.shape[-2:], bool))
            scores = jnp.where(seen, scores, -jnp.inf)
        weights = jax.nn.softmax(scores)
    mixed = jax.lax.dot_general(weights, v, (((3,), (1,)), ((0, 1), (0, 2))))  # [B, N, T, H]
    return mixed.swapaxes(1, 2)


class Block(nn.Module):
    """Attention, then a network of two layers, each added to what came in; [B, T, C] -> [B, T, C]."""

    heads: int
    hidden: int
    activation: Activation
    epsilon: float
    causal: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        normed = LayerNorm(self.epsilon, name="ln_1")(x)
        x = x + SelfAttention(self.heads, self.causal, name="attention")(normed)
        normed = LayerNorm(self.epsilon, name="ln_2")(x)
        hidden = Linear(self.hidden, activation=self.activation, name="mlp/hidden")(normed)
        return x + Linear(x.shape[-1], name="mlp/out")(hidden)
