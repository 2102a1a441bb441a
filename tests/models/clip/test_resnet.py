"""ResNet CLIPs against a twin in PyTorch, and the files it is saved to: plain, OpenCLIP's, and TorchScript."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from diffprog import weights
from diffprog.graph import tap, trace
from diffprog.models import clip
from diffprog.models.clip import published, resnet
from tests.models.clip.tiny import (
    MOST_RELATIVE_ERROR,
    RESNET,
    TEXT,
    open_clip_config,
    random_tensors,
    texts,
)
from tests.models.pictures import noise, relative_error

pytestmark = pytest.mark.usefixtures("compiled_plainly")

torch = pytest.importorskip("torch")
from tests.models.clip.torch_twin import pixels, twin  # noqa: E402 (it needs torch)

BLOCK_LAYERS = {"conv1": "bn1", "conv2": "bn2", "conv3": "bn3", "downsample": "downsample"}


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    return random_tensors(RESNET)


@pytest.fixture(scope="module")
def theirs(tensors: dict[str, np.ndarray]) -> Any:
    return twin(RESNET, tensors)


@pytest.fixture(scope="module")
def loaded(tensors: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> clip.Clip:
    path = tmp_path_factory.mktemp("resnet") / "model.safetensors"
    weights.save(path, tensors)
    return clip.load(path, architecture=RESNET)


def scripted(model: Any, path: Path) -> Path:
    """An archive as OpenAI's: a traced program, saved whole."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about tracing
        example = (torch.zeros(1, 3, 64, 64), torch.zeros(1, TEXT.context, dtype=torch.long))
        torch.jit.trace(model, example).save(str(path))
    return path


def their_layers(model: Any, images: np.ndarray) -> dict[str, np.ndarray]:
    """{our name: NHWC value} of the image tower."""
    layers: dict[str, np.ndarray] = {}

    def keep(module: Any, name: str, activation: Any = lambda x: x) -> None:
        def hook(_: Any, inputs: Any, output: Any) -> None:
            value = activation(output).detach()
            layers[name] = (value.permute(0, 2, 3, 1) if value.ndim == 4 else value).numpy()

        hooks.append(module.register_forward_hook(hook))

    hooks: list[Any] = []
    visual, relu = model.visual, torch.nn.functional.relu
    for n in (1, 2, 3):
        keep(getattr(visual, f"bn{n}"), f"conv{n}", relu)
    keep(visual.avgpool, "pool")
    for stage in (1, 2, 3, 4):
        for i, block in enumerate(getattr(visual, f"layer{stage}")):
            keep(block, f"layer{stage}/{i}")
            keep(block.bn1, f"layer{stage}/{i}/conv1", relu)
            keep(block.bn2, f"layer{stage}/{i}/conv2", relu)
            keep(block.bn3, f"layer{stage}/{i}/conv3")
            if block.downsample is not None:
                keep(block.downsample, f"layer{stage}/{i}/downsample")
    keep(visual.attnpool, "attnpool")
    with torch.no_grad():
        visual(pixels(images))
    for hook in hooks:
        hook.remove()
    return layers


def errors(tower: Any, images: np.ndarray, expected: dict[str, np.ndarray]) -> dict[str, float]:
    out, layers = jax.jit(tap(tower, tuple(expected)))(images)
    found = {name: relative_error(np.asarray(layers[name]), value) for name, value in expected.items()}
    return found | {"output": relative_error(np.asarray(out), expected["attnpool"])}


def test_every_layer_agrees(loaded, theirs):
    images = noise(64, count=3)
    found = errors(loaded.image_tower, images, their_layers(theirs, images))
    print(f"relative error of image features: {found['output']:.1e}")
    assert max(found.values()) <= MOST_RELATIVE_ERROR, found


def test_texts_agree(loaded, theirs):
    tokens = texts()
    with torch.no_grad():
        expected = theirs.encode_text(torch.from_numpy(tokens).long()).numpy()
    found = relative_error(np.asarray(loaded.text_features(tokens)), expected)
    print(f"relative error of text features: {found:.1e}")
    assert found <= MOST_RELATIVE_ERROR


def test_every_layer_is_named_and_compared(loaded, theirs):
    images = noise(64, count=1)
    named = {layer.name for layer in trace(loaded.image_tower, images).layers}
    within = {name for name in named if name.startswith("attnpool/")}
    beginnings = {"preprocess", "output", "layer1", "layer2", "layer3", "layer4"}
    pools = {name for name in named if name.endswith("avg_pool")}
    assert named - beginnings - within - pools == set(their_layers(theirs, images))
    assert {"attnpool/query", "attnpool/key", "attnpool/value", "attnpool/tokens"} <= within


def test_the_gradient_by_the_picture_agrees(loaded, theirs):
    images = noise(64, count=2)
    picture = torch.from_numpy(images).requires_grad_()
    mean, deviation = torch.tensor(RESNET.mean), torch.tensor(RESNET.deviation)
    theirs.visual(((picture - mean) / deviation).permute(0, 3, 1, 2)).square().sum().backward()

    gradient = jax.jit(jax.grad(lambda x: (loaded.image_features(x) ** 2).sum()))(images)

    # Ten times the bound on values: where a pre-activation is within rounding of zero, the two choose different
    # sides of the ReLU for a few pixels.
    assert relative_error(np.asarray(gradient), picture.grad.numpy()) <= 10 * MOST_RELATIVE_ERROR


def test_xla_padding_would_be_seen(tensors, theirs, monkeypatch):
    monkeypatch.setattr(resnet, "TORCH_PADDING", "SAME")
    wrong = clip.loading.build(RESNET, tensors, lambda: None)
    images = noise(64, count=1)
    assert errors(wrong.image_tower, images, their_layers(theirs, images))["conv1"] > MOST_RELATIVE_ERROR


def test_another_epsilon_in_the_folding_would_be_seen(tensors, theirs, monkeypatch):
    monkeypatch.setattr(published, "BATCH_NORM_EPSILON", 1e-3)
    wrong = clip.loading.build(RESNET, tensors, lambda: None)
    images = noise(64, count=1)
    assert errors(wrong.image_tower, images, their_layers(theirs, images))["output"] > MOST_RELATIVE_ERROR


def test_statistics_are_those_of_the_normalization(loaded, tensors):
    mean, deviation = loaded.image_tower.statistics["layer4/1/conv3"]
    np.testing.assert_array_equal(mean, tensors["visual.layer4.1.bn3.bias"])
    np.testing.assert_array_equal(deviation, np.abs(tensors["visual.layer4.1.bn3.weight"]))
    assert len(loaded.image_tower.statistics) == sum(RESNET.vision.layers)


# ---- the same weights in every file ------------------------------------------------------------------------


def assert_same(a: clip.Clip, b: clip.Clip) -> None:
    jax.tree.map(np.testing.assert_array_equal, a.image_tower.params, b.image_tower.params)
    jax.tree.map(np.testing.assert_array_equal, a.text_tower.params, b.text_tower.params)
    assert a.logit_scale == b.logit_scale


def test_a_torchscript_archive_gives_the_same(loaded, theirs, tmp_path):
    path = scripted(theirs, tmp_path / "RN.pt")
    assert_same(clip.load(path, architecture=RESNET), loaded)


def test_half_precision_is_read_as_float32(theirs, tensors, tmp_path):
    # As in OpenAI's archives: convolutions in float16, the rest in float32.
    half = {name: t.astype(np.float16) if "conv" in name else t for name, t in tensors.items()}
    weights.save(tmp_path / "half.safetensors", half)
    got = clip.load(tmp_path / "half.safetensors", architecture=RESNET)
    assert {leaf.dtype for leaf in jax.tree.leaves(got.image_tower.params)} == {np.dtype("float32")}
    images = noise(64, count=2)
    # float16 keeps 11 bits: each weight is off by up to 5e-4 of itself.
    expected = their_layers(theirs, images)["attnpool"]
    assert relative_error(np.asarray(got.image_features(images)), expected) < 1e-2


@pytest.mark.parametrize("wrapper", ["", "module.", "text"])
def test_open_clips_files_give_the_same(loaded, tensors, tmp_path, wrapper):
    def renamed(name: str) -> str:
        if wrapper == "text":
            return name if name.startswith("visual.") or name == "logit_scale" else f"text.{name}"
        return wrapper + name

    state = {renamed(name): torch.from_numpy(tensor.copy()) for name, tensor in tensors.items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "open_clip_pytorch_model.bin")
    (tmp_path / "open_clip_config.json").write_text(json.dumps(open_clip_config(RESNET, quick_gelu=True)))

    got = clip.load(tmp_path / "open_clip_pytorch_model.bin")

    assert_same(got, loaded)
    assert got.architecture.activation == "quick_gelu"
    assert got.architecture.vision == RESNET.vision
    assert got.architecture.mean == (0.5, 0.4, 0.3)
    images = noise(64, count=1)
    preprocessed = jax.jit(tap(got.image_tower, "preprocess"))(images)[1]["preprocess"]
    np.testing.assert_allclose(
        preprocessed, (images - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4], rtol=1e-5, atol=1e-6
    )
