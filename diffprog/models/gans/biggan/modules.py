"""BigGAN-deep as a module: residual blocks whose every normalization is told what to draw.

    x <- x + conv(... norm(x, c) ...)      norm(x, c) = relu(x_hat (1 + scale(c)) + offset(c)),      c = [z, class]

Latents may be one for the whole picture, or one for the first layer and each block, as BigSleep moves them.
Shape letters: B batch, P parts (the first layer and the blocks), C channels, K numbers of a condition.

Source: Brock, Donahue and Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (2019),
appendix B, table 7; layers as published by pytorch-pretrained-BigGAN.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from diffprog import rules
from diffprog.models.gans.biggan.layout import Architecture, Block
from diffprog.models.gans.parts import attended, grown
from diffprog.models.layers import Convolution


class BigGANDeep(nn.Module):
    """Latents and classes -> pictures float32[B, size, size, 3], RGB in [0, 1].

    Layers: embedding, project [B, 4, 4, C], blocks/0, blocks/1, ..., attention, norm, picture; inside each block
    norm0, conv0, ..., norm3, conv3; inside attention query, key, value and out.

    Attributes:
        sizes: of the network.
    """

    sizes: Architecture

    @nn.compact
    def __call__(self, z: Array, classes: Array) -> Array:
        """z [B, latent] or [B, P, latent]; classes [B, classes] or [B, P, classes], of any weights."""
        sizes = self.sizes
        embedded = nn.Dense(sizes.latent, use_bias=False, name="embedding")(classes)
        told = _for_every_part(jnp.concatenate(jnp.broadcast_arrays(*_alike(z, embedded)), -1), sizes.parts)
        channels = sizes.blocks[0].before
        x = nn.Dense(16 * channels, name="project")(told[0]).reshape(-1, 4, 4, channels)
        for i, block in enumerate(sizes.blocks):
            if i == sizes.attention:
                x = Attention(name="attention")(x)
            x = Residual(block, sizes.epsilon, name=f"blocks/{i}")(x, told[i + 1])
        x = Normalized(sizes.epsilon, name="norm")(x)
        return (jnp.tanh(Convolution(3, size=3, activation=None, name="picture")(x)) + 1) / 2


def _alike(z: Array, embedded: Array) -> tuple[Array, Array]:
    """Both for the whole picture, or both for every part."""
    if z.ndim == embedded.ndim:
        return z, embedded
    return (z[:, None], embedded) if z.ndim < embedded.ndim else (z, embedded[:, None])


def _for_every_part(condition: Array, parts: int) -> list[Array]:
    """[B, K] or [B, P, K] -> P times [B, K]."""
    if condition.ndim == 2:
        return [condition] * parts
    return [condition[:, i] for i in range(parts)]


class Residual(nn.Module):
    """Narrow, twice filter, widen, each after a normalization that is told what to draw; and add what came in.

    Where channels become fewer, the first half of what came in is kept. [B, H, W, C], [B, K] -> [B, H', W', C'].
    """

    block: Block
    epsilon: float

    @nn.compact
    def __call__(self, x_in: Array, condition: Array) -> Array:
        narrow = self.block.before // 4
        x = x_in
        for k, (features, size) in enumerate(((narrow, 1), (narrow, 3), (narrow, 3), (self.block.after, 1))):
            x = Conditioned(self.epsilon, name=f"norm{k}")(x, condition)
            if k == 1 and self.block.grows:
                x = grown(x)
            x = Convolution(features, size=size, activation=None, name=f"conv{k}")(x)
        if self.block.before != self.block.after:
            x_in = x_in[..., : self.block.before // 2]
        return x + (grown(x_in) if self.block.grows else x_in)


class Conditioned(nn.Module):
    """relu(x_hat (1 + scale(c)) + offset(c)), x_hat by statistics that are given; [B, H, W, C], [B, K] -> the same."""

    epsilon: float

    @nn.compact
    def __call__(self, x: Array, condition: Array) -> Array:
        mean, r = _statistics(self, x.shape[-1], self.epsilon)
        scale = nn.Dense(x.shape[-1], use_bias=False, name="scale")(condition)
        offset = nn.Dense(x.shape[-1], use_bias=False, name="offset")(condition)
        gain = (1 + scale) * r  # (B, C) (C,) -> (B, C): a product and a sum for every pixel, and no more
        shift = offset - mean * gain
        return rules.relu(x * gain[:, None, None] + shift[:, None, None])


class Normalized(nn.Module):
    """relu(x_hat scale + bias), x_hat by statistics that are given; [B, H, W, C] -> the same."""

    epsilon: float

    @nn.compact
    def __call__(self, x: Array) -> Array:
        mean, r = _statistics(self, x.shape[-1], self.epsilon)
        gain = self.param("scale", nn.initializers.ones_init(), x.shape[-1:]) * r
        bias = self.param("bias", nn.initializers.zeros_init(), x.shape[-1:])
        return rules.relu(x * gain + (bias - mean * gain))


def _statistics(module: nn.Module, channels: int, epsilon: float) -> tuple[Array, Array]:
    mean = module.param("mean", nn.initializers.zeros_init(), (channels,))
    variance = module.param("variance", nn.initializers.ones_init(), (channels,))
    return mean, jax.lax.rsqrt(variance + epsilon)


class Attention(nn.Module):
    """x + gamma out(attention): every place takes a mean of what the strongest of four neighbours have elsewhere."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        batch, height, width, channels = x.shape

        def places(name: str, features: int, strongest: bool) -> Array:
            y = nn.Dense(features, use_bias=False, name=name)(x)
            y = rules.max_pool(y, (2, 2), (2, 2)) if strongest else y
            return y.reshape(batch, -1, features)

        q, k = places("query", channels // 8, False), places("key", channels // 8, True)
        mixed = attended(q, k, places("value", channels // 2, True)).reshape(batch, height, width, -1)
        gamma = self.param("gamma", nn.initializers.zeros_init(), ())
        return x + gamma * nn.Dense(channels, use_bias=False, name="out")(mixed)
