"""The generator of a DCGAN: from a hundred normal numbers to a face of 64 x 64 pixels.

The module is the network of inference: batch normalization is folded into the transposed convolutions by `convert`,
which maps the tensors of the published PyTorch checkpoint to the parameters of the module. The first transposed
convolution sees a single pixel, so it is the matrix product that it amounts to.

Source: Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks" (2016), and PyTorch's example of it, whose layers the checkpoint has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from diffprog import rules
from diffprog.errors import BadFile

BATCH_NORM_EPSILON = 1e-5
LATENT = 100
SIZE = 64
NORM_PARTS = ("weight", "bias", "running_mean", "running_var")
LAYER = re.compile(r"(?:netG_state_dict/)?main\.(\d+)\.(weight|bias|running_mean|running_var)")
PLACES = (0, 3, 6, 9, 12)  # of the convolutions in the checkpoint; a normalization follows all but the last


class Growth(nn.Module):
    """Twice the height and width: a transposed convolution of 4 x 4 taps that spreads the picture by two."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (4, 4, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        # PyTorch's padding 1 leaves 4 - 1 - 1 zeros around the spread picture.
        return rules.conv_transpose(x, kernel, (2, 2), ((2, 2), (2, 2))) + bias


class DCGAN(nn.Module):
    """Latents float32[B, latent] -> pictures float32[B, 64, 64, 3], RGB in [0, 1].

    Layers: project, grow1, grow2, grow3, picture.

    Attributes:
        width: channels of the last hidden layer; each before it has twice as many.
    """

    width: int = 64

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        channels = [self.width * factor for factor in (8, 4, 2, 1)]
        x = nn.Dense(16 * channels[0], name="project")(z)
        x = rules.relu(x.reshape(-1, 4, 4, channels[0]))
        for number, features in enumerate(channels[1:], 1):
            x = rules.relu(Growth(features, name=f"grow{number}")(x))
        x = Growth(3, name="picture")(x)
        return (jnp.tanh(x) + 1) / 2


def convert(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Map the tensors of the PyTorch checkpoint to the module's, batch normalization folded in.

    PyTorch gives every input pixel the kernel as a stamp; our rule reads the spread picture with it, so the taps are
    flipped. The folding is done in float64, so that it adds one rounding and not four.

    Args:
        tensors: name -> array, kernels (in, out, 4, 4): "netG_state_dict/main.3.weight".

    Returns:
        name -> float32 array: "grow1/kernel" (4, 4, in, out).

    Raises:
        BadFile: a tensor is missing.
    """
    found = {(int(m[1]), m[2]): t for name, t in tensors.items() if (m := LAYER.fullmatch(name))}
    missing = [key for place in PLACES for key in _parts(place) if key not in found]
    if missing:
        raise BadFile(
            f"a checkpoint without main.{missing[0][0]}.{missing[0][1]}",
            "the generator of PyTorch's DCGAN example: main.0 to main.12",
            "the file that the catalogue names",
        )
    converted = {}
    for number, place in enumerate(PLACES):
        scale, bias = _fold(found, place)
        kernel = (
            found[place, "weight"].astype(np.float64) * scale[:, None, None]
        )  # (in, out, 4, 4) (out, 1, 1)
        if number == 0:
            # One pixel in: output (i, j) of channel o is z times tap (i, j).
            converted["project/kernel"] = kernel.transpose(0, 2, 3, 1).reshape(len(kernel), -1)
            converted["project/bias"] = np.tile(bias, 16)
            continue
        name = "picture" if place == PLACES[-1] else f"grow{number}"
        converted[f"{name}/kernel"] = kernel.transpose(2, 3, 0, 1)[::-1, ::-1]
        converted[f"{name}/bias"] = bias
    return {name: np.ascontiguousarray(array, np.float32) for name, array in converted.items()}


def _parts(place: int) -> list[tuple[int, str]]:
    norm = [] if place == PLACES[-1] else [(place + 1, part) for part in NORM_PARTS]
    return [(place, "weight"), *norm]


def _fold(found: Mapping[tuple[int, str], np.ndarray], place: int) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift of every output channel; the last layer has neither."""
    if place == PLACES[-1]:
        channels = found[place, "weight"].shape[1]
        return np.ones(channels), np.zeros(channels)
    gamma, beta, mean, variance = (found[place + 1, part].astype(np.float64) for part in NORM_PARTS)
    scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
    return scale, beta - scale * mean
