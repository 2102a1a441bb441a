"""What a CLIP consists of, in numbers: its towers' sizes, the published networks, and sizes read off weights.

Shapes say everything about a network but four things: the number of heads, the activation, the epsilon of the layer
norms, and the mean and deviation that pictures are normalized with. The published networks' heads are in the table;
the rest comes from a network's configuration or from the caller.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from diffprog.models.layouts import Shapes

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class VisionTransformer(NamedTuple):
    """Sizes of an image tower made of patches; `hidden` is the width inside its two-layer networks."""

    width: int
    layers: int
    heads: int
    patch: int
    image_size: int
    hidden: int


class ResNet(NamedTuple):
    """Sizes of a convolutional image tower: channels of the stem, bottlenecks of each of its four stages."""

    width: int
    layers: tuple[int, int, int, int]
    heads: int
    image_size: int


class TextTransformer(NamedTuple):
    """Sizes of a text tower: `context` tokens out of `vocabulary`."""

    width: int
    layers: int
    heads: int
    context: int
    vocabulary: int
    hidden: int


@dataclass(frozen=True)
class Architecture:
    """A CLIP, described whole.

    Attributes:
        name: "ViT-B/32" for a published one, else its sizes in words.
        vision: sizes of the image tower.
        text: sizes of the text tower.
        embedding: length of the vectors in which pictures and texts meet.
        activation: "quick_gelu" (OpenAI's networks) or "gelu" (exact; most of OpenCLIP's).
        epsilon: of the layer norms.
        mean: of red, green and blue, subtracted from pictures in [0, 1].
        deviation: of red, green and blue, that they are divided by.
    """

    name: str
    vision: VisionTransformer | ResNet
    text: TextTransformer
    embedding: int
    activation: str = "quick_gelu"
    epsilon: float = 1e-5
    mean: tuple[float, float, float] = MEAN
    deviation: tuple[float, float, float] = DEVIATION


def _text(width: int, layers: int = 12, head: int = 64) -> TextTransformer:
    return TextTransformer(width, layers, width // head, context=77, vocabulary=49408, hidden=4 * width)


def _vit(width: int, layers: int, patch: int, size: int = 224, head: int = 64) -> VisionTransformer:
    return VisionTransformer(width, layers, width // head, patch, size, 4 * width)


def _resnet(width: int, layers: tuple[int, int, int, int], size: int) -> ResNet:
    return ResNet(width, layers, width // 2, size)


KNOWN: Mapping[str, Architecture] = {
    name: Architecture(name, vision, text, embedding)
    for name, vision, text, embedding in (
        ("ViT-B/32", _vit(768, 12, 32), _text(512), 512),
        ("ViT-B/16", _vit(768, 12, 16), _text(512), 512),
        ("ViT-L/14", _vit(1024, 24, 14), _text(768), 768),
        ("ViT-L/14@336px", _vit(1024, 24, 14, 336), _text(768), 768),
        ("ViT-H/14", _vit(1280, 32, 14, head=80), _text(1024, 24), 1024),
        ("RN50", _resnet(64, (3, 4, 6, 3), 224), _text(512), 1024),
        ("RN101", _resnet(64, (3, 4, 23, 3), 224), _text(512), 512),
        ("RN50x4", _resnet(80, (4, 6, 10, 6), 288), _text(640), 640),
        ("RN50x16", _resnet(96, (6, 8, 18, 8), 384), _text(768), 768),
        ("RN50x64", _resnet(128, (3, 15, 36, 10), 448), _text(1024), 1024),
    )
}
"""The published networks, by OpenAI's names (ViT-H/14 is LAION's). OpenCLIP's ViT-B-32 has the sizes of ViT-B/32."""


def recognize(shapes: Shapes) -> Architecture | None:
    """The architecture that tensors of these shapes were made for, heads by the published rule of 64 features each.

    Args:
        shapes: of tensors under OpenAI's names.

    Returns:
        One of `KNOWN`, or one of no published size; None for weights that no CLIP could have.
    """
    try:
        text, vision = _text_sizes(shapes), _vision_sizes(shapes)
        embedding = shapes["text_projection"][1]
    except (KeyError, IndexError, ValueError, ZeroDivisionError):  # a tensor is missing, or of another rank
        return None
    for known in KNOWN.values():
        if (_bare(known.vision), _bare(known.text), known.embedding) == (
            _bare(vision),
            _bare(text),
            embedding,
        ):
            return known
    return Architecture(_described(vision), vision, text, embedding)


def _bare(sizes: VisionTransformer | ResNet | TextTransformer) -> object:
    """Sizes without the heads, which shapes do not tell."""
    return sizes._replace(heads=0)


def _described(vision: VisionTransformer | ResNet) -> str:
    if isinstance(vision, ResNet):
        return f"ResNet of {'-'.join(map(str, vision.layers))} blocks, {vision.width} wide"
    return f"ViT of {vision.layers} layers, {vision.width} wide, patches of {vision.patch}"


def _text_sizes(shapes: Shapes) -> TextTransformer:
    vocabulary, width = shapes["token_embedding.weight"]
    context, _ = shapes["positional_embedding"]
    hidden = shapes["transformer.resblocks.0.mlp.c_fc.weight"][0]
    layers = _count(shapes, r"transformer\.resblocks\.(\d+)\.")
    return TextTransformer(width, layers, width // 64, context, vocabulary, hidden)


def _vision_sizes(shapes: Shapes) -> VisionTransformer | ResNet:
    if "visual.attnpool.positional_embedding" in shapes:
        return _resnet_sizes(shapes)
    width, _, patch, _ = shapes["visual.conv1.weight"]
    grid = math.isqrt(shapes["visual.positional_embedding"][0] - 1)
    hidden = shapes["visual.transformer.resblocks.0.mlp.c_fc.weight"][0]
    layers = _count(shapes, r"visual\.transformer\.resblocks\.(\d+)\.")
    return VisionTransformer(width, layers, width // 64, patch, grid * patch, hidden)


def _resnet_sizes(shapes: Shapes) -> ResNet:
    width = shapes["visual.layer1.0.conv1.weight"][0]
    first, second, third, fourth = (_count(shapes, rf"visual\.layer{n}\.(\d+)\.") for n in (1, 2, 3, 4))
    grid = math.isqrt(shapes["visual.attnpool.positional_embedding"][0] - 1)
    return ResNet(width, (first, second, third, fourth), width // 2, 32 * grid)


def _count(shapes: Shapes, pattern: str) -> int:
    """How many layers are numbered so."""
    found = (re.match(pattern, name) for name in shapes)
    return len({match[1] for match in found if match})
