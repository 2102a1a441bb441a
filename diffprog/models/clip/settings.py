"""What shapes do not tell, read from the configuration beside the weights: `config.json` or `open_clip_config.json`.

Hugging Face's files leave out what has its default, OpenCLIP's too, and their defaults differ: without a word on it
the first means QuickGELU and the second exact GELU.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffprog.errors import BadFile

FILES = ("config.json", "open_clip_config.json")
MOST_BYTES = 1 << 20  # configurations are some kilobytes
HF_VISION = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "patch_size": 32,
             "image_size": 224, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}  # fmt: skip
HF_TEXT = {"hidden_size": 512, "num_hidden_layers": 12, "num_attention_heads": 8,
           "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What a configuration says; None: nothing.

    Attributes:
        source: the file, for messages.
        activation: "quick_gelu", "gelu", or one that is not known here.
        epsilon: of the layer norms.
        vision_heads: of the image tower.
        text_heads: of the text tower.
        mean: that pictures are normalized with.
        deviation: that pictures are normalized with.
        claims: sizes that the weights must have as well, such as {"vision width": 768}.
    """

    source: str
    activation: str | None = None
    epsilon: float | None = None
    vision_heads: int | None = None
    text_heads: int | None = None
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    claims: tuple[tuple[str, Any], ...] = ()


def beside(path: Path) -> Settings | None:
    """The settings in the folder of a weight file, or None where there is no configuration.

    Raises:
        BadFile: a configuration that cannot be read, or of something else than a CLIP.
    """
    for name in FILES:
        if (file := path.parent / name).is_file():
            return read_settings(file)
    return None


def read_settings(file: Path) -> Settings:
    """The settings in a configuration file of Hugging Face's or OpenCLIP's.

    Raises:
        BadFile: not such a file, or one of a network that is no CLIP of the published kind.
    """
    content = read_json(file)
    if isinstance(content.get("model_cfg"), dict):
        return _open_clip(file, content)
    if isinstance(content.get("vision_cfg"), dict):  # OpenCLIP's own model_configs have no other level
        return _open_clip(file, {"model_cfg": content})
    if content.get("model_type") == "clip" or "vision_config" in content:
        return _hugging_face(file, content)
    raise _unusable(file, "a configuration that describes no CLIP")


def read_json(file: Path) -> dict[str, Any]:
    """The object in a small JSON file.

    Raises:
        BadFile: no such object, or a file of more than a mebibyte.
    """
    try:
        with open(file, "rb") as opened:
            text = opened.read(MOST_BYTES + 1)
        content = json.loads(text) if len(text) <= MOST_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(file, f"no readable JSON ({type(error).__name__})") from None
    if not isinstance(content, dict):
        raise _unusable(file, "something else than one JSON object of at most a mebibyte")
    return content


def _unusable(file: Path, what: str) -> BadFile:
    return BadFile(
        f"{file}: {what}",
        "the config.json of a CLIPModel, or the open_clip_config.json of an OpenCLIP network",
        "copying it again from where the weights came from, or removing it and giving activation=...",
    )


def _hugging_face(file: Path, content: Mapping[str, Any]) -> Settings:
    vision = {**HF_VISION, **_part(content, "vision_config"), **_part(content, "vision_config_dict")}
    text = {**HF_TEXT, **_part(content, "text_config"), **_part(content, "text_config_dict")}
    for what in ("hidden_act", "layer_norm_eps"):
        if vision[what] != text[what]:
            raise _unusable(file, f"towers with different {what}: {vision[what]!r} and {text[what]!r}")
    claims = _claims(vision, "vision", width="hidden_size", layers="num_hidden_layers", patch="patch_size")
    claims += _claims(vision, "vision", image_size="image_size")
    claims += _claims(text, "text", width="hidden_size", layers="num_hidden_layers")
    pictures = file.with_name("preprocessor_config.json")
    normal = read_json(pictures) if pictures.is_file() else {}
    return _settings(
        file,
        activation=vision["hidden_act"],
        epsilon=vision["layer_norm_eps"],
        vision_heads=vision["num_attention_heads"],
        text_heads=text["num_attention_heads"],
        mean=normal.get("image_mean"),
        deviation=normal.get("image_std"),
        claims=claims,
    )


def _open_clip(file: Path, content: Mapping[str, Any]) -> Settings:
    model = _part(content, "model_cfg")
    vision, text = _part(model, "vision_cfg"), _part(model, "text_cfg")
    if vision.get("timm_model_name") or text.get("hf_model_name"):
        raise _unusable(file, "a network with a tower from another library (timm or transformers)")
    normal = _part(content, "preprocess_cfg")
    if (
        normal.get("resize_mode", "shortest") != "shortest"
        or normal.get("interpolation", "bicubic") != "bicubic"
    ):
        raise _unusable(file, "pictures that are not resized bicubically by their shorter side")
    width, head = vision.get("width", 768), vision.get("head_width", 64)
    resnet = isinstance(vision.get("layers"), list)
    if not all(isinstance(number, int) and number > 0 for number in (width, head)):
        raise _unusable(file, "a width that is no number")
    layers = tuple(vision["layers"]) if resnet else vision.get("layers", 12)
    claims = _claims(
        {**vision, "layers": layers}, "vision", width="width", layers="layers", image_size="image_size"
    )
    claims += _claims(text, "text", width="width", layers="layers")
    return _settings(
        file,
        activation="quick_gelu" if model.get("quick_gelu", False) else "gelu",
        epsilon=1e-5,
        vision_heads=width * (32 if resnet else 1) // head,
        text_heads=text.get("heads", 8),
        mean=normal.get("mean"),
        deviation=normal.get("std"),
        claims=claims,
    )


def _part(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = content.get(name)
    return part if isinstance(part, dict) else {}


def _claims(part: Mapping[str, Any], tower: str, **names: str) -> tuple[tuple[str, Any], ...]:
    return tuple((f"{tower} {ours}", part[name]) for ours, name in names.items() if name in part)


def _settings(file: Path, **found: Any) -> Settings:
    numbers = [found[name] for name in ("vision_heads", "text_heads")]
    colours = [found[name] for name in ("mean", "deviation") if found[name] is not None]
    good = all(isinstance(number, int) and 0 < number < 1000 for number in numbers)
    good = good and isinstance(found["epsilon"], int | float) and 0 < found["epsilon"] < 1
    good = good and all(_is_colour(colour) for colour in colours)
    if not good:
        raise _unusable(file, "heads, an epsilon, a mean or a deviation that make no sense")
    triples = {name: tuple(found[name]) if found[name] else None for name in ("mean", "deviation")}
    return Settings(str(file), **{**found, **triples})


def _is_colour(colour: Any) -> bool:
    if not isinstance(colour, list) or len(colour) != 3:
        return False
    return all(isinstance(number, int | float) and 0 < number < 10 for number in colour)
