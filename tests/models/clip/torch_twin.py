"""CLIP with a ResNet in PyTorch's modules, under the published names; OpenAI's archives are such programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from diffprog.models.clip import Architecture

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional


class Bottleneck(nn.Module):
    def __init__(self, before: int, narrow: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, narrow, 1, bias=False), nn.BatchNorm2d(narrow)
        self.conv2, self.bn2 = nn.Conv2d(narrow, narrow, 3, padding=1, bias=False), nn.BatchNorm2d(narrow)
        self.avgpool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3, self.bn3 = nn.Conv2d(narrow, 4 * narrow, 1, bias=False), nn.BatchNorm2d(4 * narrow)
        self.downsample = None
        if stride > 1 or before != 4 * narrow:
            shortcut = nn.Sequential()  # numbered -1, 0, 1, as published
            shortcut.add_module("-1", nn.AvgPool2d(stride))
            shortcut.add_module("0", nn.Conv2d(before, 4 * narrow, 1, bias=False))
            shortcut.add_module("1", nn.BatchNorm2d(4 * narrow))
            self.downsample = shortcut

    def forward(self, x: Any) -> Any:
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.avgpool(functional.relu(self.bn2(self.conv2(out))))
        out = self.bn3(self.conv3(out))
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)))


class AttentionPool(nn.Module):
    def __init__(self, positions: int, channels: int, heads: int, out: int):
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.zeros(positions + 1, channels))
        self.q_proj, self.k_proj = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.v_proj, self.c_proj = nn.Linear(channels, channels), nn.Linear(channels, out)

    def forward(self, x: Any) -> Any:
        x = x.flatten(2).permute(2, 0, 1)
        x = torch.cat([x.mean(dim=0, keepdim=True), x]) + self.positional_embedding[:, None]
        mixed, _ = functional.multi_head_attention_forward(
            query=x[:1],
            key=x,
            value=x,
            embed_dim_to_check=x.shape[-1],
            num_heads=self.heads,
            in_proj_weight=None,
            in_proj_bias=torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=self.c_proj.weight,
            out_proj_bias=self.c_proj.bias,
            use_separate_proj_weight=True,
            training=False,
            need_weights=False,
            q_proj_weight=self.q_proj.weight,
            k_proj_weight=self.k_proj.weight,
            v_proj_weight=self.v_proj.weight,
        )
        return mixed.squeeze(0)


class ModifiedResNet(nn.Module):
    def __init__(self, layers: tuple[int, ...], width: int, heads: int, size: int, out: int):
        super().__init__()
        half = width // 2
        self.conv1, self.bn1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = nn.Conv2d(half, half, 3, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = nn.Conv2d(half, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.avgpool = nn.AvgPool2d(2)
        before = width
        for stage, blocks in enumerate(layers):
            made = []
            for i in range(blocks):
                made.append(Bottleneck(before, width << stage, 2 if stage and not i else 1))
                before = 4 * (width << stage)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
        self.attnpool = AttentionPool((size // 32) ** 2, before, heads, out)

    def forward(self, x: Any) -> Any:
        for n in (1, 2, 3):
            x = functional.relu(getattr(self, f"bn{n}")(getattr(self, f"conv{n}")(x)))
        x = self.avgpool(x)
        return self.attnpool(self.layer4(self.layer3(self.layer2(self.layer1(x)))))


class QuickGelu(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * torch.sigmoid(1.702 * x)


class ResidualAttentionBlock(nn.Module):
    def __init__(self, width: int, heads: int, mask: Any):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, 4 * width))
        self.mlp.add_module("gelu", QuickGelu())
        self.mlp.add_module("c_proj", nn.Linear(4 * width, width))
        self.attn_mask = mask  # no buffer: not in the state_dict, but in an archive

    def forward(self, x: Any) -> Any:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False, attn_mask=self.attn_mask)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width: int, layers: int, heads: int, mask: Any):
        super().__init__()
        self.resblocks = nn.Sequential(*(ResidualAttentionBlock(width, heads, mask) for _ in range(layers)))

    def forward(self, x: Any) -> Any:
        return self.resblocks(x)


class Twin(nn.Module):
    """A CLIP whose image tower is a ResNet; `forward(pixels, tokens)` gives both towers' features."""

    def __init__(self, architecture: Architecture):
        super().__init__()
        vision, text = architecture.vision, architecture.text
        self.visual = ModifiedResNet(
            vision.layers, vision.width, vision.heads, vision.image_size, architecture.embedding
        )
        mask = torch.full((text.context, text.context), float("-inf")).triu_(1)
        self.transformer = Transformer(text.width, text.layers, text.heads, mask)
        self.token_embedding = nn.Embedding(text.vocabulary, text.width)
        self.positional_embedding = nn.Parameter(torch.zeros(text.context, text.width))
        self.ln_final = nn.LayerNorm(text.width)
        self.text_projection = nn.Parameter(torch.zeros(text.width, architecture.embedding))
        self.logit_scale = nn.Parameter(torch.ones([]))
        for name, value in {
            "input_resolution": vision.image_size,
            "context_length": text.context,
            "vocab_size": text.vocabulary,
        }.items():
            self.register_buffer(name, torch.tensor(value))

    def encode_text(self, tokens: Any) -> Any:
        x = self.token_embedding(tokens) + self.positional_embedding
        x = self.ln_final(self.transformer(x.permute(1, 0, 2)).permute(1, 0, 2))
        return x[torch.arange(x.shape[0]), tokens.argmax(dim=-1)] @ self.text_projection

    def forward(self, pixels: Any, tokens: Any) -> Any:
        return self.visual(pixels), self.encode_text(tokens)


def twin(architecture: Architecture, tensors: dict[str, np.ndarray]) -> Any:
    """The twin with these weights."""
    made = Twin(architecture).eval()
    own = {name: torch.from_numpy(tensor.copy()) for name, tensor in tensors.items()}
    missing, surplus = made.load_state_dict(own, strict=False)
    sizes = {"input_resolution", "context_length", "vocab_size"}
    assert not surplus and {name for name in missing if "num_batches" not in name} == sizes
    return made


def pixels(images: np.ndarray) -> Any:
    """Pictures as the twin takes them."""
    mean, deviation = torch.tensor(Architecture.mean), torch.tensor(Architecture.deviation)
    return ((torch.from_numpy(images) - mean) / deviation).permute(0, 3, 1, 2)
