"""From a weight file to a CLIP, without torch: Hugging Face's, OpenAI's and OpenCLIP's files all end as one layout.

The architecture is recognized from the shapes, and completed by what else is known (`completing`). Tensors are brought
to the published layout first, and then to that of the modules.
"""

from __future__ import annotations

import dataclasses
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

from diffprog import weights
from diffprog.errors import Unreachable
from diffprog.models.clip import settings as configuration
from diffprog.models.clip.architecture import KNOWN, Architecture, recognize
from diffprog.models.clip.building import build
from diffprog.models.clip.completing import check_activation, completed
from diffprog.models.clip.fitting import check_fit, unrecognized
from diffprog.models.clip.hugging_face import hugging_face_name, is_hugging_face, to_published
from diffprog.models.clip.model import Clip
from diffprog.models.clip.published import SIZES_IN_ARCHIVES, ignored, shapes_of
from diffprog.models.clip.saving import described
from diffprog.models.clip.tokenizer import Tokenizer
from diffprog.models.clip.vocabulary import Vocabulary, for_tower, read_vocabulary
from diffprog.models.differences import Shown
from diffprog.models.fitting import as_float32
from diffprog.models.layouts import Shapes, Tensors, by_name

FILES = (
    "model.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
)
"""What weight files are called in the folders of Hugging Face's and OpenCLIP's programs."""
WRAPPERS = ("state_dict/", "model/", "module.")  # what training programs put around the names


def load(
    path: str | os.PathLike[str],
    *,
    architecture: str | Architecture | None = None,
    activation: str | None = None,
    config: str | os.PathLike[str] | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
) -> Clip:
    """Load a CLIP from a weight file.

    Args:
        path: Hugging Face's `model.safetensors` or `pytorch_model.bin`, an archive of OpenAI's such as `ViT-B-32.pt`,
            OpenCLIP's `open_clip_model.safetensors` or `open_clip_pytorch_model.bin`, a file that `save` wrote, or a
            folder with one of those that have these names.
        architecture: a name of `KNOWN`, or a description of your own, that the weights must fit; None: recognized.
        activation: "quick_gelu" or "gelu"; None: as the configuration says, or the archive's origin.
        config: `config.json` or `open_clip_config.json`; None: the one beside the weights, if there is one.
        tokenizer: a vocabulary (see `vocabulary`) or a folder with one; None: the one that the file carries, else
            the one beside it, else the published one, which is fetched when a prompt is first tokenized.

    Returns:
        The CLIP, in float32 whatever precision the file has.

    Raises:
        InvalidInput: an unknown architecture or activation, or nothing says which activation it is.
        BadFile: weights that are missing, surplus, of other shapes or of another network, damaged or hostile; a
            configuration that does not belong to them.
        Unreachable: no such file, or a folder without one.
    """
    path = weight_file(Path(path))
    own = isinstance(architecture, Architecture)  # of which the caller knows all
    wanted = (
        by_name("the architecture", architecture, KNOWN) if isinstance(architecture, str) else architecture
    )
    check_activation(activation)
    raw = {_unwrapped(name): tensor for name, tensor in weights.read(path).items()}
    told = described(path)
    shown: Shown = hugging_face_name if is_hugging_face(raw) else str
    tensors = to_published(raw) if is_hugging_face(raw) else raw
    found = _fitting(shapes_of(tensors), wanted, told.architecture if told and not own else None, path, shown)
    if told or own:
        found = dataclasses.replace(found, activation=activation or found.activation)
    else:
        found = _completed(found, tensors, path, config, activation)
    chosen = told.vocabulary if told and tokenizer is None else tokenizer
    parameters = {name: tensor for name, tensor in tensors.items() if not ignored(name)}
    return build(found, as_float32(parameters, str(path), shown), partial(_tokenizer, path, chosen, found))


def weight_file(path: Path) -> Path:
    """The weight file itself, or the one in a folder.

    Raises:
        Unreachable: a folder without one.
    """
    if not path.is_dir():
        return path
    found = next((file for name in FILES if (file := path / name).is_file()), None)
    if found is None:
        parts = sorted(file.name for file in path.glob("*.safetensors"))[:3]
        raise Unreachable(
            f"{path}: a folder without the weights of a CLIP" + (f" ({', '.join(parts)})" if parts else ""),
            " or ".join(FILES),
            f"the file's own path: {path / (parts or ['model.safetensors'])[0]}",
        )
    return found


def _fitting(
    shapes: Shapes, wanted: Architecture | None, told: Architecture | None, path: Path, shown: Shown
) -> Architecture:
    """What the tensors are of: as the file tells, as it was wanted, else recognized. Both of the first must fit."""
    candidates: list[Architecture | None] = [one for one in (wanted, told) if one is not None] or [
        recognize(shapes)
    ]
    for one in candidates:
        if one is None:
            raise unrecognized(shapes, str(path), shown)
        check_fit(shapes, one, str(path), shown)
        found = one
    return found


def _completed(
    found: Architecture, tensors: Tensors, path: Path, config: Any, activation: str | None
) -> Architecture:
    """With what the configuration says, and the marks of OpenAI's archives."""
    said = configuration.read_settings(Path(config)) if config is not None else configuration.beside(path)
    origin = "quick_gelu" if set(SIZES_IN_ARCHIVES) <= set(tensors) else None
    return completed(found, said, activation, origin, str(path))


def _tokenizer(path: Path, chosen: Any, architecture: Architecture) -> Tokenizer:
    size, context = architecture.text.vocabulary, architecture.text.context
    if isinstance(chosen, Vocabulary):
        return Tokenizer(chosen, context)
    return Tokenizer(read_vocabulary(for_tower(path, chosen, size), size), context)


def _unwrapped(name: str) -> str:
    """A tensor's name as the published programs know it: dots between parts, no wrapper around it."""
    for wrapper in WRAPPERS:
        name = name.removeprefix(wrapper)
    name = name.replace("/", ".")
    return re.sub(
        r"^text\.(?=transformer\.|token_embedding\.|positional_embedding|ln_final\.|text_projection)",
        "",
        name,
    )
