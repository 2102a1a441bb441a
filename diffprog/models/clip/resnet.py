"""The convolutional image tower: a ResNet whose strides are averages, and whose last pooling is attention.

It differs from the usual ResNet in three places: the stem has three convolutions and an average pooling; wherever a
convolution would stride, an average pooling comes before or after it (anti-aliasing); and instead of the mean over all
positions, the mean is the query of one attention over them. Batch normalization is folded into the convolutions when
weights are read.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021), section 2.4.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from diffprog import rules
from diffprog.models.clip.architecture import DEVIATION, MEAN, ResNet
from diffprog.models.clip.preprocess import preprocess
from diffprog.models.clip.transformer import Linear, attention
from diffprog.models.layers import Convolution

EXPANSION = 4  # a block's output has this many times the channels of its 3x3 convolution
TORCH_PADDING = ((1, 1), (1, 1))  # at stride 2 "SAME" pads (0, 1) on even sizes, and sees other pixels


class ImageResNet(nn.Module):
    """float32[B, H, W, 3] RGB in [0, 1] -> features float32[B, embedding].

    Layers: conv1, conv2, conv3, pool, layer1/0, layer1/1, ..., layer4/2, attnpool; inside each block conv1, conv2,
    conv3 and, where the shape changes, downsample; inside attnpool tokens, query, key, value and out.

    Attributes:
        sizes: of the tower.
        embedding: length of the features.
        mean: of red, green and blue.
        deviation: of red, green and blue.
    """

    sizes: ResNet
    embedding: int
    mean: tuple[float, float, float] = MEAN
    deviation: tuple[float, float, float] = DEVIATION

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        width = self.sizes.width
        with jax.named_scope("preprocess"):
            x = preprocess(images, self.sizes.image_size, self.mean, self.deviation)
        x = Convolution(width // 2, size=3, stride=2, padding=TORCH_PADDING, name="conv1")(x)
        x = Convolution(width // 2, size=3, name="conv2")(x)
        x = Convolution(width, size=3, name="conv3")(x)
        with jax.named_scope("pool"):
            x = rules.avg_pool(x, (2, 2), (2, 2))
        for stage, blocks in enumerate(self.sizes.layers):
            for i in range(blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                x = Bottleneck(width << stage, stride, name=f"layer{stage + 1}/{i}")(x)
        return AttentionPool(self.sizes.heads, self.embedding, name="attnpool")(x)


class Bottleneck(nn.Module):
    """Narrow by 1x1, filter by 3x3, average where it strides, widen by 1x1, and add what came in."""

    channels: int
    stride: int

    @nn.compact
    def __call__(self, x_in: jax.Array) -> jax.Array:
        wide = EXPANSION * self.channels
        x = Convolution(self.channels, name="conv1")(x_in)
        x = Convolution(self.channels, size=3, name="conv2")(x)
        x = Convolution(wide, activation=None, name="conv3")(_shrunk(x, self.stride))
        if self.stride > 1 or x_in.shape[-1] != wide:
            x_in = Convolution(wide, activation=None, name="downsample")(_shrunk(x_in, self.stride))
        return rules.relu(x + x_in)


def _shrunk(x: jax.Array, stride: int) -> jax.Array:
    return x if stride == 1 else rules.avg_pool(x, (stride, stride), (stride, stride))


class AttentionPool(nn.Module):
    """One attention over all positions and their mean, asked by the mean; [B, H, W, C] -> [B, features]."""

    heads: int
    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        tokens = MeanAndPositions(name="tokens")(x)
        channels = tokens.shape[-1]
        q = Linear(channels, name="query")(tokens[:, :1])
        k, v = Linear(channels, name="key")(tokens), Linear(channels, name="value")(tokens)
        q, k, v = (part.reshape(*part.shape[:2], self.heads, -1) for part in (q, k, v))
        mixed = attention(q, k, v)
        return Linear(self.features, name="out")(mixed.reshape(-1, channels))


class MeanAndPositions(nn.Module):
    """The mean before the positions it is of, and to each what was learned; [B, H, W, C] -> [B, 1 + H W, C]."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        x = jnp.concatenate([x.mean(axis=1, keepdims=True), x], axis=1)
        learned = nn.initializers.normal(x.shape[-1] ** -0.5)
        return x + self.param("positions", learned, x.shape[1:])
