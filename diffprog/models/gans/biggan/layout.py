"""BigGAN-deep's sizes, and the layout of its tensors as Hugging Face's pytorch-pretrained-BigGAN publishes them.

A weight under spectral norm is kept as W and two vectors, and is used as W / (u^T W v); `parameters` divides once.
Batch normalization has no running statistics but a table of them, a row for every hundredth of truncation that was
even (`Statistics`), since truncated latents have other activations.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from diffprog.models.layouts import Entries, Shapes, Tensors, as_known, numbered

Statistics = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Layer -> means and variances [rows, C], a row for every step of truncation from 0 to 1."""

SMALLEST = 1e-12
ATTENTION = {"theta": "query", "phi": "key", "g": "value", "o_conv": "out"}
MARKS = ("generator.gen_z.weight_orig",)


class Block(NamedTuple):
    """A residual block: channels before and after, and whether it doubles height and width."""

    before: int
    after: int
    grows: bool


@dataclass(frozen=True)
class Architecture:
    """A BigGAN-deep, described whole.

    Attributes:
        name: "biggan-deep-256" for a published one.
        blocks: from 4 x 4 pixels upwards.
        attention: before which block places attend to each other.
        latent: numbers of z, and of a class's embedding.
        classes: how many.
        rows: of the tables of statistics.
        epsilon: of batch normalization.
    """

    name: str
    blocks: tuple[Block, ...]
    attention: int = 8
    latent: int = 128
    classes: int = 1000
    rows: int = 51
    epsilon: float = 1e-4

    @property
    def size(self) -> int:
        """Height and width of the pictures."""
        return 4 << sum(block.grows for block in self.blocks)

    @property
    def parts(self) -> int:
        """How many latents a picture can have: one for the first layer, one for every block."""
        return 1 + len(self.blocks)


def published(name: str, *widths: int) -> Architecture:
    """A network of blocks in pairs: one that keeps its size and one that grows to the next width."""
    pairs = itertools.pairwise(widths)
    blocks = [
        Block(128 * a, 128 * b, grows) for before, after in pairs
        for a, b, grows in ((before, before, False), (before, after, True))
    ]  # fmt: skip
    return Architecture(name, tuple(blocks))


KNOWN: Mapping[str, Architecture] = {
    one.name: one
    for one in (
        published("biggan-deep-128", 16, 16, 8, 4, 2, 1),
        published("biggan-deep-256", 16, 16, 8, 8, 4, 2, 1),
        published("biggan-deep-512", 16, 16, 8, 8, 4, 2, 1, 1),
    )
}


# ---- which tensors there are -------------------------------------------------------------------------------


def expected(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of an architecture."""
    return dict(_entries(architecture))


def optional(name: str) -> bool:
    """Whether a tensor is computed where a file lacks it: v follows from W and u."""
    return name.endswith(".weight_v")


def recognize(shapes: Shapes) -> Architecture | None:
    """The architecture of tensors of these shapes; that every second block grows is the rule of the published ones."""
    try:
        latent, classes = shapes["embeddings.weight"]
        count = numbered(shapes, r"generator\.layers\.(\d+)\.")
        attention = next(i for i in range(count) if f"generator.layers.{i}.gamma" in shapes)
        layers = [i for i in range(count) if i != attention]
        widths = [
            (shapes[f"generator.layers.{i}.conv_0.weight_orig"][1],
             shapes[f"generator.layers.{i}.conv_3.weight_orig"][0])
            for i in layers
        ]  # fmt: skip
        rows = shapes["generator.bn.running_means"][0]
    except (KeyError, IndexError, ValueError, StopIteration):  # a tensor is missing, or of another rank
        return None
    blocks = tuple(Block(a, b, bool(i % 2)) for i, (a, b) in enumerate(widths))
    if attention >= len(blocks):
        return None
    size = 4 << len(blocks) // 2
    name = f"of {size} x {size} pixels, {len(blocks)} blocks, {blocks[-1].after} wide"
    return as_known(Architecture(name, blocks, attention, latent, classes, rows), KNOWN.values())


def layers(architecture: Architecture) -> Iterator[tuple[str, str, Block]]:
    """Of every block its name, ours, and its sizes; attention has a number of its own."""
    for i, block in enumerate(architecture.blocks):
        yield f"generator.layers.{i + (i >= architecture.attention)}", f"blocks/{i}", block


def attention_layer(architecture: Architecture) -> tuple[str, int]:
    """Name and channels of the layer of attention."""
    channels = architecture.blocks[architecture.attention].before
    return f"generator.layers.{architecture.attention}", channels


def convolutions(block: Block) -> tuple[tuple[int, int, int], ...]:
    """(channels in, channels out, size) of a block's four convolutions."""
    narrow = block.before // 4
    return (block.before, narrow, 1), (narrow, narrow, 3), (narrow, narrow, 3), (narrow, block.after, 1)


def _entries(architecture: Architecture) -> Entries:
    a, condition = architecture, 2 * architecture.latent
    yield "embeddings.weight", (a.latent, a.classes)
    yield from _spectral("generator.gen_z", (16 * a.blocks[0].before, condition), bias=True)
    name, channels = attention_layer(a)
    yield f"{name}.gamma", (1,)
    for part, (rows, columns) in {
        "theta": (channels // 8, channels), "phi": (channels // 8, channels),
        "g": (channels // 2, channels), "o_conv": (channels, channels // 2),
    }.items():  # fmt: skip
        yield from _spectral(f"{name}.snconv1x1_{part}", (rows, columns, 1, 1))
    for name, _, block in layers(a):
        for k, (before, after, size) in enumerate(convolutions(block)):
            for part in ("scale", "offset"):
                yield from _spectral(f"{name}.bn_{k}.{part}", (before, condition))
            yield from _tables(f"{name}.bn_{k}", a.rows, before)
            yield from _spectral(f"{name}.conv_{k}", (after, before, size, size), bias=True)
    width = a.blocks[-1].after
    yield "generator.bn.weight", (width,)
    yield "generator.bn.bias", (width,)
    yield from _tables("generator.bn", a.rows, width)
    yield from _spectral("generator.conv_to_rgb", (width, width, 3, 3), bias=True)


def _tables(name: str, rows: int, channels: int) -> Entries:
    yield f"{name}.running_means", (rows, channels)
    yield f"{name}.running_vars", (rows, channels)


def _spectral(name: str, shape: tuple[int, ...], bias: bool = False) -> Entries:
    yield f"{name}.weight_orig", shape
    yield f"{name}.weight_u", shape[:1]
    yield f"{name}.weight_v", (int(np.prod(shape[1:])),)
    if bias:
        yield f"{name}.bias", shape[:1]


# ---- where each goes ---------------------------------------------------------------------------------------


def parameters(tensors: Tensors, architecture: Architecture) -> dict[str, np.ndarray]:
    """The module's parameters but for its statistics, from tensors that are known to fit."""
    own = {"embedding/kernel": tensors["embeddings.weight"].T}
    own |= _linear(tensors, "generator.gen_z", "project")
    name, _ = attention_layer(architecture)
    own["attention/gamma"] = tensors[f"{name}.gamma"].reshape(())
    for theirs, ours in ATTENTION.items():
        own[f"attention/{ours}/kernel"] = _normalized(tensors, f"{name}.snconv1x1_{theirs}")[:, :, 0, 0].T
    for theirs, ours, _ in layers(architecture):
        for k in range(4):
            own |= _linear(tensors, f"{theirs}.bn_{k}.scale", f"{ours}/norm{k}/scale")
            own |= _linear(tensors, f"{theirs}.bn_{k}.offset", f"{ours}/norm{k}/offset")
            own |= _convolution(tensors, f"{theirs}.conv_{k}", f"{ours}/conv{k}")
    own["norm/scale"], own["norm/bias"] = tensors["generator.bn.weight"], tensors["generator.bn.bias"]
    # The published network computes as many channels as before, and uses three.
    picture = _convolution(tensors, "generator.conv_to_rgb", "picture")
    own |= {part: tensor[..., :3] for part, tensor in picture.items()}
    return {name: np.asarray(tensor, np.float32, order="C") for name, tensor in own.items()}


def statistics(tensors: Tensors, architecture: Architecture) -> Statistics:
    """The tables of batch normalization, by our layer's name."""
    norms = {
        f"{theirs}.bn_{k}": f"{ours}/norm{k}" for theirs, ours, _ in layers(architecture) for k in range(4)
    }
    norms["generator.bn"] = "norm"
    return {
        ours: (tensors[f"{theirs}.running_means"], tensors[f"{theirs}.running_vars"])
        for theirs, ours in norms.items()
    }


def _normalized(tensors: Tensors, name: str) -> np.ndarray:
    """A weight divided by its greatest singular value, as u and v tell it, in float64."""
    W, u = (tensors[f"{name}.{part}"].astype(np.float64) for part in ("weight_orig", "weight_u"))
    matrix = W.reshape(len(W), -1)
    if f"{name}.weight_v" in tensors:
        v = tensors[f"{name}.weight_v"].astype(np.float64)
    else:
        v = matrix.T @ u  # (n, m) (m,) -> (n,)
        v = v / max(float(np.linalg.norm(v)), SMALLEST)
    return W / (u @ matrix @ v)


def _linear(tensors: Tensors, theirs: str, ours: str) -> dict[str, np.ndarray]:
    bias = {f"{ours}/bias": tensors[f"{theirs}.bias"]} if f"{theirs}.bias" in tensors else {}
    return {f"{ours}/kernel": _normalized(tensors, theirs).T, **bias}


def _convolution(tensors: Tensors, theirs: str, ours: str) -> dict[str, np.ndarray]:
    kernel = _normalized(tensors, theirs).transpose(2, 3, 1, 0)  # OIHW -> HWIO
    return {f"{ours}/kernel": kernel, f"{ours}/bias": tensors[f"{theirs}.bias"]}


# ---- statistics of a truncation ----------------------------------------------------------------------------


def at_truncation(tables: Statistics, truncation: float, as_published: bool = False) -> dict[str, np.ndarray]:
    """Mean and variance of every layer at a truncation, interpolated between two rows of its table.

    Args:
        tables: of the network.
        truncation: from 0 to 1.
        as_published: interpolate as the published program does, which weighs the two rows the wrong way round, and
            takes a truncation like 0.58, whose product with 50 is rounded below 29, for the row before.
    """
    own = {}
    for layer, table in tables.items():
        rows = len(table[0])
        place = truncation / (1 / (rows - 1)) if as_published else truncation * (rows - 1)
        low = min(int(place), rows - 2)
        part = place - low
        if as_published and part not in (0, 1):
            part = 1 - part
        for name, values in zip(("mean", "variance"), table, strict=True):
            mixed = (1 - part) * values[low].astype(np.float64) + part * values[low + 1]
            own[f"{layer}/{name}"] = mixed.astype(np.float32)
    return own
