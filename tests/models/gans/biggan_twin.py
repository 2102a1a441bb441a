"""BigGAN-deep in PyTorch's modules, under the published names, with PyTorch's own spectral norm."""

from __future__ import annotations

import math
from typing import Any

import pytest

from diffprog.models.gans.biggan.layout import Architecture, Block
from tests.models.gans.tiny import BIGGAN as SMALL

torch = pytest.importorskip("torch")
nn, functional, spectral = torch.nn, torch.nn.functional, torch.nn.utils.spectral_norm


class Norm(nn.Module):
    def __init__(self, channels: int, sizes: Architecture, conditional: bool = True):
        super().__init__()
        self.epsilon, self.rows = sizes.epsilon, sizes.rows
        self.register_buffer("running_means", 0.5 * torch.randn(sizes.rows, channels))
        self.register_buffer("running_vars", 0.5 + torch.rand(sizes.rows, channels))
        if conditional:
            self.scale = spectral(nn.Linear(2 * sizes.latent, channels, bias=False))
            self.offset = spectral(nn.Linear(2 * sizes.latent, channels, bias=False))
        else:
            self.weight = nn.Parameter(1 + 0.3 * torch.randn(channels))
            self.bias = nn.Parameter(0.3 * torch.randn(channels))

    def forward(self, x: Any, truncation: float, condition: Any = None) -> Any:
        part, low = math.modf(truncation / (1 / (self.rows - 1)))  # as published, with its weights
        mean, variance = (
            table[int(low)] if part == 0 else table[int(low)] * part + table[int(low) + 1] * (1 - part)
            for table in (self.running_means, self.running_vars)
        )
        x = (x - mean[:, None, None]) / (variance[:, None, None] + self.epsilon).sqrt()
        if condition is None:
            return x * self.weight[:, None, None] + self.bias[:, None, None]
        return x * (1 + self.scale(condition))[..., None, None] + self.offset(condition)[..., None, None]


class Residual(nn.Module):
    def __init__(self, block: Block, sizes: Architecture):
        super().__init__()
        self.block, narrow = block, block.before // 4
        for k, (before, after, size) in enumerate(
            ((block.before, narrow, 1), (narrow, narrow, 3), (narrow, narrow, 3), (narrow, block.after, 1))
        ):
            setattr(self, f"bn_{k}", Norm(before, sizes))
            setattr(self, f"conv_{k}", spectral(nn.Conv2d(before, after, size, padding=size // 2)))

    def forward(self, x: Any, condition: Any, truncation: float) -> Any:
        kept = x if self.block.before == self.block.after else x[:, : self.block.before // 2]
        for k in range(4):
            x = functional.relu(getattr(self, f"bn_{k}")(x, truncation, condition))
            if k == 1 and self.block.grows:
                x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = getattr(self, f"conv_{k}")(x)
        if self.block.grows:
            kept = functional.interpolate(kept, scale_factor=2, mode="nearest")
        return x + kept


class Attention(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        for part, before, after in (
            ("theta", channels, channels // 8),
            ("phi", channels, channels // 8),
            ("g", channels, channels // 2),
            ("o_conv", channels // 2, channels),
        ):
            setattr(self, f"snconv1x1_{part}", spectral(nn.Conv2d(before, after, 1, bias=False)))
        self.gamma = nn.Parameter(torch.full((1,), 0.7))

    def forward(self, x: Any) -> Any:
        q = self.snconv1x1_theta(x).flatten(2)  # [B, C, T]
        k = functional.max_pool2d(self.snconv1x1_phi(x), 2).flatten(2)
        v = functional.max_pool2d(self.snconv1x1_g(x), 2).flatten(2)
        mixed = v @ (q.transpose(1, 2) @ k).softmax(-1).transpose(1, 2)
        return x + self.gamma * self.snconv1x1_o_conv(mixed.reshape(len(x), -1, *x.shape[2:]))


class Generator(nn.Module):
    def __init__(self, sizes: Architecture):
        super().__init__()
        self.channels, last = sizes.blocks[0].before, sizes.blocks[-1].after
        self.gen_z = spectral(nn.Linear(2 * sizes.latent, 16 * self.channels))
        parts: list[Any] = [Residual(block, sizes) for block in sizes.blocks]
        parts.insert(sizes.attention, Attention(sizes.blocks[sizes.attention].before))
        self.layers = nn.ModuleList(parts)
        self.bn = Norm(last, sizes, conditional=False)
        self.conv_to_rgb = spectral(nn.Conv2d(last, last, 3, padding=1))

    def forward(self, conditions: list[Any], truncation: float) -> Any:
        x = self.gen_z(conditions[0]).reshape(-1, 4, 4, self.channels).permute(0, 3, 1, 2)
        told = iter(conditions[1:])
        for layer in self.layers:
            x = layer(x) if isinstance(layer, Attention) else layer(x, next(told), truncation)
        return torch.tanh(self.conv_to_rgb(functional.relu(self.bn(x, truncation)))[:, :3])


class BigGANTwin(nn.Module):
    """z and classes [B, numbers] or [B, parts, numbers] -> pictures [B, H, W, 3] in [0, 1]."""

    def __init__(self, sizes: Architecture = SMALL):
        super().__init__()
        self.parts = 1 + len(sizes.blocks)
        self.embeddings = nn.Linear(sizes.classes, sizes.latent, bias=False)
        self.generator = Generator(sizes)

    def forward(self, z: Any, classes: Any, truncation: float) -> Any:
        condition = torch.cat([z, self.embeddings(classes)], -1)
        conditions = [condition] * self.parts if z.ndim == 2 else list(condition.unbind(1))
        return (self.generator(conditions, truncation).permute(0, 2, 3, 1) + 1) / 2


def twin() -> BigGANTwin:
    """Seeded; spectral norm's vectors have come near to the singular ones, as after training."""
    torch.manual_seed(0)
    made = BigGANTwin()
    with torch.no_grad():
        for _ in range(3):
            made.train()(torch.randn(2, SMALL.latent), torch.rand(2, SMALL.classes), 1.0)
    return made.eval()
