"""`diffprog guide` with a real network on a canvas, a few steps; and all that it refuses before it begins."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffprog import weights
from diffprog.cli import guide as command
from diffprog.errors import BadFile
from diffprog.guide import read_manifest, scorers
from diffprog.models import clip, gans
from tests.cli.conftest import Run
from tests.cli.test_bad_input import three_parts
from tests.models.clip.test_saving import ARCHITECTURE, NET, TENSORS, VOCABULARY
from tests.models.clip.tiny import RESNET, hugging_face_config, random_tensors, saved
from tests.models.gans.tiny import saved as saved_generator

SMALL = ("--generator", "pixel", "--scorer", "class", "--model", "squeezenet", "--steps", 2, "--n", 1)


def test_pictures_are_made_said_and_made_again(run: Run, folder: Path) -> None:
    result = run("guide", "sunglasses", *SMALL, "--gif", "film.gif")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "sunglasses.png and film.gif"
    assert "by        pixel-128 and classifier(squeezenet), 2 steps" in result.stdout
    assert read_manifest(folder / "sunglasses.png")["prompts"] == ["sunglasses"]
    first = Image.open(folder / "sunglasses.png").tobytes()
    with Image.open(folder / "film.gif") as film:
        assert film.size == (96, 96)
    again = run("guide", "sunglasses", *SMALL)  # our own picture may be replaced
    assert again.exit_code == 0 and Image.open(folder / "sunglasses.png").tobytes() == first


BAD = {
    "empty prompt": (("",), "without words"),
    "a prompt of weight zero": (("a hat:0",), "not zero"),
    "unknown generator": (("a hat", "--generator", "bigan"), "--generator biggan"),
    "a generator without its weights": (("a hat", "--generator", "vqgan"), "--generator vqgan --weights"),
    "weights that are not there": (("a hat", "--generator", "vqgan", "--weights", "a.pt"), "no file a.pt"),
    "weights that are not wanted": (("a hat", "--weights", "a.pt"), "--generator biggan --weights a.pt"),
    "unknown scorer": (("a hat", "--scorer", "clap"), "--scorer clip"),
    "unknown model": (("a hat", "--model", "squeezenot"), "--model squeezenet"),
    "unknown judge": (("a hat", "--judge-model", "efficientnet-lite7"), "--judge-model efficientnet"),
    "a judge that scores": (
        ("a hat", "--judge-model", "efficientnet-lite0"),
        "--judge-model efficientnet-lite1",
    ),
    "no pictures": (("a hat", "--n", 0), "--n 0"),
    "no steps": (("a hat", "--steps", 0), "--steps 0"),
    "negative seed": (("a hat", "--seed", -1), "--seed -1"),
    "another format": (("a hat", "--out", "a.jpg"), "a.png"),
    "a film of another format": (("a hat", "--film", "a.avi"), "a.gif"),
    "a clip that is not said": (("a hat", "--scorer", "clip"), "--clip path/to/model.safetensors"),
    "a clip that is not there": (("a hat", "--scorer", "clip", "--clip", "absent.pt"), "absent.pt"),
    "a clip that nobody asked for": (("a hat", "--clip", "absent.pt"), "--scorer clip"),
    "a tokenizer for no clip": (("a hat", "--tokenizer", "merges.txt"), "--scorer clip"),
    "folder not there": (("a hat", "--out", "nowhere/a.png"), "mkdir"),
}


@pytest.mark.parametrize("arguments, said", BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_before_any_network_is_loaded(
    arguments: tuple[object, ...], said: str, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GENERATORS", "SCORERS"):
        stubs = dict.fromkeys(getattr(command, name), lambda *_: pytest.fail("a network was loaded"))
        monkeypatch.setattr(command, name, stubs)
    result = run("guide", *arguments)
    assert result.exit_code == 2
    assert three_parts(result.stderr) and said in result.stderr
    assert list(folder.iterdir()) == []


PAINTED = ("--generator", "pixel", "--scorer", "clip", "--steps", 1, "--n", 1)


def test_a_clip_scores_from_its_file_or_folder(run: Run, folder: Path, tmp_path: Path) -> None:
    clip.save(NET, folder / "own.safetensors")
    result = run("guide", "a red heart", *PAINTED, "--clip", "own.safetensors", "--film", "film.mp4")
    assert result.exit_code == 0, result.output
    assert "by        pixel-128 and CLIP tiny ViT, 1 steps" in result.stdout
    assert read_manifest(folder / "a_red_heart.png")["scorer"] == "CLIP tiny ViT"
    assert (folder / "film.mp4").read_bytes()[4:8] == b"ftyp"
    (tmp_path / "published").mkdir()
    path = saved(tmp_path / "published", TENSORS, hugging_face_config(ARCHITECTURE, "gelu"))
    (path.parent / "vocab.json").write_text(json.dumps(VOCABULARY.numbers), encoding="utf-8")
    merges = "\n".join(" ".join(pair) for pair in VOCABULARY.merges)
    (path.parent / "merges.txt").write_text(merges, encoding="utf-8")
    published = scorers.clip(path.parent)
    assert np.array_equal(published.read(["a red heart"]), scorers.clip(NET).read(["a red heart"]))


def test_weights_that_do_not_fit_are_refused_in_three_parts(run: Run, folder: Path) -> None:
    """Another network's; a ResNet's with a tensor missing; towers of different embeddings; another vocabulary."""
    resnet = random_tensors(RESNET)
    files = {
        "squeezenet": ({"fire2/squeeze/kernel": np.zeros(3, np.float32)}, "SqueezeNet"),
        "part": ({n: t for n, t in resnet.items() if n != "visual.bn1.weight"}, "visual.bn1.weight"),
        "embeddings": ({**TENSORS, "visual.proj": np.zeros((64, 30), np.float32)}, "visual.proj [64, 30]"),
    }
    for name, (tensors, said) in files.items():
        weights.save(folder / f"{name}.safetensors", tensors)
        result = run("guide", "a hat", *PAINTED, "--clip", f"{name}.safetensors")
        assert result.exit_code == 2 and three_parts(result.stderr) and said in result.stderr
    clip.save(NET, folder / "own.safetensors")
    (folder / "merges.txt").write_text("#version: 0.2\nh i\n")
    result = run("guide", "hi", *PAINTED, "--clip", "own.safetensors", "--tokenizer", "merges.txt")
    assert result.exit_code == 2 and "does not match these weights" in result.stderr
    result = run("guide", "heart " * 40, *PAINTED, "--clip", "own.safetensors")
    assert result.exit_code == 2 and "this would be lost" in result.stderr
    assert list(folder.glob("*.png")) == []


def test_weights_make_the_generator_that_they_are_of(folder: Path) -> None:
    path = saved_generator(folder, "vqgan")
    assert isinstance(command.maker("vqgan", path)(), gans.VQGAN)
    with pytest.raises(BadFile, match="--generator vqgan"):
        command.maker("stylegan2", path)()
    assert command.maker("cppn", None)().name == "cppn-128"


def test_somebody_elses_picture_is_not_replaced(run: Run, folder: Path) -> None:
    Image.new("RGB", (2, 2)).save(folder / "a_hat.png")
    result = run("guide", "a hat", *SMALL)
    assert result.exit_code == 2 and "was not made by diffprog guide" in result.stderr


def test_a_class_that_is_not_there_is_said(run: Run, folder: Path) -> None:
    result = run("guide", "unicorn dust", *SMALL)
    assert result.exit_code == 2 and three_parts(result.stderr)
    assert list(folder.glob("*.png")) == []


@pytest.mark.parametrize(
    "model, expected",
    [("efficientnet-lite0", "efficientnet-lite1"), ("efficientnet-lite1", "efficientnet-lite2")],
)
def test_the_judge_is_another_network(model: str, expected: str) -> None:
    assert command.judge_for(model, True, None) == expected
    assert command.judge_for(model, False, None) is None
    assert command.judge_for(model, False, "squeezenet") == "squeezenet"
