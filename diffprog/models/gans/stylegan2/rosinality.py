"""The names that rosinality's stylegan2-pytorch gives the same tensors, to NVIDIA's.

It numbers layers instead of naming sizes, keeps axes of length one, and keeps the average style beside the generator.
The gains are the same in both programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from diffprog.models.gans.stylegan2.layout import AVERAGE
from diffprog.models.layouts import Tensors

MARKS = ("input.input", "conv1.conv.weight", "style.1.weight")
PARTS = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "conv.blur.kernel": "resample_filter",
    "noise.weight": "noise_strength",
    "activate.bias": "bias",
    "bias": "bias",
}
MOST_LAYERS = 18  # of one sort, in a network of 1024 x 1024 pixels
LAYER = re.compile(r"(conv1|to_rgb1|convs\.(\d+)|to_rgbs\.(\d+))\.(.+)")


def published(tensors: Tensors) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors under NVIDIA's names, and from these to the file's; those of unknown names keep them."""
    if not any(mark in tensors for mark in MARKS):
        return dict(tensors), {}
    names = {name: nvidia_name(name) for name in tensors}
    renamed = {names[name]: _squeezed(names[name], tensor) for name, tensor in tensors.items()}
    return renamed, {nvidia_name(name): name for name in _every_name()} | {
        names[name]: name for name in tensors
    }


def nvidia_name(name: str) -> str:
    """NVIDIA's name of a tensor of rosinality's.

    Example:
        >>> nvidia_name("convs.3.conv.weight"), nvidia_name("noises.noise_0"), nvidia_name("style.1.bias")
        ('synthesis.b16.conv1.weight', 'synthesis.b4.conv1.noise_const', 'mapping.fc0.bias')
    """
    if name in ("latent_avg", "input.input"):
        return AVERAGE if name == "latent_avg" else "synthesis.b4.const"
    if match := re.fullmatch(r"style\.(\d+)\.(weight|bias)", name):
        return f"mapping.fc{int(match[1]) - 1}.{match[2]}"
    if match := re.fullmatch(r"noises\.noise_(\d+)", name):
        return f"synthesis.{_filter(int(match[1]))}.noise_const"
    if match := re.fullmatch(r"to_rgbs\.(\d+)\.upsample\.kernel", name):
        return f"synthesis.b{8 << int(match[1])}.resample_filter"
    match = LAYER.fullmatch(name)
    if match is None or match[4] not in PARTS:
        return name
    if match[2] is not None or match[1] == "conv1":
        layer = _filter(0 if match[2] is None else 1 + int(match[2]))
    else:
        layer = f"b{4 if match[3] is None else 8 << int(match[3])}.torgb"
    return f"synthesis.{layer}.{PARTS[match[4]]}"


def _every_name() -> Iterator[str]:
    """What this program calls the tensors of any network, so that missing ones can be named, too."""
    yield from ("latent_avg", "input.input")
    yield from (f"style.{i + 1}.{part}" for i in range(MOST_LAYERS) for part in ("weight", "bias"))
    yield from (f"noises.noise_{i}" for i in range(MOST_LAYERS))
    filters = ["conv1", *(f"convs.{i}" for i in range(MOST_LAYERS))]
    colours = ["to_rgb1", *(f"to_rgbs.{i}" for i in range(MOST_LAYERS))]
    yield from (f"{layer}.{part}" for layer in filters for part in PARTS if part != "bias")
    yield from (f"{layer}.{part}" for layer in colours for part in PARTS if part != "activate.bias")
    yield from (f"{layer}.upsample.kernel" for layer in colours[1:])


def _filter(number: int) -> str:
    """The layer of a filter: 0 is at 4 x 4 pixels, and then two at every size."""
    return f"b{4 << (number + 1) // 2}.conv{1 - number % 2}"


def _squeezed(name: str, tensor: np.ndarray) -> np.ndarray:
    """Without the axes of length one that only this program has."""
    ranks = {
        ".const": 3, ".noise_const": 2, ".noise_strength": 0, ".torgb.bias": 1, "conv0.weight": 4,
        "conv1.weight": 4, "torgb.weight": 4, AVERAGE: 1,
    }  # fmt: skip
    rank = next((rank for ending, rank in ranks.items() if name.endswith(ending)), tensor.ndim)
    extra = tensor.shape[: tensor.ndim - rank]
    if name.endswith(".torgb.bias") and tensor.ndim == 4:  # [1, 3, 1, 1]
        return tensor.reshape(-1) if tensor.size == tensor.shape[1] else tensor
    return tensor.reshape(tensor.shape[len(extra) :]) if set(extra) <= {1} else tensor
