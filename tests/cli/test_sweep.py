"""`diffprog sweep`: a folder of a real network's units, gone on with, and refused where it cannot be."""

from pathlib import Path

import pytest

from diffprog.cli.sweep import channels_of
from diffprog.errors import InvalidInput
from diffprog.vision.sweeps import run as running
from tests.cli.conftest import Run
from tests.cli.test_bad_input import three_parts

FEW = ("--size", 48, "--steps", 2, "--channels", "0:3")


def test_units_of_a_layer_are_drawn_into_a_folder_that_is_gone_on_with(run: Run, folder: Path) -> None:
    result = run("sweep", "squeezenet", "fire2/squeeze", *FEW)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["squeezenet-units/index.html", "  drew    3 of 3 units"]
    pictures = sorted((folder / "squeezenet-units").rglob("*.png"))
    assert [picture.name for picture in pictures] == ["00000.png", "00001.png", "00002.png"]
    again = run("sweep", "squeezenet", "fire2/squeeze", *FEW)
    assert "drew    0 of 3 units; the others were there" in again.stdout
    alone = run("redraw", pictures[1], "--out", "again.png")
    assert alone.exit_code == 0, alone.output
    assert "fire2/squeeze:1" in alone.stdout


def test_an_interrupted_sweep_says_how_to_go_on(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "_write", pressed)
    result = run("sweep", "squeezenet", "fire2/squeeze", *FEW)
    assert result.exit_code == 130
    assert "the same command goes on" in result.stderr


@pytest.mark.parametrize(
    "bad",
    [
        ("squeezenet", "fire99"),
        ("squeezenot", "fire2/squeeze"),
        ("squeezenet", "fire2/squeeze", "--channels", "0:99"),
        ("squeezenet", "fire2/squeeze", "--channels", "3:1"),
        ("squeezenet", "fire2/squeeze", "--channels", "all"),
        ("squeezenet", "fire2/squeeze", "--size", 3),
        ("squeezenet", "fire2/squeeze", "--steps", 0),
        ("squeezenet", "fire2/squeeze", "--recipe", "lucidd"),
        ("squeezenet", "fire2/squeeze", "--images", "nowhere"),
    ],
)
def test_bad_input_is_refused_in_three_parts(run: Run, folder: Path, bad: tuple[object, ...]) -> None:
    few = () if {"--channels", "--size", "--steps"} & set(map(str, bad)) else FEW
    result = run("sweep", *bad, *few)
    assert result.exit_code not in (0, 130), result.output
    assert three_parts(result.stderr)
    assert not list(folder.rglob("*.png")) and not list(folder.rglob("*.part"))


@pytest.mark.parametrize("text", ["", "a", "1:", "-1", "2:2", "1;2", "0:999999999"])
def test_channels_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        channels_of(text)
