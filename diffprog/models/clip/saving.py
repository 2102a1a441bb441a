"""A CLIP in one file: the tensors under their published names, and in the header all that shapes do not tell.

    tensors                  as OpenAI and OpenCLIP name them, so that other programs can read them too
    header "diffprog clip"   sizes, activation, epsilon, mean and deviation as JSON, and the merges of the vocabulary

`load(path)` needs nothing beside such a file. A ResNet's normalization was folded into its convolutions when it was
read, so it cannot be written again; the file that it came from is whole.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict

from diffprog import weights
from diffprog.errors import BadFile, InvalidInput
from diffprog.models.clip.architecture import Architecture, TextTransformer, VisionTransformer
from diffprog.models.clip.model import Clip
from diffprog.models.clip.published import BLOCK
from diffprog.models.clip.transformer import ACTIVATIONS
from diffprog.models.clip.vocabulary import Vocabulary, check_vocabulary, from_merges
from diffprog.models.network import Params

HEADER = "diffprog clip"
LARGEST = 1 << 16  # of any size in a header
COMMON = {
    "ln_post/scale": "ln_post.weight",
    "ln_post/bias": "ln_post.bias",
    "ln_pre/scale": "ln_pre.weight",
    "ln_pre/bias": "ln_pre.bias",
    "ln_final/scale": "ln_final.weight",
    "ln_final/bias": "ln_final.bias",
    "tokens/class": "class_embedding",
    "tokens/positions": "positional_embedding",
    "tokens/vectors": "token_embedding.weight",
}
IN_BLOCK = {ours: theirs for theirs, ours in BLOCK.items()}


class Description(NamedTuple):
    """What a file of ours says of itself."""

    architecture: Architecture
    vocabulary: Vocabulary


def save(clip: Clip, path: str | os.PathLike[str]) -> Path:
    """Write a CLIP as one safetensors file that `load` reads without anything beside it.

    Args:
        clip: with an image tower made of patches.
        path: the file to write or replace; its folder must exist.

    Raises:
        InvalidInput: a ResNet.
        Unreachable: the folder cannot be written, or has no room.
        BadFile: the clip's vocabulary cannot be read.
    """
    a, path = clip.architecture, Path(path)
    if not isinstance(a.vision, VisionTransformer):
        raise InvalidInput(
            f"{a.name}, whose image tower is a ResNet",
            "an image tower made of patches: a ResNet's normalization is folded into its convolutions",
            "the file that it was loaded from",
        )
    tensors = {
        **_image_tensors(clip.image_tower.params, a.vision),
        **_text_tensors(clip.text_tower.params),
        "logit_scale": np.array(clip.logit_scale, np.float32),
    }
    weights.save(path, tensors, {HEADER: json.dumps(_told(a, clip.tokenizer.vocabulary))})
    return path


def described(path: Path) -> Description | None:
    """What the header of a file says; None for a file of another program's.

    Raises:
        BadFile: a header that describes no CLIP, or whose vocabulary is not the text tower's.
    """
    said = weights.read_metadata(path).get(HEADER)
    if said is None:
        return None
    try:
        architecture, merges = _heard(json.loads(said))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadFile(
            f"{path}: a header that describes no CLIP ({type(error).__name__}: {error!s:.80})",
            f"the text {HEADER!r} as diffprog.models.clip.save writes it",
            "saving it again where it was made",
        ) from None
    vocabulary = from_merges(merges, str(path))
    check_vocabulary(path, vocabulary, architecture.text.vocabulary)
    return Description(architecture, vocabulary)


def _told(a: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
    assert isinstance(a.vision, VisionTransformer)
    return {
        "name": a.name,
        "vision": a.vision._asdict(),
        "text": a.text._asdict(),
        "embedding": a.embedding,
        "activation": a.activation,
        "epsilon": a.epsilon,
        "mean": a.mean,
        "deviation": a.deviation,
        "merges": "\n".join(" ".join(pair) for pair in vocabulary.merges),
    }


def _heard(said: Mapping[str, Any]) -> tuple[Architecture, list[tuple[str, str]]]:
    """The reverse of `_told`; any ValueError, KeyError or TypeError says that it is not."""
    vision = VisionTransformer(**{name: _size(number) for name, number in said["vision"].items()})
    text = TextTransformer(**{name: _size(number) for name, number in said["text"].items()})
    if vision.width % vision.heads or text.width % text.heads:
        raise ValueError("heads that do not divide the width")
    if said["activation"] not in ACTIVATIONS:
        raise ValueError(f"the activation {said['activation']!r}")
    architecture = Architecture(
        str(said["name"])[:80],
        vision,
        text,
        _size(said["embedding"]),
        said["activation"],
        _number(said["epsilon"]),
        _colours(said["mean"]),
        _colours(said["deviation"]),
    )
    pairs = [line.split(" ") for line in said["merges"].splitlines()]
    return architecture, [(first, second) for first, second in pairs]


def _size(number: Any) -> int:
    if type(number) is not int or not 0 < number < LARGEST:
        raise ValueError(f"the size {number!r}")
    return number


def _number(number: Any) -> float:
    if type(number) not in (int, float) or not math.isfinite(number) or not number > 0:
        raise ValueError(f"the number {number!r}")
    return float(number)


def _colours(three: Any) -> tuple[float, float, float]:
    red, green, blue = map(_number, three)
    return red, green, blue


# ---- the reverse of `published.image_parameters` and `text_parameters` ----------------------------------------


def _image_tensors(params: Params, vision: VisionTransformer) -> dict[str, np.ndarray]:
    flat = _flat(params)
    patches = flat.pop("patches/kernel").reshape(vision.patch, vision.patch, 3, vision.width)
    tensors = {"conv1.weight": patches.transpose(3, 2, 0, 1), "proj": flat.pop("projection/kernel")}
    return {f"visual.{name}": tensor for name, tensor in (tensors | _published(flat)).items()}


def _text_tensors(params: Params) -> dict[str, np.ndarray]:
    flat = _flat(params)
    return {"text_projection": flat.pop("projection/kernel")} | _published(flat)


def _flat(params: Params) -> dict[str, np.ndarray]:
    return {"/".join(path): np.asarray(leaf) for path, leaf in flatten_dict(dict(params)).items()}


def _published(flat: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Under published names; what is inside a block is stored transposed."""
    tensors = {}
    for name, tensor in flat.items():
        if name.startswith("blocks/"):
            _, number, part = name.split("/", 2)
            tensors[f"transformer.resblocks.{number}.{IN_BLOCK[part]}"] = tensor.T
        else:
            tensors[COMMON[name]] = tensor
    return tensors
