"""The decoder of a VQGAN in PyTorch's modules, under the published names."""

from __future__ import annotations

from typing import Any

import pytest

from diffprog.models.gans.vqgan.layout import Architecture
from tests.models.gans.tiny import VQGAN as SMALL

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional


def norm(channels: int) -> Any:
    made = nn.GroupNorm(32, channels, eps=1e-6)
    nn.init.normal_(made.weight, 1, 0.3)
    nn.init.normal_(made.bias, 0, 0.3)
    return made


class ResnetBlock(nn.Module):
    def __init__(self, before: int, after: int):
        super().__init__()
        self.norm1, self.conv1 = norm(before), nn.Conv2d(before, after, 3, padding=1)
        self.norm2, self.conv2 = norm(after), nn.Conv2d(after, after, 3, padding=1)
        if before != after:
            self.nin_shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Any) -> Any:
        h = self.conv1(functional.silu(self.norm1(x)))
        h = self.conv2(functional.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class AttnBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norm = norm(channels)
        for part in ("q", "k", "v", "proj_out"):
            setattr(self, part, nn.Conv2d(channels, channels, 1))

    def forward(self, x: Any) -> Any:
        h = self.norm(x)
        q, k, v = (part(h).flatten(2) for part in (self.q, self.k, self.v))  # [B, C, T]
        weights = (torch.einsum("bct,bcs->bts", q, k) / x.shape[1] ** 0.5).softmax(-1)
        return x + self.proj_out(torch.einsum("bts,bcs->bct", weights, v).reshape(x.shape))


class Level(nn.Module):
    def __init__(self, before: int, after: int, blocks: int, attends: bool, grows: bool):
        super().__init__()
        self.block = nn.ModuleList([ResnetBlock(after if i else before, after) for i in range(blocks)])
        self.attn = nn.ModuleList([AttnBlock(after) for _ in range(blocks if attends else 0)])
        if grows:
            self.upsample = nn.Module()
            self.upsample.conv = nn.Conv2d(after, after, 3, padding=1)

    def forward(self, x: Any) -> Any:
        for i, block in enumerate(self.block):
            x = block(x)
            x = self.attn[i](x) if len(self.attn) else x
        if hasattr(self, "upsample"):
            x = self.upsample.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return x


class Decoder(nn.Module):
    def __init__(self, sizes: Architecture):
        super().__init__()
        top, levels = sizes.widths[-1], len(sizes.widths)
        self.conv_in = nn.Conv2d(sizes.latent, top, 3, padding=1)
        self.mid = nn.Module()
        self.mid.block_1, self.mid.attn_1 = ResnetBlock(top, top), AttnBlock(top)
        self.mid.block_2 = ResnetBlock(top, top)
        before = [*sizes.widths[1:], top]
        self.up = nn.ModuleList(
            Level(before[i], sizes.widths[i], sizes.blocks, i in sizes.attention, i > 0)
            for i in range(levels)
        )
        self.norm_out = norm(sizes.widths[0])
        self.conv_out = nn.Conv2d(sizes.widths[0], 3, 3, padding=1)

    def forward(self, z: Any) -> Any:
        x = self.mid.block_2(self.mid.attn_1(self.mid.block_1(self.conv_in(z))))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(functional.silu(self.norm_out(x)))


class Within(torch.autograd.Function):
    """[0, 1], whose gradient passes where a step down it leads back inside."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * (g * (x - x.clamp(0, 1)) >= 0)


class VQGANTwin(nn.Module):
    """Grids [B, h, w, D] -> pictures [B, H, W, 3] in [0, 1]."""

    def __init__(self, sizes: Architecture = SMALL):
        super().__init__()
        self.encoder = nn.Conv2d(3, 4, 1)  # a part of published files that makes no pictures
        self.quantize = nn.Module()
        self.quantize.embedding = nn.Embedding(sizes.codes, sizes.embedding)
        self.quant_conv = nn.Conv2d(sizes.latent, sizes.embedding, 1)
        self.post_quant_conv = nn.Conv2d(sizes.embedding, sizes.latent, 1)
        self.decoder = Decoder(sizes)

    def forward(self, z: Any) -> Any:
        codebook = self.quantize.embedding.weight
        distances = ((z[..., None, :] - codebook) ** 2).sum(-1)
        z = z + (codebook[distances.argmin(-1)] - z).detach()
        x = self.decoder(self.post_quant_conv(z.permute(0, 3, 1, 2)))
        return Within.apply((x.permute(0, 2, 3, 1) + 1) / 2)


def twin() -> VQGANTwin:
    """Seeded; some of its pixels lie beyond the limits of a picture."""
    torch.manual_seed(1)
    made = VQGANTwin()
    with torch.no_grad():
        made.decoder.conv_out.weight.mul_(2)
    return made.eval()
