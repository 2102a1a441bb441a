"""Add to an architecture what shapes do not tell: heads, activation, epsilon, and how pictures are normalized.

With the wrong activation everything runs and every feature is off, as published results have been. It comes from the
caller, from the configuration beside the weights, or from the marks that OpenAI's archives carry; it is never guessed.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from diffprog.errors import BadFile, InvalidInput
from diffprog.models.clip.architecture import KNOWN, Architecture, ResNet
from diffprog.models.clip.settings import Settings
from diffprog.models.clip.transformer import ACTIVATIONS


def check_activation(activation: str | None) -> None:
    """Refuse an activation that is not known.

    Raises:
        InvalidInput: with those that are.
    """
    if activation is not None and activation not in ACTIVATIONS:
        raise InvalidInput(
            f"the activation {activation!r}", " or ".join(ACTIVATIONS), "activation='quick_gelu'"
        )


def completed(
    found: Architecture, said: Settings | None, activation: str | None, origin: str | None, path: str
) -> Architecture:
    """The architecture with what shapes do not tell.

    Args:
        found: recognized from shapes.
        said: what the configuration says, if there is one.
        activation: the caller's choice, which counts most.
        origin: the activation that the file's own marks tell.
        path: of the weights, for messages.

    Raises:
        InvalidInput: nothing says what the heads of an unpublished architecture or the activation are.
        BadFile: a configuration of another network.
    """
    if said is not None:
        _check_claims(found, said, path)
        found = _with_heads(found, said)
        known: dict[str, Any] = {"epsilon": said.epsilon, "mean": said.mean, "deviation": said.deviation}
        found = dataclasses.replace(
            found, **{name: value for name, value in known.items() if value is not None}
        )
    elif found.name not in KNOWN:
        raise InvalidInput(
            f"{path}: a CLIP of no published size ({found.name}) without its configuration",
            "its number of heads, which weights do not tell",
            "config.json or open_clip_config.json beside it, config=..., or architecture=Architecture(...)",
        )
    chosen = activation or (said.activation if said is not None else origin)
    if chosen is None or chosen not in ACTIVATIONS:
        got = (
            "nothing that says which activation they were trained with"
            if chosen is None
            else f"the activation {chosen!r}"
        )
        raise InvalidInput(
            f"{path}: weights with {got}",
            "quick_gelu (OpenAI's, and most of Hugging Face's) or gelu (most of OpenCLIP's); the wrong one changes "
            "every feature and raises no error",
            "config.json or open_clip_config.json beside it, or activation='quick_gelu'",
        )
    return dataclasses.replace(found, activation=chosen)


def _with_heads(found: Architecture, said: Settings) -> Architecture:
    heads = {"vision": said.vision_heads or found.vision.heads, "text": said.text_heads or found.text.heads}
    for tower, number in heads.items():
        sizes = getattr(found, tower)
        width = 32 * sizes.width if isinstance(sizes, ResNet) else sizes.width
        if width % number:
            raise BadFile(
                f"{said.source}: {number} heads for {width} channels", "a divisor", "the right configuration"
            )
    vision = found.vision._replace(heads=heads["vision"])
    return dataclasses.replace(found, vision=vision, text=found.text._replace(heads=heads["text"]))


def _check_claims(found: Architecture, said: Settings, path: str) -> None:
    """Refuse a configuration of another network than the weights are of."""
    for what, claimed in said.claims:
        tower, name = what.split(" ")
        got = getattr(getattr(found, tower), name, None)
        if got is not None and got != claimed and claimed != [got, got]:
            raise BadFile(
                f"{said.source}: {what} {claimed}, where the weights of {path} have {got}",
                "the configuration of the same network",
                "config=..., or moving the one beside the weights away",
            )
