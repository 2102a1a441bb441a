"""SqueezeNet 1.1: a thousand classes of ImageNet from 1.2 million numbers.

Accounts of the network differ in three places; at 224 pixels, the size used here, only the second matters:

- conv1 pads nothing in the original definition, which is followed here; the package that carries the weights
  pads it 'SAME'. At sizes divisible by four both give the same from pool1 on, because the extra row and
  column are never pooled. At 227, over 24 crops of a photograph of a cat, the mean log-probability of "a cat"
  is -0.03 without padding and -0.07 with it.
- conv10 has a ReLU in the original definition, which is followed here; that package leaves it out. On
  photographs it moves probabilities by less than 0.02.
- Pools round their size down, as XLA's 'VALID' does; Caffe rounds up. At 224 they divide evenly. That is why
  `input_size` is 224 and not the 227 of the training: the maps end at 13 x 13 either way, and the mean
  log-probability above is -0.02.

Source: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters" (2016), and the
definition of version 1.1 published with its weights.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from diffprog import rules
from diffprog.models.layers import Convolution

MEAN_BGR = (103.939, 116.779, 123.68)  # the weights know pictures as BGR in 0..255, minus this
# number of the fire module -> channels that it squeezes to
SQUEEZE_CHANNELS = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
POOL_AFTER = (3, 5)
MIN_SIZE = 31  # 31 -> conv1 15 -> pool1 7 -> pool3 3 -> pool5 1


class Fire(nn.Module):
    """Squeeze to few channels, then expand to eight times as many through 1x1 and 3x3 kernels."""

    squeeze: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        squeezed = Convolution(self.squeeze, name="squeeze")(x)
        point = Convolution(4 * self.squeeze, name="expand1x1")(squeezed)
        patch = Convolution(4 * self.squeeze, size=3, name="expand3x3")(squeezed)
        return jnp.concatenate([point, patch], axis=-1)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1: float32[B, H, W, 3] RGB in [0, 1] -> logits float32[B, 1000].

    Layers: conv1, pool1, fire2, fire3, pool3, fire4, fire5, pool5, fire6, ..., fire9, conv10, logits; inside
    each fire module squeeze, expand1x1 and expand3x3.
    """

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        with jax.named_scope("preprocess"):
            x = 255.0 * images[..., ::-1] - jnp.asarray(MEAN_BGR, images.dtype)
        x = Convolution(64, size=3, stride=2, padding="VALID", name="conv1")(x)
        x = _pool(x, "pool1")
        for number, squeeze in SQUEEZE_CHANNELS.items():
            x = Fire(squeeze, name=f"fire{number}")(x)
            if number in POOL_AFTER:
                x = _pool(x, f"pool{number}")
        x = Convolution(1000, name="conv10")(x)
        with jax.named_scope("logits"):
            return jnp.mean(x, axis=(1, 2))


def _pool(x: jax.Array, name: str) -> jax.Array:
    with jax.named_scope(name):
        return rules.max_pool(x, (3, 3), strides=(2, 2), padding="VALID")
