"""StyleGAN2's sizes, and the layout of its tensors as NVIDIA's stylegan2-ada-pytorch publishes them.

`parameters` multiplies every constant gain into the weights: the root of the fan-in, the slower learning rate of the
mapping, and the root of two behind every rectifier, which a rectifier lets through.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from diffprog.errors import BadFile
from diffprog.models.layouts import Entries, Shapes, Tensors, as_known, numbered

MARKS = ("synthesis.b4.const", "synthesis.b4.conv1.weight", "mapping.fc0.weight")
TAPS = (1, 3, 3, 1)  # of the low-pass filter
MAPPING_RATE = 0.01  # the learning rate of the mapping, which its weights are kept divided by
AVERAGE = "mapping.w_avg"
SMALLEST = 4  # height and width of the first layer


@dataclass(frozen=True)
class Architecture:
    """A StyleGAN2 of the skip kind, described whole.

    Attributes:
        name: "stylegan2-1024" for one of published sizes.
        widths: channels at 4 x 4 pixels, 8 x 8, and so on.
        latent: numbers of z.
        style: numbers of w.
        mapping: layers from z to w.
    """

    name: str
    widths: tuple[int, ...]
    latent: int = 512
    style: int = 512
    mapping: int = 8

    @property
    def size(self) -> int:
        """Height and width of the pictures."""
        return SMALLEST << (len(self.widths) - 1)

    @property
    def styles(self) -> int:
        """How many styles a picture has: one for every convolution, and one for the last colours."""
        return 2 * len(self.widths)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, and so on."""
        return tuple(SMALLEST << i for i in range(len(self.widths)))


def published(size: int, base: int = 32768) -> Architecture:
    """NVIDIA's widths: base / size channels, at most 512."""
    widths = tuple(min(base // (SMALLEST << i), 512) for i in range(size.bit_length() - 2))
    return Architecture(f"stylegan2-{size}" + ("" if base == 32768 else "-narrow"), widths)


KNOWN: Mapping[str, Architecture] = {
    one.name: one
    for one in (
        published(256), published(512), published(1024), published(256, 16384), published(512, 16384),
        published(1024, 16384),
    )
}  # fmt: skip
"""Config F, and the narrow ones of config E and of small data sets."""


# ---- which tensors there are -------------------------------------------------------------------------------


def expected(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of an architecture."""
    return dict(_entries(architecture))


def optional(name: str) -> bool:
    """Whether a tensor is computed, or is a constant, where a file lacks it."""
    return name == AVERAGE or name.endswith("resample_filter")


def recognize(shapes: Shapes) -> Architecture | None:
    """The architecture of tensors of these shapes, which tell all of it."""
    try:
        count = numbered(shapes, r"mapping\.fc(\d+)\.")
        sizes = {int(m[1]) for name in shapes if (m := re.match(r"synthesis\.b(\d+)\.", name))}
        resolutions = [SMALLEST << i for i in range(max(sizes).bit_length() - 2)]
        widths = tuple(shapes[f"synthesis.b{size}.conv1.weight"][0] for size in resolutions)
        latent = shapes["mapping.fc0.weight"][1]
        style = shapes[f"mapping.fc{count - 1}.weight"][0]
    except (KeyError, IndexError, ValueError):  # a tensor is missing, or of another rank
        return None
    if not widths or max(sizes) != resolutions[-1]:
        return None
    name = f"of {resolutions[-1]} x {resolutions[-1]} pixels, {'-'.join(map(str, widths))} wide"
    return as_known(Architecture(name, widths, latent, style, count), KNOWN.values())


def convolutions(architecture: Architecture) -> Iterator[tuple[int, str, int, int]]:
    """(height, layer, channels in, channels out) of every filter: conv1 at 4 x 4; conv0, which grows, and conv1."""
    before = architecture.widths[0]
    for size, width in zip(architecture.resolutions, architecture.widths, strict=True):
        if size > SMALLEST:
            yield size, "conv0", before, width
        yield size, "conv1", width, width
        before = width


def _entries(a: Architecture) -> Entries:
    for i in range(a.mapping):
        yield from _linear(f"mapping.fc{i}", a.style, a.style if i else a.latent)
    yield AVERAGE, (a.style,)
    yield "synthesis.b4.const", (a.widths[0], SMALLEST, SMALLEST)
    for size, layer, before, after in convolutions(a):
        name = f"synthesis.b{size}.{layer}"
        yield from _linear(f"{name}.affine", before, a.style)
        yield f"{name}.weight", (after, before, 3, 3)
        yield f"{name}.bias", (after,)
        yield f"{name}.noise_const", (size, size)
        yield f"{name}.noise_strength", ()
        yield f"{name}.resample_filter", (4, 4)
    for size, width in zip(a.resolutions, a.widths, strict=True):
        name = f"synthesis.b{size}"
        yield from _linear(f"{name}.torgb.affine", width, a.style)
        yield f"{name}.torgb.weight", (3, width, 1, 1)
        yield f"{name}.torgb.bias", (3,)
        yield f"{name}.resample_filter", (4, 4)


def _linear(name: str, rows: int, columns: int) -> Entries:
    yield f"{name}.weight", (rows, columns)
    yield f"{name}.bias", (rows,)


# ---- where each goes ---------------------------------------------------------------------------------------


def mapping_parameters(tensors: Tensors, architecture: Architecture) -> dict[str, np.ndarray]:
    """ "fc0/kernel", "fc0/bias", ..., with the gains of equalized learning rates and of the rectifiers."""
    own = {}
    for i in range(architecture.mapping):
        W, b = tensors[f"mapping.fc{i}.weight"], tensors[f"mapping.fc{i}.bias"]
        gain = math.sqrt(2) * MAPPING_RATE
        own[f"fc{i}/kernel"] = (gain / math.sqrt(W.shape[1]) * W).T
        own[f"fc{i}/bias"] = gain * b
    return own


def synthesis_parameters(tensors: Tensors, architecture: Architecture) -> dict[str, np.ndarray]:
    """ "const", "b8/conv0/kernel", "b8/conv0/affine/kernel", "b8/torgb/kernel", and so on."""
    own = {"const": tensors["synthesis.b4.const"].transpose(1, 2, 0)}
    for size, layer, _, _ in convolutions(architecture):
        theirs, ours = f"synthesis.b{size}.{layer}", f"b{size}/{layer}"
        kernel = tensors[f"{theirs}.weight"].transpose(2, 3, 1, 0)  # OIHW -> HWIO
        # Where it grows, the kernel is a stamp; ours reads the spread picture, so the taps are flipped.
        own[f"{ours}/kernel"] = kernel[::-1, ::-1] if layer == "conv0" else kernel
        own[f"{ours}/bias"] = tensors[f"{theirs}.bias"]
        own[f"{ours}/strength"] = tensors[f"{theirs}.noise_strength"]
        own |= _affine(tensors, theirs, ours)
    for size in architecture.resolutions:
        theirs, ours = f"synthesis.b{size}.torgb", f"b{size}/torgb"
        kernel = tensors[f"{theirs}.weight"][:, :, 0, 0].T
        own[f"{ours}/kernel"] = kernel / math.sqrt(len(kernel))
        own[f"{ours}/bias"] = tensors[f"{theirs}.bias"]
        own |= _affine(tensors, theirs, ours)
    return own


def noise_of(tensors: Tensors, architecture: Architecture) -> tuple[np.ndarray, ...]:
    """The noise that is kept with the weights, [height, width] for every filter."""
    return tuple(
        tensors[f"synthesis.b{size}.{layer}.noise_const"] for size, layer, *_ in convolutions(architecture)
    )


def check_filters(tensors: Tensors) -> None:
    """Refuse a network of another low-pass filter than the published [1, 3, 3, 1].

    Raises:
        BadFile: with the tensor.
    """
    wanted = np.outer(TAPS, TAPS) / sum(TAPS) ** 2
    for name, tensor in tensors.items():
        if name.endswith("resample_filter") and not np.allclose(tensor / tensor.sum(), wanted, atol=1e-5):
            raise BadFile(
                f"a StyleGAN2 with another low-pass filter in {name}",
                f"the taps {list(TAPS)} in both directions, which its layers are built for",
                "the weights of a published StyleGAN2",
            )


def _affine(tensors: Tensors, theirs: str, ours: str) -> dict[str, np.ndarray]:
    W = tensors[f"{theirs}.affine.weight"]
    return {
        f"{ours}/affine/kernel": (W / math.sqrt(W.shape[1])).T,
        f"{ours}/affine/bias": tensors[f"{theirs}.affine.bias"],
    }
