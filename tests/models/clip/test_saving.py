"""A CLIP in one file: what is read is what was written, bit for bit; headers that lie are refused."""

import dataclasses
import json

import numpy as np
import pytest

from diffprog import weights
from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.models import clip
from diffprog.models.clip.building import build
from diffprog.models.clip.learning import learned
from diffprog.models.clip.saving import HEADER
from diffprog.models.clip.tokenizer import Tokenizer
from tests.models.clip.tiny import RESNET, VIT, hugging_face_config, random_tensors, saved
from tests.models.pictures import noise

VOCABULARY = learned(["a red heart", "a heart suit", "a red apple"], merges=4)
ARCHITECTURE = dataclasses.replace(
    VIT,
    vision=VIT.vision._replace(layers=1),
    text=VIT.text._replace(layers=1, vocabulary=len(VOCABULARY.numbers)),
    activation="gelu",
    mean=(0.5, 0.4, 0.3),
)
TENSORS = random_tensors(ARCHITECTURE)
NET = build(ARCHITECTURE, TENSORS, lambda: Tokenizer(VOCABULARY, VIT.text.context))


def rewritten(path, **changes):
    """The file with another header."""
    said = json.loads(weights.read_metadata(path)[HEADER])
    weights.save(path, weights.read(path), {HEADER: json.dumps({**said, **changes})})
    return path


def test_a_clip_comes_back_from_its_one_file(tmp_path) -> None:
    path = clip.save(NET, tmp_path / "own.safetensors")
    assert {n: t.tobytes() for n, t in weights.read(path).items()} == {
        n: t.tobytes() for n, t in TENSORS.items()
    }
    again, words = clip.load(path), ["a red heart", "Heart!"]
    assert again.architecture == ARCHITECTURE and again.logit_scale == NET.logit_scale
    assert np.array_equal(again.tokenize(words), NET.tokenize(words))
    pictures = noise(32)
    assert np.array_equal(again.similarity(pictures, words), NET.similarity(pictures, words))
    assert (again.name, again.input_size) == ("CLIP tiny ViT", 32)


def test_a_file_of_ours_in_place_of_another_architecture_says_what_fits(tmp_path) -> None:
    path = clip.save(NET, tmp_path / "own.safetensors")
    with pytest.raises(BadFile, match="not those of ViT-B/32"):
        clip.load(path, architecture="ViT-B/32")
    (tmp_path / "vocabulary.txt").write_text("#version: 0.2\n")
    with pytest.raises(BadFile, match="does not match these weights"):
        clip.load(path, tokenizer=tmp_path / "vocabulary.txt").tokenize("a red heart")


@pytest.mark.parametrize(
    "changes",
    [
        {"vision": None},
        {"vision": {"width": 64}},
        {"vision": {**ARCHITECTURE.vision._asdict(), "heads": 7}},
        {"vision": {**ARCHITECTURE.vision._asdict(), "layers": 10**9}},
        {"embedding": True},
        {"activation": "swish"},
        {"epsilon": float("nan")},
        {"deviation": [1.0, 0.0, 1.0]},
        {"merges": "a b c"},
        {"merges": 7},
        {"merges": "h i"},
    ],
    ids=lambda changes: str(next(iter(changes.items())))[:40],
)
def test_headers_that_describe_no_such_clip_are_refused(changes, tmp_path) -> None:
    path = rewritten(clip.save(NET, tmp_path / "own.safetensors"), **changes)
    with pytest.raises(BadFile) as caught:
        clip.load(path)
    assert caught.value.got.startswith(str(path)) and caught.value.expected and caught.value.remedy


def test_a_header_of_other_sizes_than_the_tensors_is_refused_with_their_names(tmp_path) -> None:
    path = rewritten(clip.save(NET, tmp_path / "own.safetensors"), embedding=25)
    with pytest.raises(BadFile, match=r"visual.proj \[64, 24\] instead of \[64, 25\]"):
        clip.load(path)


def test_a_resnet_is_not_written(tmp_path) -> None:
    net = build(RESNET, random_tensors(RESNET), lambda: Tokenizer(VOCABULARY))
    with pytest.raises(InvalidInput, match="ResNet"):
        clip.save(net, tmp_path / "resnet.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_stands_for_the_weights_in_it(tmp_path) -> None:
    with pytest.raises(Unreachable, match=r"model.safetensors or open_clip_model"):
        clip.load(tmp_path)
    saved(tmp_path, random_tensors(VIT), hugging_face_config())
    assert clip.load(tmp_path).architecture.vision == VIT.vision
    (tmp_path / "model.safetensors").rename(tmp_path / "model-00001-of-00002.safetensors")
    with pytest.raises(Unreachable, match="model-00001-of-00002"):
        clip.load(tmp_path)


def test_learning_byte_pairs_takes_the_commonest_again_and_again() -> None:
    """By hand: lo occurs 5 times, with a w that ends the word 4 times, and w e 3 times."""
    merges = learned(["low low low low lower newest newest"], merges=2).merges
    assert merges == [("l", "o"), ("lo", "w</w>")]
    assert learned(["once"], merges=10).merges == []
    tokenizer = Tokenizer(learned(["low low low low lower newest newest"]), context=8)
    assert tokenizer.decode(tokenizer.encode("LOW newest")) == ["low", "newest"]
