"""The one building block of the networks here: a convolution with its bias and its activation.

They form one module, so that they form one named layer: the value that carries the layer's name is what
the next layer receives, after the activation. The convolution and the activations are those of
`diffprog.rules`. Batch normalization is left out on purpose: the networks only infer, so it is folded into
kernel and bias when the weights are converted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax

from diffprog import rules


class Convolution(nn.Module):
    """`activation(x * kernel + bias)` as one named layer, on float32[B, H, W, C] images.

    Attributes:
        features: channels of the output.
        size: height and width of the kernel.
        stride: step of the window in both directions.
        padding: "SAME" or "VALID", as XLA means them, or (before, after) for height and for width.
        depthwise: one kernel for each channel, instead of all to all.
        activation: applied to the sum; None for a linear layer.
    """

    features: int
    size: int = 1
    stride: int = 1
    padding: str | Sequence[tuple[int, int]] = "SAME"
    depthwise: bool = False
    activation: Callable[[jax.Array], jax.Array] | None = rules.relu

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        groups = x.shape[-1] if self.depthwise else 1
        shape = (self.size, self.size, x.shape[-1] // groups, self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        y = rules.conv_general_dilated(
            x,
            kernel,
            (self.stride, self.stride),
            self.padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )
        y = y + bias
        return y if self.activation is None else self.activation(y)
