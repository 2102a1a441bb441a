"""`diffprog score`: pictures that say what they are of, pictures that do not, and what is refused."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffprog import models
from tests.cli.conftest import Run
from tests.cli.test_bad_input import three_parts

FEW = ("--draws", 2)


@pytest.fixture
def photo(folder: Path) -> Path:
    path = folder.parent / "holiday.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 60, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def drawn(run: Run, folder: Path) -> str:
    few = ("--size", 48, "--steps", 1, "--recipe", "pixel", "--n", 2)
    result = run("visualize", "chameleon", *few, "--out", "two.png")
    assert result.exit_code == 0, result.output
    return str(next(line for line in result.stdout.splitlines() if "as it is" in line))


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second network at hand: the first under another name."""
    load = models.load
    net = load("squeezenet")
    other = dataclasses.replace(net, name="efficientnet-lite0", input_size=48)
    monkeypatch.setattr(models, "load", lambda name: net if name == "squeezenet" else other)
    monkeypatch.setattr(models, "at_hand", lambda name: name in ("squeezenet", "efficientnet-lite0"))


@pytest.mark.usefixtures("judge")
def test_drawings_and_photographs_in_one_table(run: Run, drawn: str, photo: Path) -> None:
    result = run("score", "two.png", photo, "--unit", "chameleon", "--size", 48, "--redraw", *FEW)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split("  ")[0] == "picture" and lines[0].endswith("efficientnet-lite0")
    assert [line.split("  ")[0] for line in lines[1:4]] == ["two.png #1", "two.png #2", "holiday.png"]
    assert all("class 47, African chameleon" in line and "48x48" in line for line in lines[1:4])
    assert "among the first five in" in result.stdout and "2 pictures, variety 0." in result.stdout
    assert "two.png: drawn again, the same picture" in result.stdout and " MiB of memory" in result.stdout
    assert "slope    of the power" in result.stdout


def test_json_for_programs(run: Run, drawn: str, photo: Path) -> None:
    result = run("score", "two.png", photo, "--json", *FEW)
    assert result.exit_code == 0, result.output
    first, second, other = json.loads(result.stdout)
    told = [float(number) for number in drawn.removesuffix("as it is").split()[1:]]
    # As `visualize` said it, but for what rounding to 8 bits does to a score.
    assert [first["score"], second["score"]] == pytest.approx(told, abs=0.1)
    assert (first["model"], first["wanted"], first["seen"]) == ("squeezenet", 47, [48, 48])
    assert other["score"] is None and other["model"] is None and other["slope"] is not None


def test_no_network_is_loaded_for_a_photograph_alone(
    run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "load", lambda name: pytest.fail("a network was loaded"))
    result = run("score", photo)
    assert result.exit_code == 0, result.output
    row = result.stdout.splitlines()[1].split()
    assert row[0] == "holiday.png" and row.count("–") == 5  # no unit, size, or scores


def test_where_no_other_network_is_at_hand_it_is_said(run: Run, photo: Path) -> None:
    result = run("score", photo, "--unit", "fire2:3", "--size", 48, *FEW)
    assert result.exit_code == 0 and "no other network" not in result.stdout
    result = run("score", photo, "--unit", "47", "--size", 48, *FEW)
    assert "no other network is at hand" in result.stdout


BAD = {
    "missing": (("none.png",), "no file"),
    "no picture": (("text.png",), "no picture"),
    "unknown model": (("PHOTO", "--model", "squeezenot"), "squeezenet"),
    "unknown judge": (("PHOTO", "--judge", "lite9"), "--judge efficientnet-lite"),
    "unknown unit": (("PHOTO", "--unit", "camaleon"), "chameleon"),
    "unknown layer": (("PHOTO", "--unit", "fire55:1"), "fire5"),
    "no draws": (("PHOTO", "--draws", 0), "--draws"),
    "negative seed": (("PHOTO", "--seed", -1), "from 0"),
    "too small": (("PHOTO", "--unit", "47", "--size", 3), "--size"),
    "judge that it is": (("PHOTO", "--unit", "47", "--judge", "squeezenet"), "--judge"),
}


@pytest.mark.parametrize(("options", "said"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_in_three_parts(
    run: Run, folder: Path, photo: Path, options: tuple[object, ...], said: str
) -> None:
    (folder / "text.png").write_text("Dear diary")
    result = run("score", *(photo if one == "PHOTO" else one for one in options))
    assert result.exit_code == 2, result.output
    assert three_parts(result.stderr) and said in result.stderr
    assert not result.stdout
