"""The text tower: tokens in, one vector out, read where the text ends.

Attention is causal, so the last token of a text, "end of text", is the only one that has seen all of it, and what is
padded behind it is seen by none. It is found as the token with the greatest number, which it has in CLIP's vocabulary;
a configuration that names another number for it (2, in many files) is wrong about these weights.

Source: Radford et al. (2021), section 2.4.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from diffprog.models.clip.architecture import TextTransformer
from diffprog.models.clip.transformer import ACTIVATIONS, Block, LayerNorm, Linear


class Texts(nn.Module):
    """Tokens int[B, T], T at most the context -> features float32[B, embedding].

    Layers: tokens [B, T, C], blocks/0, blocks/1, ..., ln_final [B, T, C], end_of_text [B, C], projection; inside each
    block as in the image tower's.

    Attributes:
        sizes: of the tower.
        embedding: length of the features.
        activation: "quick_gelu" or "gelu".
        epsilon: of the layer norms.
    """

    sizes: TextTransformer
    embedding: int
    activation: str = "quick_gelu"
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        sizes = self.sizes
        x = TokenEmbedding(sizes, name="tokens")(tokens)
        for i in range(sizes.layers):
            activation = ACTIVATIONS[self.activation]
            x = Block(sizes.heads, sizes.hidden, activation, self.epsilon, True, name=f"blocks/{i}")(x)
        x = LayerNorm(self.epsilon, name="ln_final")(x)
        with jax.named_scope("end_of_text"):
            x = at_end_of_text(x, tokens)
        return Linear(self.embedding, use_bias=False, name="projection")(x)


def at_end_of_text(x: jax.Array, tokens: jax.Array) -> jax.Array:
    """What stands at the first token of the greatest number; [B, T, C] and int[B, T] -> [B, C]."""
    ends = jnp.argmax(tokens, axis=-1)[:, None, None]
    return jnp.take_along_axis(x, ends, axis=1)[:, 0]


class TokenEmbedding(nn.Module):
    """The vector of each token, and of its place; int[B, T] -> [B, T, C]."""

    sizes: TextTransformer

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        sizes = self.sizes
        vectors = self.param("vectors", nn.initializers.normal(0.02), (sizes.vocabulary, sizes.width))
        positions = self.param("positions", nn.initializers.normal(0.01), (sizes.context, sizes.width))
        return vectors[tokens] + positions[: tokens.shape[1]]
