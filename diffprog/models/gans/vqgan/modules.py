"""The decoder of a VQGAN as a module, and the choice of the nearest vector of a codebook.

    z -> nearest vectors -> post_quant_conv -> conv_in -> mid -> up/4 ... up/0 -> norm_out -> conv_out

Shape letters: B batch, h w the grid, H W the picture, C channels, D numbers of a vector, N vectors of the codebook.

Source: Esser, Rombach and Ommer, "Taming Transformers for High-Resolution Image Synthesis" (2021), appendix, table 7.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from diffprog import rules
from diffprog.models.gans.parts import attended, grown
from diffprog.models.gans.vqgan.layout import Architecture
from diffprog.models.layers import Convolution

GROUPS, EPSILON = 32, 1e-6


def nearest(z: Array, codebook: Array) -> Array:
    """The number of the nearest vector of a codebook [N, D], for every place: [..., D] -> int32[...].

    Example:
        >>> nearest(jnp.array([[0.9, 0.2], [0.0, 0.1]]), jnp.array([[0.0, 0.0], [1.0, 0.0]]))
        Array([1, 0], dtype=int32)
    """
    distances = jnp.sum(codebook**2, -1) - 2 * z @ codebook.T  # less |z|^2, which is the same for all
    return jnp.argmin(distances, -1)


def quantized(z: Array, codebook: Array) -> Array:
    """The nearest vectors themselves, [..., D] -> [..., D]; the gradient passes straight through to z.

    Source:
        Bengio, Léonard and Courville 2013; van den Oord et al., "Neural Discrete Representation Learning" (2017).
    """
    chosen = jax.lax.stop_gradient(codebook[nearest(z, codebook)])
    return chosen + (z - jax.lax.stop_gradient(z))  # the chosen vectors to the bit


class Decoder(nn.Module):
    """Vectors [B, h, w, D] -> pictures [B, H, W, 3], of about [-1, 1] and not limited.

    Layers: post_quant_conv, conv_in, mid/block_1, mid/attn_1, mid/block_2, up/4/block/0, up/4/attn/0, ...,
    up/4/upsample, ..., up/0/block/2, norm_out, conv_out; inside a block norm1, conv1, norm2, conv2, and nin_shortcut
    where channels change; inside attention norm, q, k, v and proj_out.

    Attributes:
        sizes: of the network.
    """

    sizes: Architecture

    @nn.compact
    def __call__(self, z: Array) -> Array:
        sizes, top = self.sizes, self.sizes.widths[-1]
        x = Convolution(sizes.latent, activation=None, name="post_quant_conv")(z)
        x = Convolution(top, size=3, activation=None, name="conv_in")(x)
        x = Block(top, name="mid/block_1")(x)
        x = Attention(name="mid/attn_1")(x)
        x = Block(top, name="mid/block_2")(x)
        for level in reversed(range(len(sizes.widths))):
            width = sizes.widths[level]
            for i in range(sizes.blocks):
                x = Block(width, name=f"up/{level}/block/{i}")(x)
                x = Attention(name=f"up/{level}/attn/{i}")(x) if level in sizes.attention else x
            if level:
                x = Convolution(width, size=3, activation=None, name=f"up/{level}/upsample")(grown(x))
        x = rules.silu(Norm(name="norm_out")(x))
        return Convolution(3, size=3, activation=None, name="conv_out")(x)


class Norm(nn.Module):
    """Group normalization of 32 groups; [B, h, w, C] -> the same."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        scale = self.param("scale", nn.initializers.ones_init(), x.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros_init(), x.shape[-1:])
        return rules.group_norm(x, GROUPS, scale, bias, EPSILON)


class Block(nn.Module):
    """Twice normalize, bend and filter, and add what came in; [B, h, w, C] -> [B, h, w, features]."""

    features: int

    @nn.compact
    def __call__(self, x_in: Array) -> Array:
        x = rules.silu(Norm(name="norm1")(x_in))
        x = Convolution(self.features, size=3, activation=None, name="conv1")(x)
        x = rules.silu(Norm(name="norm2")(x))
        x = Convolution(self.features, size=3, activation=None, name="conv2")(x)
        if x_in.shape[-1] != self.features:
            x_in = Convolution(self.features, activation=None, name="nin_shortcut")(x_in)
        return x_in + x


class Attention(nn.Module):
    """Every place takes a mean of what all have, added to what came in; [B, h, w, C] -> the same."""

    @nn.compact
    def __call__(self, x_in: Array) -> Array:
        batch, height, width, channels = x_in.shape
        x = Norm(name="norm")(x_in)
        q, k, v = (
            Convolution(channels, activation=None, name=name)(x).reshape(batch, -1, channels)
            for name in ("q", "k", "v")
        )
        mixed = attended(q * channels**-0.5, k, v).reshape(batch, height, width, channels)
        return x_in + Convolution(channels, activation=None, name="proj_out")(mixed)
