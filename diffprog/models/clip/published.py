"""The published layout of CLIP's tensors, as OpenAI and OpenCLIP name them: which there are, and where each goes.

`expected` lists the names and shapes of an architecture. `image_parameters` and `text_parameters` turn such tensors
into those of our modules: kernels from [out, in] to [in, out], convolutions to HWIO with their batch normalization
folded in. Other layouts are renamed to this one first (`hugging_face`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diffprog.models.clip.architecture import Architecture, ResNet, VisionTransformer
from diffprog.models.clip.resnet import EXPANSION
from diffprog.models.layouts import Entries, Shapes, Tensors
from diffprog.models.network import STATISTICS

BATCH_NORM_EPSILON = 1e-5
NORM_PARTS = ("weight", "bias", "running_mean", "running_var")
# In the files but no parameters: counters, masks, and sizes that shapes tell as well.
IGNORED = ("position_ids", "num_batches_tracked", "attn_mask")
SIZES_IN_ARCHIVES = ("input_resolution", "context_length", "vocab_size")

BLOCK = {  # name within a block -> ours
    "attn.in_proj_weight": "attention/qkv/kernel",
    "attn.in_proj_bias": "attention/qkv/bias",
    "attn.out_proj.weight": "attention/out/kernel",
    "attn.out_proj.bias": "attention/out/bias",
    "ln_1.weight": "ln_1/scale",
    "ln_1.bias": "ln_1/bias",
    "ln_2.weight": "ln_2/scale",
    "ln_2.bias": "ln_2/bias",
    "mlp.c_fc.weight": "mlp/hidden/kernel",
    "mlp.c_fc.bias": "mlp/hidden/bias",
    "mlp.c_proj.weight": "mlp/out/kernel",
    "mlp.c_proj.bias": "mlp/out/bias",
}
POOLED = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "c_proj": "out"}


# ---- which tensors there are -------------------------------------------------------------------------------


def expected(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of an architecture."""
    vision = architecture.vision
    tower = _vit if isinstance(vision, VisionTransformer) else _resnet
    return {
        **{f"visual.{name}": shape for name, shape in tower(vision, architecture.embedding)},  # type: ignore[arg-type]
        **dict(_text(architecture)),
        "logit_scale": (),
    }


def ignored(name: str) -> bool:
    """Whether a tensor of a file is no parameter."""
    return name.rsplit(".", 1)[-1] in IGNORED or name in SIZES_IN_ARCHIVES


def _text(architecture: Architecture) -> Entries:
    text = architecture.text
    yield "token_embedding.weight", (text.vocabulary, text.width)
    yield "positional_embedding", (text.context, text.width)
    for i in range(text.layers):
        yield from _block(f"transformer.resblocks.{i}.", text.width, text.hidden)
    yield from _vectors("ln_final", text.width)
    yield "text_projection", (text.width, architecture.embedding)


def _vit(vision: VisionTransformer, embedding: int) -> Entries:
    width = vision.width
    yield "conv1.weight", (width, 3, vision.patch, vision.patch)
    yield "class_embedding", (width,)
    yield "positional_embedding", ((vision.image_size // vision.patch) ** 2 + 1, width)
    for i in range(vision.layers):
        yield from _block(f"transformer.resblocks.{i}.", width, vision.hidden)
    yield from _vectors("ln_pre", width)
    yield from _vectors("ln_post", width)
    yield "proj", (width, embedding)


def _block(prefix: str, width: int, hidden: int) -> Entries:
    yield f"{prefix}attn.in_proj_weight", (3 * width, width)
    yield f"{prefix}attn.in_proj_bias", (3 * width,)
    for layer, rows, columns in (
        ("attn.out_proj", width, width),
        ("mlp.c_fc", hidden, width),
        ("mlp.c_proj", width, hidden),
    ):
        yield f"{prefix}{layer}.weight", (rows, columns)
        yield f"{prefix}{layer}.bias", (rows,)
    yield from _vectors(f"{prefix}ln_1", width)
    yield from _vectors(f"{prefix}ln_2", width)


def _vectors(prefix: str, width: int, parts: tuple[str, ...] = ("weight", "bias")) -> Entries:
    yield from ((f"{prefix}.{part}", (width,)) for part in parts)


def _resnet(vision: ResNet, embedding: int) -> Entries:
    for convolution, norm, _, (rows, columns, size) in convolutions(vision):
        yield f"{convolution}.weight", (rows, columns, size, size)
        yield from _vectors(norm, rows, NORM_PARTS)
    channels = EXPANSION * 8 * vision.width
    yield "attnpool.positional_embedding", ((vision.image_size // 32) ** 2 + 1, channels)
    for layer in POOLED:
        rows = embedding if layer == "c_proj" else channels
        yield f"attnpool.{layer}.weight", (rows, channels)
        yield f"attnpool.{layer}.bias", (rows,)


def convolutions(vision: ResNet) -> Iterator[tuple[str, str, str, tuple[int, int, int]]]:
    """Of every convolution: its name, its normalization's, our layer's, and (channels out, channels in, size)."""
    width = vision.width
    stem = ((width // 2, 3), (width // 2, width // 2), (width, width // 2))
    for n, (rows, columns) in enumerate(stem, 1):
        yield f"conv{n}", f"bn{n}", f"conv{n}", (rows, columns, 3)
    before = width
    for stage, blocks in enumerate(vision.layers):
        narrow, wide = width << stage, (width << stage) * EXPANSION
        for i in range(blocks):
            theirs, ours = f"layer{stage + 1}.{i}", f"layer{stage + 1}/{i}"
            yield f"{theirs}.conv1", f"{theirs}.bn1", f"{ours}/conv1", (narrow, before, 1)
            yield f"{theirs}.conv2", f"{theirs}.bn2", f"{ours}/conv2", (narrow, narrow, 3)
            yield f"{theirs}.conv3", f"{theirs}.bn3", f"{ours}/conv3", (wide, narrow, 1)
            if i == 0:
                yield (
                    f"{theirs}.downsample.0",
                    f"{theirs}.downsample.1",
                    f"{ours}/downsample",
                    (wide, before, 1),
                )
            before = wide


# ---- where each goes ---------------------------------------------------------------------------------------


def text_parameters(tensors: Tensors, architecture: Architecture) -> dict[str, np.ndarray]:
    """The text tower's parameters, "blocks/0/ln_1/scale" and so on, from tensors that are known to fit."""
    return {
        "tokens/vectors": tensors["token_embedding.weight"],
        "tokens/positions": tensors["positional_embedding"],
        **_blocks(tensors, "transformer.resblocks", architecture.text.layers),
        **_norm(tensors, "ln_final"),
        "projection/kernel": tensors["text_projection"],
    }


def image_parameters(tensors: Tensors, architecture: Architecture) -> dict[str, np.ndarray]:
    """The image tower's parameters from tensors that are known to fit.

    A ResNet's come with the mean and deviation that natural pictures gave its linear layers, under "statistics/".
    """
    own = {name.removeprefix("visual."): tensors[name] for name in tensors if name.startswith("visual.")}
    if isinstance(architecture.vision, ResNet):
        return _resnet_parameters(own, architecture.vision)
    kernel = own["conv1.weight"]  # [width, 3, rows, columns]
    return {
        "patches/kernel": kernel.transpose(2, 3, 1, 0).reshape(-1, kernel.shape[0]),
        "tokens/class": own["class_embedding"],
        "tokens/positions": own["positional_embedding"],
        **_norm(own, "ln_pre"),
        **_blocks(own, "transformer.resblocks", architecture.vision.layers),
        **_norm(own, "ln_post"),
        "projection/kernel": own["proj"],
    }


def _blocks(tensors: Tensors, prefix: str, layers: int) -> dict[str, np.ndarray]:
    return {
        f"blocks/{i}/{ours}": tensors[f"{prefix}.{i}.{theirs}"].T  # vectors are their own transpose
        for i in range(layers)
        for theirs, ours in BLOCK.items()
    }


def _norm(tensors: Tensors, name: str) -> dict[str, np.ndarray]:
    return {f"{name}/scale": tensors[f"{name}.weight"], f"{name}/bias": tensors[f"{name}.bias"]}


def _resnet_parameters(own: Tensors, vision: ResNet) -> dict[str, np.ndarray]:
    converted = {"attnpool/tokens/positions": own["attnpool.positional_embedding"]}
    for theirs, ours in POOLED.items():
        converted[f"attnpool/{ours}/kernel"] = own[f"attnpool.{theirs}.weight"].T
        converted[f"attnpool/{ours}/bias"] = own[f"attnpool.{theirs}.bias"]
    for convolution, norm, layer, _ in convolutions(vision):
        parts = [own[f"{norm}.{part}"] for part in NORM_PARTS]
        kernel, bias = folded(own[f"{convolution}.weight"], *parts)
        converted[f"{layer}/kernel"], converted[f"{layer}/bias"] = kernel, bias
        if layer.endswith("/conv3"):  # linear: what it gives is what its normalization made
            converted[f"{STATISTICS}{layer}/mean"] = parts[1]
            converted[f"{STATISTICS}{layer}/deviation"] = np.abs(parts[0])
    return converted


def folded(
    kernel: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """HWIO kernel and bias of an OIHW convolution with its batch normalization, added up in float64."""
    scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + BATCH_NORM_EPSILON)
    return scale * kernel.transpose(2, 3, 1, 0), beta - scale * mean


def shapes_of(tensors: Tensors) -> Shapes:
    """The shapes of the tensors that are parameters."""
    return {name: tensor.shape for name, tensor in tensors.items() if not ignored(name)}
