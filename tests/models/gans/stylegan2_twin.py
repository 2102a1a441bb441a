"""StyleGAN2 in PyTorch's modules, under NVIDIA's names, with the kernel of every picture made by itself."""

from __future__ import annotations

import math
from typing import Any

import pytest

from diffprog.models.gans.stylegan2.layout import Architecture
from tests.models.gans.tiny import STYLEGAN2 as SMALL
from tests.models.gans.vqgan_twin import Within

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional


def low_pass_filter() -> Any:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) / 64


def filtered(x: Any, taps: Any, before: int, after: int) -> Any:
    """Every channel with 4 times the filter, after so many zeros on every side."""
    kernel = (4 * taps).flip(0, 1).expand(x.shape[1], 1, 4, 4)
    return functional.conv2d(functional.pad(x, (before, after, before, after)), kernel, groups=x.shape[1])


class Linear(nn.Module):
    def __init__(self, before: int, after: int, rate: float = 1.0, bias: float = 0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / rate)
        self.bias = nn.Parameter(bias + 0.3 * torch.randn(after) / rate)
        self.rate = rate

    def forward(self, x: Any) -> Any:
        gain = self.rate / math.sqrt(self.weight.shape[1])
        return functional.linear(x, self.weight * gain, self.bias * self.rate)


class Layer(nn.Module):
    def __init__(self, before: int, after: int, sizes: Architecture, size: int, grows: bool):
        super().__init__()
        self.grows = grows
        self.affine = Linear(sizes.style, before, bias=1.0)
        self.weight = nn.Parameter(torch.randn(after, before, 3, 3))
        self.bias = nn.Parameter(0.3 * torch.randn(after))
        self.noise_strength = nn.Parameter(torch.tensor(0.4))
        self.register_buffer("noise_const", torch.randn(size, size))
        self.register_buffer("resample_filter", low_pass_filter())

    def forward(self, x: Any, w: Any) -> Any:
        batch, before, height, width = x.shape
        kernels = self.weight * self.affine(w)[:, None, :, None, None]  # [B, out, in, 3, 3]
        kernels = kernels * (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        x = x.reshape(1, batch * before, height, width)
        if self.grows:
            stamps = kernels.transpose(1, 2).flatten(0, 1)
            x = functional.conv_transpose2d(x, stamps, stride=2, groups=batch)
            x = filtered(x.reshape(batch, -1, *x.shape[2:]), self.resample_filter, 1, 1)
        else:
            x = functional.conv2d(x, kernels.flatten(0, 1), padding=1, groups=batch)
            x = x.reshape(batch, -1, height, width)
        x = x + self.noise_strength * self.noise_const + self.bias[:, None, None]
        return functional.leaky_relu(x, 0.2) * math.sqrt(2)


class ToRGB(nn.Module):
    def __init__(self, before: int, sizes: Architecture):
        super().__init__()
        self.affine = Linear(sizes.style, before, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, before, 1, 1))
        self.bias = nn.Parameter(0.1 * torch.randn(3))

    def forward(self, x: Any, w: Any) -> Any:
        kernels = self.weight[:, :, 0, 0] * self.affine(w)[:, None] / math.sqrt(x.shape[1])
        return torch.einsum("boc,bchw->bohw", kernels, x) + self.bias[:, None, None]


class Level(nn.Module):
    def __init__(self, before: int, after: int, sizes: Architecture, size: int):
        super().__init__()
        self.register_buffer("resample_filter", low_pass_filter())
        if size == 4:
            self.const = nn.Parameter(torch.randn(after, 4, 4))
        else:
            self.conv0 = Layer(before, after, sizes, size, grows=True)
        self.conv1 = Layer(after, after, sizes, size, grows=False)
        self.torgb = ToRGB(after, sizes)


class StyleGAN2Twin(nn.Module):
    """z [B, Z] and truncation, or styles [B, S, D] -> pictures [B, H, W, 3] in [0, 1]."""

    def __init__(self, sizes: Architecture = SMALL):
        super().__init__()
        self.sizes = sizes
        self.mapping, self.synthesis = nn.Module(), nn.Module()
        for i in range(sizes.mapping):
            layer = Linear(sizes.style if i else sizes.latent, sizes.style, rate=0.01)
            setattr(self.mapping, f"fc{i}", layer)
        self.mapping.register_buffer("w_avg", 0.5 * torch.randn(sizes.style))
        before = 0
        for i, after in enumerate(sizes.widths):
            setattr(self.synthesis, f"b{4 << i}", Level(before, after, sizes, 4 << i))
            before = after

    def styles(self, z: Any, truncation: float) -> Any:
        x = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
        for i in range(self.sizes.mapping):
            x = functional.leaky_relu(getattr(self.mapping, f"fc{i}")(x), 0.2) * math.sqrt(2)
        x = torch.lerp(self.mapping.w_avg, x, truncation)
        return x[:, None].expand(-1, 2 * len(self.sizes.widths), -1)

    def forward(self, styles: Any) -> Any:
        first = self.synthesis.b4
        x = first.conv1(first.const.expand(len(styles), -1, -1, -1), styles[:, 0])
        picture, i = first.torgb(x, styles[:, 1]), 1
        for size in range(1, len(self.sizes.widths)):
            level = getattr(self.synthesis, f"b{4 << size}")
            x = level.conv1(level.conv0(x, styles[:, i]), styles[:, i + 1])
            spread = torch.zeros(*picture.shape[:2], 2 * picture.shape[2], 2 * picture.shape[3])
            spread[:, :, ::2, ::2] = picture
            picture = filtered(spread, level.resample_filter, 2, 1) + level.torgb(x, styles[:, i + 2])
            i += 2
        return Within.apply((picture.permute(0, 2, 3, 1) + 1) / 2)


def twin() -> StyleGAN2Twin:
    """Seeded."""
    torch.manual_seed(2)
    return StyleGAN2Twin().eval()


def as_rosinality(state: dict[str, Any], sizes: Architecture = SMALL) -> dict[str, Any]:
    """A checkpoint of rosinality's program with the tensors of NVIDIA's."""
    own = {"input.input": state["synthesis.b4.const"][None]}
    for i in range(sizes.mapping):
        for part in ("weight", "bias"):
            own[f"style.{i + 1}.{part}"] = state[f"mapping.fc{i}.{part}"]

    def layer(theirs: str, ours: str, noise: int, grows: bool) -> None:
        t = {name.removeprefix(f"{theirs}."): v for name, v in state.items() if name.startswith(f"{theirs}.")}
        own[f"{ours}.conv.weight"] = t["weight"][None]
        own[f"{ours}.conv.modulation.weight"] = t["affine.weight"]
        own[f"{ours}.conv.modulation.bias"] = t["affine.bias"]
        own[f"{ours}.noise.weight"] = t["noise_strength"][None]
        own[f"{ours}.activate.bias"] = t["bias"]
        own[f"noises.noise_{noise}"] = t["noise_const"][None, None]
        if grows:
            own[f"{ours}.conv.blur.kernel"] = 4 * t["resample_filter"]

    def colours(theirs: str, ours: str) -> None:
        own[f"{ours}.conv.weight"] = state[f"{theirs}.weight"][None]
        own[f"{ours}.conv.modulation.weight"] = state[f"{theirs}.affine.weight"]
        own[f"{ours}.conv.modulation.bias"] = state[f"{theirs}.affine.bias"]
        own[f"{ours}.bias"] = state[f"{theirs}.bias"].reshape(1, 3, 1, 1)

    layer("synthesis.b4.conv1", "conv1", 0, False)
    colours("synthesis.b4.torgb", "to_rgb1")
    for j in range(len(sizes.widths) - 1):
        name = f"synthesis.b{8 << j}"
        layer(f"{name}.conv0", f"convs.{2 * j}", 2 * j + 1, True)
        layer(f"{name}.conv1", f"convs.{2 * j + 1}", 2 * j + 2, False)
        colours(f"{name}.torgb", f"to_rgbs.{j}")
        own[f"to_rgbs.{j}.upsample.kernel"] = 4 * state[f"{name}.resample_filter"]
    raw = {name: torch.zeros_like(tensor) for name, tensor in own.items()}
    return {
        "g": raw,
        "g_ema": own,
        "d": {"convs.0.0.weight": torch.zeros(3)},
        "latent_avg": state["mapping.w_avg"],
    }
