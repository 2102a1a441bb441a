"""StyleGAN2 as two modules: the mapping from z to a style w, and the synthesis of a picture from styles.

    y = d (W * (s x)) + strength noise + bias,    s = affine(w),    d_o = (sum_{k,i} (W_kio s_i)^2 + 1e-8)^(-1/2)

A style scales a filter's inputs, and demodulation its outputs, so that their variance is as before: pictures of a
batch share the kernel W. Growing spreads the pixels, filters, and passes [1, 3, 3, 1] low.
Shape letters: B batch, S styles, Z and D numbers of z and w, C channels.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020), section 2 and appendix B.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from diffprog import rules
from diffprog.models.gans.stylegan2.layout import SMALLEST, TAPS, Architecture

EPSILON, SLOPE = 1e-8, 0.2


class Mapping(nn.Module):
    """z [B, Z] -> w [B, D]. Layers: fc0, fc1, ...; the gain of the rectifiers is in the weights."""

    sizes: Architecture

    @nn.compact
    def __call__(self, z: Array) -> Array:
        x = z * jax.lax.rsqrt(jnp.mean(z**2, -1, keepdims=True) + EPSILON)
        for i in range(self.sizes.mapping):
            x = rules.leaky_relu(nn.Dense(self.sizes.style, name=f"fc{i}")(x), SLOPE)
        return x


class Synthesis(nn.Module):
    """Styles [B, S, D] and noise -> pictures [B, H, W, 3], of about [-1, 1] and not limited.

    Layers: b4/conv1, b4/torgb, b8/conv0, b8/conv1, b8/torgb, ...; inside each affine.

    Attributes:
        sizes: of the network.
    """

    sizes: Architecture

    @nn.compact
    def __call__(self, styles: Array, noise: Sequence[Array]) -> Array:
        """noise: for every filter [height, width], or [B, height, width] with other noise for every picture."""
        sizes, numbers = self.sizes, iter(range(self.sizes.styles))
        const = self.param("const", nn.initializers.normal(1.0), (SMALLEST, SMALLEST, sizes.widths[0]))
        x = jnp.broadcast_to(const, (len(styles), *const.shape))
        picture: Array | None = None
        for size, width in zip(sizes.resolutions, sizes.widths, strict=True):
            for layer in ("conv1",) if size == SMALLEST else ("conv0", "conv1"):
                i = next(numbers)
                modulated = Modulated(width, grows=layer == "conv0", name=f"b{size}/{layer}")
                x = modulated(x, styles[:, i], noise[i])
            colours = Colours(name=f"b{size}/torgb")(x, styles[:, i + 1])
            picture = colours if picture is None else upsampled(picture) + colours
        assert picture is not None
        return picture


class Modulated(nn.Module):
    """A filter of 3 x 3 taps, modulated, with noise, bias and rectifier; [B, h, w, C], [B, D] -> [B, h', w', C']."""

    features: int
    grows: bool

    @nn.compact
    def __call__(self, x: Array, style: Array, noise: Array) -> Array:
        kernel = self.param("kernel", nn.initializers.normal(1.0), (3, 3, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        strength = self.param("strength", nn.initializers.zeros_init(), ())
        s = nn.Dense(x.shape[-1], name="affine")(style)
        d = jax.lax.rsqrt(s**2 @ jnp.sum(kernel**2, (0, 1)) + EPSILON)  # (B, C) (C, C') -> (B, C')
        x = x * s[:, None, None]
        if self.grows:
            x = low_pass(rules.conv_transpose(x, kernel, (2, 2), "VALID"))
        else:
            numbers = ("NHWC", "HWIO", "NHWC")
            x = rules.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=numbers)
        x = x * d[:, None, None] + (strength * noise)[..., None] + bias
        return math.sqrt(2) * rules.leaky_relu(x, SLOPE)


class Colours(nn.Module):
    """The colours of features, modulated and not demodulated; [B, h, w, C], [B, D] -> [B, h, w, 3]."""

    @nn.compact
    def __call__(self, x: Array, style: Array) -> Array:
        kernel = self.param("kernel", nn.initializers.normal(1.0), (x.shape[-1], 3))
        bias = self.param("bias", nn.initializers.zeros_init(), (3,))
        s = nn.Dense(x.shape[-1], name="affine")(style)
        return jnp.einsum("bhwc,bcd->bhwd", x, s[..., None] * kernel) + bias


def upsampled(x: Array) -> Array:
    """Twice the height and width, its pixels spread and passed low; [B, h, w, C] -> [B, 2h, 2w, C]."""
    still, spread = (0, 0, 0), (1, 1, 1)
    return low_pass(jax.lax.pad(x, jnp.zeros((), x.dtype), (still, spread, spread, still)))


def low_pass(x: Array) -> Array:
    """[1, 3, 3, 1] / 4 in both directions after one row of zeros on every side: [B, n + 1, m + 1, C] -> [B, n, m, C].

    Shifted sums, which one loop computes: four taps are too few for a convolution of every channel by itself.
    """
    still, one = (0, 0, 0), (1, 1, 0)
    x = jax.lax.pad(x, jnp.zeros((), x.dtype), (still, one, one, still))
    for axis in (1, 2):
        after = x.shape[axis] - len(TAPS) + 1
        parts = [tap / 4 * jax.lax.slice_in_dim(x, i, i + after, axis=axis) for i, tap in enumerate(TAPS)]
        x = parts[0] + parts[1] + parts[2] + parts[3]
    return x
