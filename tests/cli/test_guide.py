"""`diffprog guide` with a real network on a canvas, a few steps; and all that it refuses before it begins."""

from pathlib import Path

import pytest
from PIL import Image

from diffprog.cli import guide as command
from diffprog.errors import BadFile
from diffprog.guide import read_manifest
from diffprog.models import gans
from tests.cli.conftest import Run
from tests.cli.test_bad_input import three_parts
from tests.models.gans.tiny import saved

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
    "unknown scorer": (("a hat", "--scorer", "clap"), "--scorer class"),
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
    "a film of another format": (("a hat", "--gif", "a.mp4"), "a.gif"),
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


def test_weights_make_the_generator_that_they_are_of(folder: Path) -> None:
    path = saved(folder, "vqgan")
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
