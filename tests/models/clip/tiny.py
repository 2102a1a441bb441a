"""Small CLIPs with seeded weights, as Hugging Face's, OpenAI's and OpenCLIP's programs save them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffprog import weights
from diffprog.models.clip import Architecture, ResNet, TextTransformer, VisionTransformer
from diffprog.models.clip.published import expected

TEXT = TextTransformer(width=64, layers=2, heads=4, context=16, vocabulary=600, hidden=256)
VIT = Architecture(
    "tiny ViT", VisionTransformer(64, 2, 4, patch=8, image_size=32, hidden=256), TEXT, embedding=24
)
RESNET = Architecture("tiny ResNet", ResNet(8, (2, 1, 1, 2), heads=4, image_size=64), TEXT, embedding=24)
END = TEXT.vocabulary - 1

# The required bound on features and layers. Two correct float32 towers differ by about 1e-6: a layer sums at most a
# few hundred products here, and some thousand in the published sizes.
MOST_RELATIVE_ERROR = 1e-4


def random_tensors(architecture: Architecture, seed: int = 0) -> dict[str, np.ndarray]:
    """Tensors under published names that give activations of about unit size, with visible biases."""
    generator = np.random.default_rng(seed)
    tensors = {}
    for name, shape in expected(architecture).items():
        x = generator.standard_normal(shape).astype(np.float32)
        fan = math.prod(shape[1:]) if len(shape) > 1 else 1
        if name.endswith("running_var"):
            x = 0.5 + np.abs(x)
        elif len(shape) == 1 and name.endswith("weight"):
            x = 1 + 0.2 * x
        elif len(shape) > 1 and "embedding" not in name:
            x = x / math.sqrt(fan)
        else:
            x = 0.3 * x
        tensors[name] = np.asarray(x, np.float32)
    tensors["logit_scale"] = np.asarray(math.log(100), np.float32)
    return tensors


def texts(count: int = 3, seed: int = 1) -> np.ndarray:
    """Random texts of different lengths, each with one end, padded with 0."""
    generator = np.random.default_rng(seed)
    tokens = np.zeros((count, TEXT.context), np.int32)
    for row in tokens:
        length = int(generator.integers(2, TEXT.context - 1))
        row[0], row[1:length], row[length] = END - 1, generator.integers(1, END - 1, length - 1), END
    return tokens


def hugging_face_model(activation: str = "quick_gelu", **changes: Any) -> Any:
    """`transformers.CLIPModel` of VIT's sizes, seeded; its weights are wider than its own initialization's."""
    torch = pytest.importorskip("torch")
    # It refuses, with an ImportError, to be imported beside a newer tokenizers.
    transformers = pytest.importorskip("transformers", exc_type=ImportError)
    vision = VIT.vision
    common = {"hidden_act": activation, "layer_norm_eps": 1e-5, "attention_dropout": 0.0} | changes
    text = {
        "vocab_size": TEXT.vocabulary,
        "hidden_size": TEXT.width,
        "intermediate_size": TEXT.hidden,
        "num_hidden_layers": TEXT.layers,
        "num_attention_heads": TEXT.heads,
        "max_position_embeddings": TEXT.context,
        "eos_token_id": 2,  # as the published files say, wrongly
        "bos_token_id": END - 1,
        "pad_token_id": 1,
    }
    image = {
        "hidden_size": vision.width,
        "intermediate_size": vision.hidden,
        "num_hidden_layers": vision.layers,
        "num_attention_heads": vision.heads,
        "image_size": vision.image_size,
        "patch_size": vision.patch,
    }
    torch.manual_seed(0)
    config = transformers.CLIPConfig(
        text_config=text | common, vision_config=image | common, projection_dim=VIT.embedding
    )
    model = transformers.CLIPModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 1 / math.sqrt(parameter[0].numel()) if "embedding" not in name else 0.3)
            elif parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def saved(folder: Path, tensors: Mapping[str, np.ndarray], config: Mapping[str, Any] | None) -> Path:
    """A safetensors file, with its configuration beside it."""
    path = folder / "model.safetensors"
    weights.save(path, tensors)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return path


def hugging_face_config(
    architecture: Architecture = VIT, activation: str = "quick_gelu", **more: Any
) -> dict[str, Any]:
    """The parts of a CLIPModel's config.json that are read."""
    vision, text = architecture.vision, architecture.text
    return {
        "model_type": "clip",
        "vision_config": {
            "hidden_size": vision.width,
            "num_hidden_layers": vision.layers,
            "num_attention_heads": vision.heads,
            "patch_size": getattr(vision, "patch", 32),
            "image_size": vision.image_size,
            "hidden_act": activation,
        },
        "text_config": {
            "hidden_size": text.width,
            "num_hidden_layers": text.layers,
            "num_attention_heads": text.heads,
            "hidden_act": activation,
        },
        **more,
    }


def open_clip_config(architecture: Architecture, quick_gelu: bool | None = None) -> dict[str, Any]:
    """OpenCLIP's open_clip_config.json."""
    vision, text = architecture.vision, architecture.text
    resnet = isinstance(vision, ResNet)
    model: dict[str, Any] = {
        "embed_dim": architecture.embedding,
        "vision_cfg": {
            "image_size": vision.image_size,
            "layers": list(vision.layers) if resnet else vision.layers,
            "width": vision.width,
            "head_width": vision.width * (32 if resnet else 1) // vision.heads,
        },
        "text_cfg": {
            "context_length": text.context,
            "width": text.width,
            "heads": text.heads,
            "layers": text.layers,
        },
    }
    if quick_gelu is not None:
        model["quick_gelu"] = quick_gelu
    return {"model_cfg": model, "preprocess_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}}
