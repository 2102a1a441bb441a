"""ViT CLIPs against `transformers.CLIPModel`, layer by layer, on seeded weights saved as its users have them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from diffprog.graph import tap, trace
from diffprog.models import clip
from diffprog.models.clip import transformer
from tests.models.clip.tiny import END, MOST_RELATIVE_ERROR, TEXT, VIT, hugging_face_model, texts
from tests.models.pictures import noise, relative_error

pytestmark = pytest.mark.usefixtures("compiled_plainly")

BLOCK_LAYERS = {
    "layer_norm1": "ln_1",
    "self_attn": "attention",
    "layer_norm2": "ln_2",
    "mlp.activation_fn": "mlp/hidden",
    "mlp": "mlp/out",
    "": "",
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, clip.Clip]:
    """The QuickGELU model and what is loaded from its files; neither is changed."""
    model = hugging_face_model()
    return model, clip.load(saved_model(model, tmp_path_factory.mktemp("published")))


def saved_model(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder, safe_serialization=True)
    return folder / "model.safetensors"


def hooked(module: Any, layers: dict[str, np.ndarray], name: str) -> None:
    def keep(_: Any, inputs: Any, output: Any) -> None:
        layers[name] = (output[0] if isinstance(output, tuple) else output).detach().numpy()

    module.register_forward_hook(keep)


def unhooked(model: Any, layers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The layers, which no later call of the model writes to."""
    for module in model.modules():
        module._forward_hooks.clear()
    return layers


def blocks_hooked(encoder: Any, layers: dict[str, np.ndarray]) -> None:
    for number, block in enumerate(encoder.layers):
        for theirs, ours in BLOCK_LAYERS.items():
            part = block.get_submodule(theirs)
            hooked(part, layers, f"blocks/{number}/{ours}".rstrip("/"))


def their_image_layers(model: Any, images: np.ndarray) -> dict[str, np.ndarray]:
    """{our name: value} of the image tower, and "projection"."""
    torch = pytest.importorskip("torch")
    layers: dict[str, np.ndarray] = {}
    vision = model.vision_model
    hooked(vision.embeddings, layers, "tokens")
    hooked(vision.pre_layrnorm, layers, "ln_pre")
    blocks_hooked(vision.encoder, layers)
    hooked(vision.post_layernorm, layers, "ln_post")
    mean, deviation = torch.tensor(clip.Architecture.mean), torch.tensor(clip.Architecture.deviation)
    with torch.no_grad():
        x = ((torch.from_numpy(images) - mean) / deviation).permute(0, 3, 1, 2)
        layers["projection"] = model.get_image_features(x).numpy()
    return unhooked(model, layers)


def their_text_layers(model: Any, tokens: np.ndarray) -> dict[str, np.ndarray]:
    torch = pytest.importorskip("torch")
    layers: dict[str, np.ndarray] = {}
    hooked(model.text_model.embeddings, layers, "tokens")
    blocks_hooked(model.text_model.encoder, layers)
    hooked(model.text_model.final_layer_norm, layers, "ln_final")
    with torch.no_grad():
        layers["projection"] = model.get_text_features(torch.from_numpy(tokens).long()).numpy()
    return unhooked(model, layers)


def errors(tower: Any, x: np.ndarray, theirs: dict[str, np.ndarray]) -> dict[str, float]:
    out, layers = jax.jit(tap(tower, tuple(theirs)))(x)
    found = {name: relative_error(np.asarray(layers[name]), value) for name, value in theirs.items()}
    return found | {"output": relative_error(np.asarray(out), theirs["projection"])}


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_every_layer_agrees(tmp_path, activation):
    model = hugging_face_model(activation)
    loaded = clip.load(saved_model(model, tmp_path))
    images, tokens = noise(32, count=3), texts()

    image = errors(loaded.image_tower, images, their_image_layers(model, images))
    text = errors(loaded.text_tower, tokens, their_text_layers(model, tokens))

    print(f"relative errors, {activation}: image {image['output']:.1e}, text {text['output']:.1e}")
    assert loaded.architecture.activation == activation
    assert max((image | text).values()) <= MOST_RELATIVE_ERROR, (image, text)


def test_every_layer_is_named_and_compared(published):
    model, loaded = published
    images, tokens = noise(32, count=1), texts(1)
    # "blocks" and "mlp" are where names begin, "patches" is a part of "tokens", the last four of "attention".
    beginnings = {"preprocess", "output", "blocks", "patches", "end_of_text"}

    for tower, x, theirs in (
        (loaded.image_tower, images, their_image_layers(model, images)),
        (loaded.text_tower, tokens, their_text_layers(model, tokens)),
    ):
        named = {layer.name for layer in trace(tower, x).layers}
        rest = {name for name in named if not name.endswith(("/mlp", "/qkv", "/weights", "/out"))}
        assert rest - beginnings == {name for name in theirs if not name.endswith("mlp/out")}
        assert {name for name in theirs if name.endswith("mlp/out")} <= named


def test_the_gradient_by_the_picture_agrees(published):
    torch = pytest.importorskip("torch")
    model, loaded = published
    images = noise(32, count=2)
    picture = torch.from_numpy(images).requires_grad_()
    mean, deviation = torch.tensor(clip.Architecture.mean), torch.tensor(clip.Architecture.deviation)
    model.get_image_features(((picture - mean) / deviation).permute(0, 3, 1, 2)).square().sum().backward()

    gradient = jax.grad(lambda x: (loaded.image_features(x) ** 2).sum())(images)

    assert relative_error(np.asarray(gradient), picture.grad.numpy()) <= MOST_RELATIVE_ERROR


def test_logits_agree(published):
    torch = pytest.importorskip("torch")
    model, loaded = published
    images, tokens = noise(32, count=3), texts()
    mean, deviation = torch.tensor(clip.Architecture.mean), torch.tensor(clip.Architecture.deviation)
    pixels = ((torch.from_numpy(images) - mean) / deviation).permute(0, 3, 1, 2)
    with torch.no_grad():
        theirs = model(input_ids=torch.from_numpy(tokens).long(), pixel_values=pixels).logits_per_image

    ours = np.exp(loaded.logit_scale) * loaded.similarity(images, tokens)

    # Cosines are below 1 and agree to 1e-6; the scale multiplies by up to 100.
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)
    np.testing.assert_allclose(loaded.probabilities(images, tokens).sum(-1), 1.0, atol=1e-6)


# ---- the traps: each of these must be seen -----------------------------------------------------------------


def test_the_other_activation_is_seen(tmp_path):
    model = hugging_face_model("quick_gelu")
    loaded = clip.load(saved_model(model, tmp_path), activation="gelu")
    images, tokens = noise(32, count=2), texts()
    assert (
        errors(loaded.image_tower, images, their_image_layers(model, images))["output"]
        > 10 * MOST_RELATIVE_ERROR
    )
    assert (
        errors(loaded.text_tower, tokens, their_text_layers(model, tokens))["output"]
        > 10 * MOST_RELATIVE_ERROR
    )


def test_the_tanh_form_of_gelu_is_seen(tmp_path, monkeypatch):
    model = hugging_face_model("gelu")
    monkeypatch.setattr(transformer, "ACTIVATIONS", {"gelu": jax.nn.gelu, "quick_gelu": jax.nn.gelu})
    monkeypatch.setattr("diffprog.models.clip.vit.ACTIVATIONS", {"gelu": jax.nn.gelu})
    loaded = clip.load(saved_model(model, tmp_path))
    images = noise(32, count=2)
    layers = errors(loaded.image_tower, images, their_image_layers(model, images))
    assert layers["blocks/0/mlp/hidden"] > MOST_RELATIVE_ERROR


def test_another_epsilon_is_seen(tmp_path):
    """Faint tokens, as those of a flat picture are, have a variance near epsilon: there flax's default shows."""
    torch = pytest.importorskip("torch")
    model = hugging_face_model()
    with torch.no_grad():
        model.vision_model.embeddings.class_embedding.mul_(0.02)
        model.vision_model.embeddings.position_embedding.weight.mul_(0.02)
        model.vision_model.embeddings.patch_embedding.weight.mul_(0.02)
    path = saved_model(model, tmp_path)
    images = noise(32, count=2)
    theirs = their_image_layers(model, images)
    right = clip.load(path)
    wrong = clip.load(path, architecture=dataclasses.replace(right.architecture, epsilon=1e-6))
    assert errors(right.image_tower, images, theirs)["ln_pre"] <= MOST_RELATIVE_ERROR
    assert errors(wrong.image_tower, images, theirs)["ln_pre"] > 10 * MOST_RELATIVE_ERROR


def test_the_epsilon_of_the_configuration_is_used(tmp_path):
    model = hugging_face_model(layer_norm_eps=1e-3)
    loaded = clip.load(saved_model(model, tmp_path))
    images = noise(32, count=2)
    assert loaded.architecture.epsilon == 1e-3
    assert (
        errors(loaded.image_tower, images, their_image_layers(model, images))["output"] <= MOST_RELATIVE_ERROR
    )


def test_texts_are_read_at_their_end_and_not_at_token_2(published):
    """The configuration says eos_token_id=2, as published ones do; a text that has a token 2 is not cut there."""
    model, loaded = published
    tokens = texts()
    tokens[:, 1] = 2
    theirs = their_text_layers(model, tokens)
    ours = np.asarray(loaded.text_features(tokens))
    assert relative_error(ours, theirs["projection"]) <= MOST_RELATIVE_ERROR

    torch = pytest.importorskip("torch")
    with torch.no_grad():
        at_2 = model.text_projection(torch.from_numpy(theirs["ln_final"][:, 1])).numpy()
        last = model.text_projection(torch.from_numpy(theirs["ln_final"][:, -1])).numpy()
    assert relative_error(ours, at_2) > 10 * MOST_RELATIVE_ERROR
    assert relative_error(ours, last) > 10 * MOST_RELATIVE_ERROR


def test_what_is_padded_behind_the_end_changes_nothing(published):
    loaded = published[1]
    zeros = texts()
    ends = zeros.argmax(axis=1)[:, None]
    padded = np.where(np.arange(TEXT.context) > ends, END, zeros)  # as Hugging Face pads
    longest = zeros[:, : int(ends.max()) + 1]  # as it pads to the longest
    expected = np.asarray(loaded.text_features(zeros))
    # The same sums, possibly in another order.
    np.testing.assert_allclose(loaded.text_features(padded), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loaded.text_features(longest), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_files_are_read_as_float32(tmp_path, precision):
    torch = pytest.importorskip("torch")
    model = hugging_face_model().to(getattr(torch, precision))
    loaded = clip.load(saved_model(model, tmp_path))
    images = noise(32, count=2)
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded.image_tower.params)} == {np.dtype("float32")}
    theirs = their_image_layers(model.float(), images)
    assert errors(loaded.image_tower, images, theirs)["output"] <= MOST_RELATIVE_ERROR


def test_a_pytorch_bin_file_gives_the_same(tmp_path):
    torch = pytest.importorskip("torch")
    model = hugging_face_model()
    safe = clip.load(saved_model(model, tmp_path))
    state = model.state_dict() | {"text_model.embeddings.position_ids": torch.arange(TEXT.context)[None]}
    torch.save(state, tmp_path / "pytorch_model.bin")
    other = clip.load(tmp_path / "pytorch_model.bin")
    jax.tree.map(np.testing.assert_array_equal, safe.image_tower.params, other.image_tower.params)
    jax.tree.map(np.testing.assert_array_equal, safe.text_tower.params, other.text_tower.params)


def test_the_sizes_are_recognized(published):
    loaded = published[1]
    found = loaded.architecture
    assert (found.vision, found.text, found.embedding) == (VIT.vision, VIT.text, VIT.embedding)
    assert loaded.image_tower.input_size == 32
