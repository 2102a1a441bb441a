"""Weights and configurations that do not fit are refused in three parts, with the names of the user's file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from diffprog import weights
from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.models import clip
from diffprog.models.clip.architecture import KNOWN
from tests.models.clip.tiny import (
    END,
    RESNET,
    TEXT,
    VIT,
    hugging_face_config,
    open_clip_config,
    random_tensors,
    saved,
    texts,
)
from tests.models.pictures import noise

TENSORS = random_tensors(VIT)
LAST = "visual.transformer.resblocks.1.mlp.c_proj.bias"


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small networks as if they were published, under their names."""
    for architecture in (VIT, RESNET):
        monkeypatch.setitem(KNOWN, architecture.name, architecture)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> clip.Clip:
    return clip.load(saved(tmp_path_factory.mktemp("vit"), TENSORS, hugging_face_config()))


def refused(path: Any, **options: Any) -> BadFile:
    with pytest.raises(BadFile) as caught:
        clip.load(path, **options)
    error = caught.value
    assert error.got.startswith(str(path.parent)) and error.expected and error.remedy
    assert len(str(error)) < 2000
    return error


# ---- weights ----------------------------------------------------------------------------------------------


def test_missing_surplus_and_misshapen_tensors_are_named(tmp_path, known):
    tensors = {name: t for name, t in TENSORS.items() if name != LAST}
    tensors |= {"visual.extra": np.zeros(3, np.float32), "ln_final.bias": np.zeros(63, np.float32)}
    got = refused(saved(tmp_path, tensors, hugging_face_config())).got
    assert f"1 missing ({LAST})" in got
    assert "1 surplus (visual.extra)" in got
    assert "1 of another shape (ln_final.bias [63] instead of [64])" in got


@pytest.mark.parametrize("name", [LAST, "visual.conv1.weight", "token_embedding.weight", "logit_scale"])
def test_every_missing_tensor_is_named(tmp_path, known, name):
    error = refused(saved(tmp_path, {n: t for n, t in TENSORS.items() if n != name}, hugging_face_config()))
    assert name in error.got and "tiny ViT" in error.got + error.remedy


def test_names_are_those_of_the_file(tmp_path, known):
    tensors = {"vision_model.embeddings.class_embedding": np.zeros(64, np.float32), **TENSORS}
    del tensors["visual.class_embedding"]
    del tensors["visual.transformer.resblocks.0.attn.in_proj_weight"]
    got = refused(saved(tmp_path, tensors, hugging_face_config())).got
    assert "vision_model.encoder.layers.0.self_attn.{q,k,v}_proj.weight" in got


def test_weights_of_another_architecture_say_which_they_fit(tmp_path, known):
    path = saved(tmp_path, random_tensors(RESNET), None)
    error = refused(path, architecture="tiny ViT")
    assert "not those of tiny ViT" in error.got
    assert "visual.class_embedding" in error.got and "visual.attnpool." in error.got
    assert error.remedy.startswith("architecture='tiny ResNet', which they fit")


def test_an_unknown_architecture_offers_the_nearest(tmp_path):
    with pytest.raises(InvalidInput, match="RN50x4") as caught:
        clip.load(tmp_path / "absent", architecture="ViT-B-32")
    assert caught.value.remedy == "'ViT-B/32'"


@pytest.mark.parametrize(
    "name, said",
    [("_conv_stem.weight", "EfficientNet"), ("fire2/squeeze/kernel", "SqueezeNet"), ("foo", "no CLIP")],
)
def test_weights_of_something_else_say_so(tmp_path, name, said):
    error = refused(saved(tmp_path, {name: np.zeros(3, np.float32)}, None))
    assert said in error.got and "no CLIP" in error.got


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(tmp_path, number):
    tensors = {**TENSORS, LAST: np.full_like(TENSORS[LAST], number)}
    assert (
        f"{LAST} of float32, not all finite" in refused(saved(tmp_path, tensors, hugging_face_config())).got
    )


def test_integers_for_parameters_are_refused(tmp_path):
    tensors = {**TENSORS, LAST: TENSORS[LAST].astype(np.int32)}
    assert f"{LAST} of int32" in refused(saved(tmp_path, tensors, hugging_face_config())).got


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(Unreachable, match="absent"):
        clip.load(tmp_path / "absent.safetensors")


def test_a_truncated_file_is_refused(tmp_path):
    path = saved(tmp_path, TENSORS, hugging_face_config())
    path.write_bytes(path.read_bytes()[:-100])
    assert "the tensors take" in refused(path).got


# ---- the activation is never guessed ------------------------------------------------------------------------


def test_without_a_word_on_the_activation_nothing_is_guessed(tmp_path, known):
    path = saved(tmp_path, TENSORS, None)
    with pytest.raises(InvalidInput, match="which activation they were trained with") as caught:
        clip.load(path)
    assert "activation='quick_gelu'" in caught.value.remedy
    assert clip.load(path, activation="gelu").architecture.activation == "gelu"


def test_openais_archives_say_it_by_their_marks(tmp_path, known):
    marks = {"input_resolution": 32, "context_length": TEXT.context, "vocab_size": TEXT.vocabulary}
    tensors = TENSORS | {name: np.asarray(size) for name, size in marks.items()}
    assert clip.load(saved(tmp_path, tensors, None)).architecture.activation == "quick_gelu"


@pytest.mark.parametrize("said, activation", [(True, "quick_gelu"), (False, "gelu"), (None, "gelu")])
def test_open_clip_means_exact_gelu_without_a_word(tmp_path, said, activation):
    path = saved(tmp_path, TENSORS, None)
    (tmp_path / "open_clip_config.json").write_text(json.dumps(open_clip_config(VIT, said)))
    found = clip.load(path).architecture
    assert (found.activation, found.vision, found.text) == (activation, VIT.vision, VIT.text)


def test_hugging_face_means_quick_gelu_without_a_word(tmp_path):
    config = hugging_face_config()
    for tower in ("vision_config", "text_config"):
        del config[tower]["hidden_act"]
    assert clip.load(saved(tmp_path, TENSORS, config)).architecture.activation == "quick_gelu"


def test_the_callers_word_counts_most(tmp_path):
    path = saved(tmp_path, TENSORS, hugging_face_config())
    assert clip.load(path, activation="gelu").architecture.activation == "gelu"
    assert clip.load(path, architecture=VIT, activation="gelu").architecture.activation == "gelu"


@pytest.mark.parametrize("activation", ["relu", "gelu_new", ""])
def test_an_unknown_activation_is_refused(tmp_path, activation):
    path = saved(tmp_path, TENSORS, hugging_face_config(activation=activation))
    with pytest.raises(InvalidInput, match="quick_gelu"):
        clip.load(path)
    with pytest.raises(InvalidInput, match="quick_gelu"):
        clip.load(path, activation=activation)


# ---- configurations -------------------------------------------------------------------------------------------


def test_a_network_of_no_published_size_needs_its_configuration(tmp_path):
    path = saved(tmp_path, TENSORS, None)
    with pytest.raises(InvalidInput, match="number of heads"):
        clip.load(path, activation="gelu")


@pytest.mark.parametrize(
    "change, said",
    [
        ({"vision_config": {"hidden_size": 128}}, "vision width 128"),
        ({"vision_config": {"patch_size": 16}}, "vision patch 16"),
        ({"text_config": {"num_hidden_layers": 3}}, "text layers 3"),
    ],
)
def test_a_configuration_of_another_network_is_refused(tmp_path, change, said):
    config = hugging_face_config()
    for part, values in change.items():
        config[part] |= values
    assert said in refused(saved(tmp_path, TENSORS, config)).got


@pytest.mark.parametrize(
    "config",
    [
        [],
        {"model_type": "bert"},
        {"vision_config": {"num_attention_heads": 0, "hidden_size": 64}},
        {"vision_config": {"layer_norm_eps": "x"}, "text_config": {"layer_norm_eps": "x"}},
        {"vision_config": {"hidden_act": "gelu"}, "text_config": {"hidden_act": "quick_gelu"}},
        {"model_cfg": {"vision_cfg": {"timm_model_name": "resnet50"}}},
        {"model_cfg": {"vision_cfg": {"width": "wide"}}},
        {"model_cfg": {"vision_cfg": {}}, "preprocess_cfg": {"resize_mode": "squash"}},
        {"model_cfg": {"vision_cfg": {"width": 64}}, "preprocess_cfg": {"mean": [1, 2]}},
    ],
    ids=str,
)
def test_a_configuration_that_cannot_be_used_is_refused(tmp_path, config):
    assert refused(saved(tmp_path, TENSORS, config)).got.startswith(f"{tmp_path / 'config.json'}: ")


@pytest.mark.parametrize("text", ["", "{", "[" * 200_000, "{" + " " * (1 << 20) + "}"])
def test_a_configuration_that_is_no_json_is_refused(tmp_path, text):
    path = saved(tmp_path, TENSORS, None)
    (tmp_path / "config.json").write_text(text)
    assert refused(path).got.startswith(f"{tmp_path / 'config.json'}: ")


def test_heads_that_do_not_divide_are_refused(tmp_path):
    config = hugging_face_config()
    config["text_config"]["num_attention_heads"] = 7
    assert "7 heads for 64 channels" in refused(saved(tmp_path, TENSORS, config)).got


# ---- what goes into the towers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tokens, said",
    [
        (texts()[0], "integers [texts, tokens]"),
        (texts().astype(np.float32), "integers [texts, tokens]"),
        (np.full((1, TEXT.context + 1), END), "at most 16"),
        (np.zeros((1, 0), np.int32), "at most 16"),
        (np.array([[END - 1, TEXT.vocabulary, END]]), "numbers from 0 to 599"),
        (np.array([[-1, END]]), "numbers from 0 to 599"),
        (np.array([[1, 2, 3], [1, 2, END]]), f"the token {END} in every row"),
    ],
)
def test_tokens_that_cannot_be_used_are_refused(loaded, tokens, said):
    with pytest.raises(InvalidInput) as caught:
        loaded.text_features(tokens)
    assert said in caught.value.expected


@pytest.mark.parametrize("images", [np.zeros((32, 32, 3), np.float32), np.zeros((1, 32, 32, 3), np.uint8)])
def test_pictures_of_another_form_are_refused(loaded, images):
    with pytest.raises(InvalidInput, match="float32"):
        loaded.image_features(images)


def test_a_tower_without_a_vocabulary_says_so_when_asked(loaded):
    with pytest.raises(InvalidInput, match="without its vocabulary"):
        loaded.tokenize("a dog")
    with pytest.raises(InvalidInput, match="without its vocabulary"):
        loaded.similarity(noise(32, count=1), ["a dog"])


def test_nothing_of_this_needs_torch():
    import subprocess
    import sys

    code = "import sys, diffprog; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_saving_and_loading_are_exact(tmp_path):
    path = tmp_path / "model.safetensors"
    weights.save(path, TENSORS)
    got = clip.load(path, architecture=VIT)
    kernel = got.image_tower.params["blocks/1"]["mlp/out"]["kernel"]
    np.testing.assert_array_equal(kernel, TENSORS["visual.transformer.resblocks.1.mlp.c_proj.weight"].T)
