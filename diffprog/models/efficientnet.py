"""EfficientNet-Lite 0, 1 and 2: stacks of inverted bottlenecks with ReLU6 and without squeeze-and-excite.

The module is the network of inference: batch normalization is folded into the convolutions by `convert`,
which maps the tensors of the PyTorch package `efficientnet_lite_pytorch` to the parameters of the module.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019), and the
Lite variants of its TensorFlow implementation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from diffprog import rules
from diffprog.models.layers import Convolution
from diffprog.models.network import STATISTICS

BATCH_NORM_EPSILON = 1e-3
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
MIN_SIZE = 32  # one cell of the last map; below it the layers see more padding than picture
NORM_PARTS = ("weight", "bias", "running_mean", "running_var")
LAYER_OF = {  # convolution of the PyTorch package -> its batch normalization, our layer
    "_conv_stem": ("_bn0", "stem"),
    "_expand_conv": ("_bn0", "expand"),
    "_depthwise_conv": ("_bn1", "depthwise"),
    "_project_conv": ("_bn2", "project"),
    "_conv_head": ("_bn1", "head"),
}
REMEMBERED = {"project": "", "stem": "/add"}  # layers whose statistics are kept; the stem's before its ReLU6


class Stage(NamedTuple):
    """`repeat` bottlenecks of the same width; only the first of them strides."""

    repeat: int
    channels: int
    expand: int
    size: int
    stride: int


STAGES = (
    Stage(1, 16, 1, 3, 1),
    Stage(2, 24, 6, 3, 2),
    Stage(2, 40, 6, 5, 2),
    Stage(3, 80, 6, 3, 2),
    Stage(3, 112, 6, 5, 1),
    Stage(4, 192, 6, 5, 2),
    Stage(1, 320, 6, 3, 1),
)


class Bottleneck(nn.Module):
    """Expand the channels, filter each on its own, project back; plus the input where the shapes agree."""

    channels: int
    expand: int
    size: int
    stride: int

    @nn.compact
    def __call__(self, x_in: jax.Array) -> jax.Array:
        x = x_in
        wide = self.expand * x_in.shape[-1]
        if self.expand > 1:
            x = Convolution(wide, activation=rules.relu6, name="expand")(x)
        x = Convolution(
            wide, self.size, self.stride, depthwise=True, activation=rules.relu6, name="depthwise"
        )(x)
        x = Convolution(self.channels, activation=None, name="project")(x)
        return x + x_in if self.stride == 1 and x.shape == x_in.shape else x


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite: float32[B, H, W, 3] RGB in [0, 1] -> logits float32[B, 1000].

    Layers: stem, blocks/0, blocks/1, ..., head, pool, logits; inside each block expand (but for the first),
    depthwise and project.

    Attributes:
        width: factor on the channels of the stages.
        depth: factor on the repeats of all stages but the first and the last.
    """

    width: float = 1.0
    depth: float = 1.0

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        with jax.named_scope("preprocess"):
            x = (255.0 * images - 127.0) / 128.0
        x = Convolution(STEM_CHANNELS, size=3, stride=2, activation=rules.relu6, name="stem")(x)
        for index, (_, channels, expand, size, stride) in enumerate(bottlenecks(self.width, self.depth)):
            x = Bottleneck(channels, expand, size, stride, name=f"blocks/{index}")(x)
        x = Convolution(HEAD_CHANNELS, activation=rules.relu6, name="head")(x)
        with jax.named_scope("pool"):
            x = jnp.mean(x, axis=(1, 2))
        return nn.Dense(1000, name="logits")(x)


def bottlenecks(width: float, depth: float) -> Iterator[Stage]:
    """The bottlenecks one by one, each a stage with `repeat` 1."""
    for number, stage in enumerate(STAGES):
        scaled = number not in (0, len(STAGES) - 1)
        repeat = math.ceil(depth * stage.repeat) if scaled else stage.repeat
        first = stage._replace(repeat=1, channels=round_channels(width * stage.channels))
        yield first
        yield from [first._replace(stride=1)] * (repeat - 1)


def round_channels(channels: float) -> int:
    """The nearest multiple of 8, but at least 8, and never more than a tenth below `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def convert(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Map the tensors of `efficientnet_lite_pytorch` to the module's, batch normalization folded in.

    With the running mean m and variance v of a channel, `gamma * (W x - m) / sqrt(v + epsilon) + beta` is the
    convolution with kernel `s W` and bias `beta - s m`, where `s = gamma / sqrt(v + epsilon)`. The folding is
    done in float64, so that it adds one rounding and not four.

    Args:
        tensors: name -> array; kernels are OIHW, for example "_blocks.3._bn1.running_mean".

    Returns:
        name -> float32 array; kernels are HWIO, for example "blocks/3/depthwise/kernel". With them, under
        "statistics/", the mean and deviation that natural pictures gave the channels of the linear layers and of
        the stem before its ReLU6: the beta and gamma of their normalizations.

    Raises:
        KeyError: a convolution lacks its batch normalization, or the classifier is missing.
    """
    converted = {"logits/kernel": tensors["_fc.weight"].T, "logits/bias": tensors["_fc.bias"]}
    for name, kernel in tensors.items():
        if kernel.ndim != 4:
            continue
        *parents, convolution = name.removesuffix(".weight").split(".")
        norm, layer = LAYER_OF[convolution]
        target = "/".join([parent.lstrip("_") for parent in parents] + [layer])
        normalization = {part: tensors[".".join([*parents, norm, part])] for part in NORM_PARTS}
        scale, bias = _fold(normalization)
        converted[f"{target}/kernel"] = scale * kernel.transpose(2, 3, 1, 0)
        converted[f"{target}/bias"] = bias
        if layer in REMEMBERED:
            converted[f"{STATISTICS}{target}{REMEMBERED[layer]}/mean"] = normalization["bias"]
            converted[f"{STATISTICS}{target}{REMEMBERED[layer]}/deviation"] = np.abs(normalization["weight"])
    return {name: np.ascontiguousarray(array, np.float32) for name, array in converted.items()}


def _fold(norm: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    gamma, beta, mean, variance = (norm[part].astype(np.float64) for part in NORM_PARTS)
    scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
    return scale, beta - scale * mean
