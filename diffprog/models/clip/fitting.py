"""Whether weights fit an architecture, and what to say where they do not: which keys differ, and what they fit.

Names in messages are those of the user's file.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from diffprog.errors import BadFile
from diffprog.models.clip.architecture import KNOWN, Architecture, Shapes
from diffprog.models.clip.published import expected, ignored
from diffprog.models.differences import MOST_SHOWN, Differences, Shown, differences, listed

CLOSE = 0.5  # weights that share fewer than this of an architecture's tensors are of something else
OTHERS = {  # a part of a name that only this network has -> what it is
    "vision_model.head.": "SigLIP",
    "visual.trunk.": "an OpenCLIP network whose image tower is timm's",
    "embeddings.word_embeddings": "a BERT",
    "_conv_stem.": "EfficientNet-Lite: diffprog.models.load('efficientnet-lite0')",
    "fire2": "SqueezeNet: diffprog.models.load('squeezenet')",
    "layer4.2.conv3.weight": "a ResNet that is no CLIP's",
    "blocks.0.attn.qkv.weight": "a vision transformer of timm's",
    "generator.": "a generator: diffprog.models.gans.load(path)",
}


def nearest(got: Shapes) -> tuple[Architecture, Differences]:
    """The published architecture that these tensors come nearest to."""
    every = [(known, differences(got, expected(known))) for known in KNOWN.values()]
    return min(every, key=lambda pair: pair[1].total)


def check_fit(got: Shapes, architecture: Architecture, path: str, shown: Shown) -> None:
    """Refuse tensors that are not exactly those of an architecture.

    Args:
        got: shapes by published name.
        architecture: what they should fit.
        path: of the file, for the message.
        shown: from a published name to that of the file.

    Raises:
        BadFile: with the keys that differ, and the published architecture that they fit or come nearest to.
    """
    wanted = expected(architecture)
    found = differences(got, wanted)
    if found.total:
        raise BadFile(
            f"{path}: weights that are not those of {architecture.name}: {found.said(got, wanted, shown)}",
            f"the {len(wanted)} tensors of {architecture.name}, no fewer and no more",
            _advice(got, shown),
        )


def check_kind(got: Shapes, path: str, shown: Shown) -> BadFile:
    """The refusal of tensors from which no CLIP's sizes can be read."""
    known, found = nearest(got)
    wanted = expected(known)
    other = next((what for mark, what in OTHERS.items() if any(mark in name for name in got)), None)
    if (len(wanted) - len(found.missing)) / len(wanted) < CLOSE:
        names = listed([str(name) for name in list(got)[:MOST_SHOWN]], len(got)) or "none"
        looks = f"; they look like {other}" if other else ""
        return BadFile(
            f"{path}: weights of no CLIP: {len(got)} tensors ({names}){looks}",
            "both towers of a CLIP, under the names of OpenAI, OpenCLIP or Hugging Face",
            "the file of a whole CLIP, such as model.safetensors of a CLIPModel",
        )
    return BadFile(
        f"{path}: an incomplete CLIP, nearest to {known.name}: {found.said(got, wanted, shown)}",
        f"the {len(wanted)} tensors of {known.name}, or of a CLIP of other sizes, complete",
        "fetching the file again, or the one that holds both towers",
    )


def _advice(got: Shapes, shown: Shown) -> str:
    known, found = nearest(got)
    if not found.total:
        return f"architecture={known.name!r}, which they fit; or leave it out, and it is recognized"
    said = found.said(got, expected(known), shown)
    return f"the whole file; the published network that these come nearest to is {known.name}: {said}"


def as_float32(tensors: Mapping[str, np.ndarray], path: str, shown: Shown) -> dict[str, np.ndarray]:
    """The parameters among the tensors in float32, whatever precision they were kept in.

    Raises:
        BadFile: numbers that are not real, or not finite.
    """
    wide = {}
    for name, tensor in tensors.items():
        if ignored(name):
            continue
        real = tensor.dtype.kind == "f" or "float" in str(tensor.dtype)  # bfloat16 is of another kind
        wide[name] = tensor.astype(np.float32, copy=False) if real else tensor
        if not real or not np.isfinite(wide[name]).all():
            raise BadFile(
                f"{path}: the tensor {shown(name)} of {tensor.dtype}" + (", not all finite" if real else ""),
                "finite real numbers",
                "fetching the file again",
            )
    return wide
