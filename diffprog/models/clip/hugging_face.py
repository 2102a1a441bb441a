"""The names that Hugging Face's `CLIPModel` gives the same tensors, to the published layout and back.

It keeps query, key and value apart, and stores its two projections transposed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

MARKS = ("vision_model.", "text_model.", "visual_projection.", "text_projection.weight")

NAMES = {  # published -> Hugging Face's
    "logit_scale": "logit_scale",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",  # sic
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "visual.proj": "visual_projection.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
}
TRANSPOSED = ("visual.proj", "text_projection")
LAYERS = {"visual.transformer.resblocks": "vision_model", "transformer.resblocks": "text_model"}
PARTS = {
    "attn.in_proj_": "self_attn.{q,k,v}_proj.",
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
BACK = {theirs: ours for ours, theirs in NAMES.items()}
LAYER = re.compile(r"(vision_model|text_model)\.encoder\.layers\.(\d+)\.(.+?)\.?(weight|bias)")


def is_hugging_face(names: Iterable[str]) -> bool:
    """Whether tensors are named as `CLIPModel` names them."""
    return any(name.startswith(MARKS) for name in names)


def to_published(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors under published names; those whose names are unknown keep them.

    Query, key and value are stacked where all three are there and of one shape; else they keep their names.
    """
    stacks = {name: _stacked(tensors, name) for name in tensors if ".self_attn.q_proj." in name}
    used = {part for stack in stacks.values() for part in stack}
    renamed = {published_name(name): np.concatenate([tensors[part] for part in stack])
               for name, stack in stacks.items() if stack}  # fmt: skip
    for name, tensor in tensors.items():
        ours = name if name in stacks else published_name(name)
        if name not in used:
            renamed[ours] = tensor.T if ours in TRANSPOSED else tensor
    return renamed


def _stacked(tensors: Mapping[str, np.ndarray], query: str) -> tuple[str, ...]:
    """The names of query, key and value, or none where they do not belong together."""
    names = tuple(query.replace("q_proj", part) for part in ("q_proj", "k_proj", "v_proj"))
    together = len({tensors[name].shape if name in tensors else None for name in names}) == 1
    return names if together and tensors[query].ndim else ()


def published_name(name: str) -> str:
    """The published name of a tensor of Hugging Face's; of a query's, that of the stack. Unknown names stay."""
    if name in BACK:
        return BACK[name]
    match = LAYER.fullmatch(name)
    if match is None:
        return name
    tower, number, part, kind = match.groups()
    part = part.replace("self_attn.q_proj", "self_attn.{q,k,v}_proj")
    for ours, theirs in PARTS.items():
        if part == theirs.rstrip("."):
            prefix = next(prefix for prefix, named in LAYERS.items() if named == tower)
            return (
                f"{prefix}.{number}.{ours}{kind}"
                if ours.endswith("_")
                else f"{prefix}.{number}.{ours}.{kind}"
            )
    return name


def hugging_face_name(name: str) -> str:
    """How Hugging Face's files call a published tensor; of a stack, all three names in one."""
    if name in NAMES:
        return NAMES[name]
    for prefix, tower in LAYERS.items():
        if name.startswith(f"{prefix}."):
            number, part = name.removeprefix(f"{prefix}.").split(".", 1)
            for ours, theirs in PARTS.items():
                if part.startswith(ours):
                    return f"{tower}.encoder.layers.{number}.{theirs}{part.removeprefix(ours)}"
    return name
