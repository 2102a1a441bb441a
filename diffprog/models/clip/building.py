"""From parameters to a CLIP: the Flax modules of its towers, and the functions that carry their numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict

from diffprog.graph.objectives.naturalness import Statistics
from diffprog.models.clip.architecture import Architecture, ResNet
from diffprog.models.clip.model import Clip, ImageTower, TextTower
from diffprog.models.clip.published import image_parameters, text_parameters
from diffprog.models.clip.resnet import ImageResNet
from diffprog.models.clip.text import Texts
from diffprog.models.clip.tokenizer import Tokenizer
from diffprog.models.clip.vit import ImageTransformer
from diffprog.models.fitting import nested
from diffprog.models.network import STATISTICS, Params


def build(
    architecture: Architecture, tensors: Mapping[str, np.ndarray], make_tokenizer: Callable[[], Tokenizer]
) -> Clip:
    """A CLIP from tensors under published names that are known to fit, in float32."""
    image = {
        name: t.astype(np.float32, copy=False) for name, t in image_parameters(tensors, architecture).items()
    }
    kept = {name: tensor for name, tensor in image.items() if not name.startswith(STATISTICS)}
    size = architecture.vision.image_size
    pictures = jax.ShapeDtypeStruct((1, size, size, 3), np.float32)
    tokens = jax.ShapeDtypeStruct((1, architecture.text.context), np.int32)
    return assembled(
        architecture,
        _nested(image_tower_module(architecture), pictures, kept),
        _nested(text_tower_module(architecture), tokens, text_parameters(tensors, architecture)),
        float(tensors["logit_scale"]),
        make_tokenizer,
        _statistics(image),
    )


def assembled(
    architecture: Architecture,
    image: Params,
    text: Params,
    logit_scale: float,
    make_tokenizer: Callable[[], Tokenizer],
    statistics: Statistics | None = None,
) -> Clip:
    """A CLIP from the parameters of its modules."""
    a = architecture
    return Clip(
        architecture=a,
        image_tower=ImageTower(
            name=a.name,
            title=f"the image tower of CLIP {a.name}",
            input_size=a.vision.image_size,
            embedding=a.embedding,
            apply=_compiled(image_tower_module(a)),
            params=image,
            statistics=statistics or {},
        ),
        text_tower=TextTower(
            name=a.name,
            title=f"the text tower of CLIP {a.name}",
            context=a.text.context,
            vocabulary=a.text.vocabulary,
            embedding=a.embedding,
            apply=_compiled(text_tower_module(a)),
            params=text,
        ),
        logit_scale=logit_scale,
        make_tokenizer=make_tokenizer,
    )


def image_tower_module(architecture: Architecture) -> nn.Module:
    """The Flax module of an architecture's image tower."""
    a = architecture
    if isinstance(a.vision, ResNet):
        return ImageResNet(a.vision, a.embedding, a.mean, a.deviation)
    return ImageTransformer(a.vision, a.embedding, a.activation, a.epsilon, a.mean, a.deviation)


def text_tower_module(architecture: Architecture) -> nn.Module:
    """The Flax module of an architecture's text tower."""
    return Texts(architecture.text, architecture.embedding, architecture.activation, architecture.epsilon)


def _compiled(module: nn.Module) -> Callable[[Params, jax.Array], jax.Array]:
    return jax.jit(lambda params, x: module.apply({"params": params}, x))


def _nested(module: nn.Module, like: Any, tensors: Mapping[str, np.ndarray]) -> Params:
    """The parameters as the module nests them."""
    shapes = flatten_dict(jax.eval_shape(module.init, jax.random.key(0), like)["params"])
    paths = {"/".join(part): part for part in shapes}
    assert {name: shapes[part].shape for name, part in paths.items()} == {
        n: t.shape for n, t in tensors.items()
    }
    return nested(tensors, paths)


def _statistics(tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    layers = [
        name.removesuffix("/mean")
        for name in tensors
        if name.startswith(STATISTICS) and name.endswith("/mean")
    ]
    return {
        layer.removeprefix(STATISTICS): (tensors[f"{layer}/mean"], tensors[f"{layer}/deviation"])
        for layer in layers
    }
