"""Whether weights fit a CLIP, and what to say where no CLIP's sizes can be read from them."""

from __future__ import annotations

from diffprog.errors import BadFile
from diffprog.models import differences
from diffprog.models.clip.architecture import KNOWN, Architecture
from diffprog.models.clip.published import expected
from diffprog.models.differences import MOST_SHOWN, Shown, listed, looks_like
from diffprog.models.layouts import Shapes

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


def published() -> dict[str, Shapes]:
    """The tensors of every published CLIP, by its name."""
    return {name: expected(known) for name, known in KNOWN.items()}


def check_fit(got: Shapes, architecture: Architecture, path: str, shown: Shown) -> None:
    """Refuse tensors that are not exactly those of an architecture; see `differences.check_fit`.

    Raises:
        BadFile: with the keys that differ, and the published architecture that they fit or come nearest to.
    """
    differences.check_fit(got, expected(architecture), architecture.name, path, shown, published)


def unrecognized(got: Shapes, path: str, shown: Shown) -> BadFile:
    """The refusal of tensors from which no CLIP's sizes can be read."""
    known = published()
    name, found = differences.nearest(got, known)
    wanted = known[name]
    if (len(wanted) - len(found.missing)) / len(wanted) < CLOSE:
        names, other = listed(list(got)[:MOST_SHOWN], len(got)) or "none", looks_like(got, OTHERS)
        looks = f"; they look like {other}" if other else ""
        return BadFile(
            f"{path}: weights of no CLIP: {len(got)} tensors ({names}){looks}",
            "both towers of a CLIP, under the names of OpenAI, OpenCLIP or Hugging Face",
            "the file of a whole CLIP, such as model.safetensors of a CLIPModel",
        )
    return BadFile(
        f"{path}: an incomplete CLIP, nearest to {name}: {found.said(got, wanted, shown)}",
        f"the {len(wanted)} tensors of {name}, or of a CLIP of other sizes, complete",
        "fetching the file again, or the one that holds both towers",
    )
