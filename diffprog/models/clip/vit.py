"""The image tower made of patches: a picture becomes a sequence of tokens, and a class token reads them.

Source: Dosovitskiy et al., "An Image is Worth 16x16 Words" (2020), with CLIP's layer norm before the first block and
its projection of the class token (Radford et al. 2021).
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from diffprog.models.clip.architecture import DEVIATION, MEAN, VisionTransformer
from diffprog.models.clip.preprocess import preprocess
from diffprog.models.clip.transformer import ACTIVATIONS, Block, LayerNorm, Linear


class ImageTransformer(nn.Module):
    """float32[B, H, W, 3] RGB in [0, 1] -> features float32[B, embedding].

    Layers: patches [B, rows * columns, C], tokens [B, 1 + rows * columns, C] (the class token first), ln_pre,
    blocks/0, blocks/1, ..., ln_post [B, C], projection; inside each block ln_1, attention/qkv, attention/out,
    attention, ln_2, mlp/hidden and mlp/out.

    Attributes:
        sizes: of the tower.
        embedding: length of the features.
        activation: "quick_gelu" or "gelu".
        epsilon: of the layer norms.
        mean: of red, green and blue.
        deviation: of red, green and blue.
    """

    sizes: VisionTransformer
    embedding: int
    activation: str = "quick_gelu"
    epsilon: float = 1e-5
    mean: tuple[float, float, float] = MEAN
    deviation: tuple[float, float, float] = DEVIATION

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        sizes = self.sizes
        with jax.named_scope("preprocess"):
            x = preprocess(images, sizes.image_size, self.mean, self.deviation)
        x = Patches(sizes.width, sizes.patch, name="patches")(x)
        x = Tokens(name="tokens")(x)
        x = LayerNorm(self.epsilon, name="ln_pre")(x)
        for i in range(sizes.layers):
            activation = ACTIVATIONS[self.activation]
            x = Block(sizes.heads, sizes.hidden, activation, self.epsilon, name=f"blocks/{i}")(x)
        x = LayerNorm(self.epsilon, name="ln_post")(x[:, 0])
        return Linear(self.embedding, use_bias=False, name="projection")(x)


class Patches(nn.Module):
    """A linear map of every `size` x `size` patch; [B, H, W, 3] -> [B, H W / size^2, features], row by row.

    It is a convolution whose stride is its window, written as the product that it is: its gradient by the picture is
    a product too.
    """

    features: int
    size: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        batch, height, width, channels = images.shape
        rows, columns, size = height // self.size, width // self.size, self.size
        split = images.reshape(batch, rows, size, columns, size, channels).swapaxes(2, 3)
        flat = split.reshape(batch, rows * columns, size * size * channels)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (flat.shape[-1], self.features))
        return jnp.matmul(flat, kernel)


class Tokens(nn.Module):
    """A learned token before the others, and to each what was learned for its position; [B, T, C] -> [B, T + 1, C]."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        batch, tokens, channels = x.shape
        normal = nn.initializers.normal(channels**-0.5)
        first = self.param("class", normal, (channels,))
        positions = self.param("positions", normal, (tokens + 1, channels))
        x = jnp.concatenate([jnp.broadcast_to(first, (batch, 1, channels)), x], axis=1)
        return x + positions
