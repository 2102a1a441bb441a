"""A VQGAN's sizes, and the layout of its tensors as taming-transformers publishes them.

Files hold the encoder and the loss as well; only the codebook, `post_quant_conv` and the decoder are read. Levels are
numbered as published: level 0 is that of the finished picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from diffprog.models.layouts import Entries, Shapes, Tensors, as_known, numbered

CODEBOOKS = ("quantize.embedding.weight", "quantize.embed.weight")  # nearest vector; Gumbel's choice
MARKS = ("decoder.conv_in.weight", "post_quant_conv.weight")
IGNORED = ("encoder.", "loss.", "quant_conv.", "quantize.proj.", "colorize")


@dataclass(frozen=True)
class Architecture:
    """The decoder of a VQGAN, described whole.

    Attributes:
        name: "f16-16384" for a published one.
        codes: vectors in the codebook.
        embedding: numbers of each.
        latent: channels between codebook and decoder.
        widths: channels of every level, the finished picture's first.
        blocks: residual blocks of every level.
        attention: levels whose places attend to each other after every block.
        gumbel: whether it was trained with Gumbel's choice, which names the codebook otherwise.
    """

    name: str
    codes: int
    embedding: int
    latent: int
    widths: tuple[int, ...]
    blocks: int = 3
    attention: tuple[int, ...] = ()
    gumbel: bool = False

    @property
    def factor(self) -> int:
        """Pixels along the side of what one vector of the grid is for."""
        return 1 << (len(self.widths) - 1)


F16, F8 = (128, 128, 256, 256, 512), (128, 128, 256, 512)

KNOWN: Mapping[str, Architecture] = {
    one.name: one
    for one in (
        Architecture("f16-1024", 1024, 256, 256, F16, attention=(4,)),
        Architecture("f16-16384", 16384, 256, 256, F16, attention=(4,)),
        Architecture("gumbel-f8", 8192, 256, 256, F8, attention=(3,), gumbel=True),
    )
}


# ---- which tensors there are -------------------------------------------------------------------------------


def expected(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that a picture needs."""
    return dict(_entries(architecture))


def ignored(name: str) -> bool:
    """Whether a tensor of a file has no part in making pictures."""
    return name.startswith(IGNORED)


def recognize(shapes: Shapes) -> Architecture | None:
    """The architecture of tensors of these shapes, which tell all of it."""
    try:
        gumbel = CODEBOOKS[0] not in shapes
        codes, embedding = shapes[CODEBOOKS[gumbel]]
        latent = shapes["decoder.conv_in.weight"][1]
        levels = numbered(shapes, r"decoder\.up\.(\d+)\.")
        widths = tuple(shapes[f"decoder.up.{i}.block.0.conv1.weight"][0] for i in range(levels))
        blocks = numbered(shapes, r"decoder\.up\.0\.block\.(\d+)\.")
    except (KeyError, IndexError, ValueError):  # a tensor is missing, or of another rank
        return None
    attention = tuple(i for i in range(levels) if f"decoder.up.{i}.attn.0.q.weight" in shapes)
    name = f"f{1 << levels - 1}-{codes}, {'-'.join(map(str, widths))} wide"
    found = Architecture(name, codes, embedding, latent, widths, blocks, attention, gumbel)
    return as_known(found, KNOWN.values())


def _entries(a: Architecture) -> Entries:
    top = a.widths[-1]
    yield CODEBOOKS[a.gumbel], (a.codes, a.embedding)
    yield from _convolution("post_quant_conv", a.latent, a.embedding, 1)
    yield from _convolution("decoder.conv_in", top, a.latent, 3)
    yield from _block("decoder.mid.block_1", top, top)
    yield from _attention("decoder.mid.attn_1", top)
    yield from _block("decoder.mid.block_2", top, top)
    before = top
    for level in reversed(range(len(a.widths))):
        for i in range(a.blocks):
            yield from _block(f"decoder.up.{level}.block.{i}", before, a.widths[level])
            before = a.widths[level]
            if level in a.attention:
                yield from _attention(f"decoder.up.{level}.attn.{i}", before)
        if level:
            yield from _convolution(f"decoder.up.{level}.upsample.conv", before, before, 3)
    yield from _norm("decoder.norm_out", before)
    yield from _convolution("decoder.conv_out", 3, before, 3)


def _convolution(name: str, after: int, before: int, size: int) -> Entries:
    yield f"{name}.weight", (after, before, size, size)
    yield f"{name}.bias", (after,)


def _norm(name: str, channels: int) -> Entries:
    yield f"{name}.weight", (channels,)
    yield f"{name}.bias", (channels,)


def _block(name: str, before: int, after: int) -> Entries:
    yield from _norm(f"{name}.norm1", before)
    yield from _convolution(f"{name}.conv1", after, before, 3)
    yield from _norm(f"{name}.norm2", after)
    yield from _convolution(f"{name}.conv2", after, after, 3)
    if before != after:
        yield from _convolution(f"{name}.nin_shortcut", after, before, 1)


def _attention(name: str, channels: int) -> Entries:
    yield from _norm(f"{name}.norm", channels)
    for part in ("q", "k", "v", "proj_out"):
        yield from _convolution(f"{name}.{part}", channels, channels, 1)


# ---- where each goes ---------------------------------------------------------------------------------------


def codebook(tensors: Tensors, architecture: Architecture) -> np.ndarray:
    """[codes, embedding]."""
    return tensors[CODEBOOKS[architecture.gumbel]]


def parameters(tensors: Tensors, architecture: Architecture) -> dict[str, np.ndarray]:
    """The decoder's parameters: "decoder.up.1.upsample.conv.weight" is "up/1/upsample/kernel", and so on."""
    own = {}
    for name, tensor in tensors.items():
        if name in CODEBOOKS:
            continue
        layer, part = name.removeprefix("decoder.").rsplit(".", 1)
        layer = layer.replace("upsample.conv", "upsample").replace(".", "/")
        if part == "weight":
            part = "kernel" if tensor.ndim == 4 else "scale"
        own[f"{layer}/{part}"] = tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor  # OIHW -> HWIO
    return own
