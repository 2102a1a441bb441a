"""`diffprog dream`: photographs in, dreams and films out, with a real network; a refusal leaves no file."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import diffprog
from diffprog.cli import dream as command
from diffprog.vision import read_settings
from diffprog.vision.dreams import DEFAULT
from diffprog.vision.dreams.tiles import Tiles
from tests.cli.conftest import Run
from tests.cli.test_bad_input import three_parts
from tests.vision import photo_files
from tests.vision.interruption import interrupted_at

FEW = ("--size", 48, "--steps", 1, "--octaves", 1)


@pytest.fixture
def photo(folder: Path) -> Path:
    """A photograph beside the current folder, so that this holds what the command wrote and nothing else."""
    path = folder.parent / "holiday.jpg"
    rows, columns = np.mgrid[:40, :60] / 60
    pixels = np.stack([rows, columns, 0.5 + 0.4 * np.sin(40 * rows * columns)], -1)
    Image.fromarray((255 * pixels).astype(np.uint8)).save(path, quality=95)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def interrupted(name: str, step: int) -> Any:
    """`dream` or `zoom` during which Ctrl-C is pressed."""
    whole = getattr(diffprog.vision, name)
    return lambda *args, **options: whole(*args, **{**options, "progress": interrupted_at(step)})


def test_a_photograph_is_dreamt_twice_the_same(run: Run, folder: Path, photo: Path) -> None:
    result = run("dream", photo, *FEW)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "holiday_dream.png"
    assert "layer fire7; SqueezeNet 1.1" in lines[1] and "48x32 pixels" in lines[3]
    assert "60 x 40 pixels, shrunk to 48 x 32" in result.stderr
    first = pixels(folder / "holiday_dream.png")
    assert first.shape == (32, 48, 3)
    settings = read_settings(folder / "holiday_dream.png")
    assert (settings["model"], settings["photo"], settings["key"]) == ("squeezenet", "holiday.jpg", [0, 0])

    again = run("dream", photo, *FEW)
    assert "in place of the one before" in again.stdout
    np.testing.assert_array_equal(pixels(folder / "holiday_dream.png"), first)
    other = run("dream", photo, *FEW, "--seed", 1, "--out", "other.png")
    assert other.exit_code == 0
    assert (pixels(folder / "other.png") != first).any()


@pytest.mark.parametrize(
    ("options", "of"), [(("--layer", "fire3"), "layer fire3"), (("--unit", "fire2:3"), "channel 3 of fire2")]
)
def test_what_is_exaggerated_and_how_far_can_be_chosen(
    run: Run, folder: Path, photo: Path, options: tuple[str, ...], of: str
) -> None:
    result = run("dream", photo, *FEW, *options, "--strength", 4, "--out", "a.jpg")
    assert result.exit_code == 0, result.output
    assert f"of      {of}" in result.stdout
    assert read_settings(folder / "a.jpg")["recipe"]["step_size"] == 4 * DEFAULT.step_size


def test_a_guide_is_followed(run: Run, folder: Path, photo: Path) -> None:
    photo_files.written(folder.parent, "guide.png", photo_files.turned(6))
    result = run("dream", photo, *FEW, "--layer", "fire5", "--guide", folder.parent / "guide.png")
    assert result.exit_code == 0, result.output
    assert "layer fire5, guided by guide.png" in result.stdout
    assert "guide.png: lying or mirrored by its EXIF data; turned upright" in result.stderr
    assert read_settings(folder / "holiday_dream.png")["objective"].startswith("Match(name='fire5'")


@pytest.mark.parametrize("name", ["holiday_dream.gif", "film.mp4"])
def test_a_film_into_the_dream(run: Run, folder: Path, photo: Path, name: str) -> None:
    if name.endswith("mp4"):
        pytest.importorskip("imageio_ffmpeg")
    result = run("dream", photo, *FEW, "--zoom", 3, *(("--out", name) if name == "film.mp4" else ()))
    assert result.exit_code == 0, result.output
    assert "3 frames, 48x32 pixels" in result.stdout
    assert [path.name for path in folder.iterdir()] == [name]
    if name.endswith("gif"):
        with Image.open(folder / name) as film:
            assert (film.n_frames, film.size) == (3, (48, 32))
        assert run("dream", photo, *FEW, "--zoom", 1).exit_code == 0  # in place of our own


@pytest.mark.parametrize("tile", [3])
def test_ctrl_c_saves_what_there_is(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, photo: Path, tile: int
) -> None:
    monkeypatch.setattr(command, "dream", interrupted("dream", tile))
    result = run("dream", photo, "--octaves", 1, "--steps", 9)
    assert result.exit_code == 130
    assert "interrupted; saved what there was" in result.stderr
    assert f"{tile - 1} steps in all" in result.stdout
    assert read_settings(folder / "holiday_dream.png")["stopped"] == "interrupted"


@pytest.mark.parametrize("options", [(), ("--zoom", 5)])
def test_ctrl_c_before_the_first_step_saves_nothing(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, photo: Path, options: tuple[Any, ...]
) -> None:
    for name in ("dream", "zoom"):
        monkeypatch.setattr(command, name, interrupted(name, 1))
    result = run("dream", photo, *FEW, *options)
    assert result.exit_code == 130
    assert "interrupted; no file was written" in result.stderr
    assert not list(folder.iterdir())


def test_ctrl_c_ends_a_film_with_its_whole_frames(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, photo: Path
) -> None:
    monkeypatch.setattr(command, "zoom", interrupted("zoom", 3))
    result = run("dream", photo, *FEW, "--zoom", 5)
    assert result.exit_code == 130
    with Image.open(folder / "holiday_dream.gif") as film:
        assert film.n_frames == 2


# ---- refusals -----------------------------------------------------------------------------------------------

OPTIONS = {
    "unknown layer": (("--layer", "fire55"), "fire5"),
    "unknown class": (("--unit", "camaleon"), "chameleon"),
    "unit and layer": (("--unit", "3", "--layer", "fire3"), "leaving one"),
    "unit and guide": (("--unit", "3", "--guide", "guide.png"), "leaving one"),
    "guide not there": (("--guide", "none.png"), "no file"),
    "guide without positions": (("--guide", "../holiday.jpg", "--layer", "logits"), "earlier layer"),
    "no steps": (("--steps", 0), "--steps"),
    "no octaves": (("--octaves", 0), "--octaves"),
    "too many octaves": (("--octaves", 33), "from 1 to 32"),
    "no strength": (("--strength", 0), "above 0"),
    "strength that is no number": (("--strength", "nan"), "above 0"),
    "negative size": (("--size", -1), "from 1 to"),
    "no frames": (("--zoom", 0), "--zoom"),
    "endless film": (("--zoom", 10**9), "from 1 to 2000"),
    "negative seed": (("--seed", -1), "from 0"),
    "unknown model": (("--model", "squeezenot"), "squeezenet"),
    "picture as a film": (("--out", "a.gif"), "a.png"),
    "film as a picture": (("--zoom", 2, "--out", "a.png"), "a.gif"),
    "folder not there": (("--out", "no/a.png"), "mkdir"),
}


@pytest.fixture
def nothing_is_dreamt(monkeypatch: pytest.MonkeyPatch) -> None:
    def dreamt(*args: object, **kwargs: object) -> None:
        pytest.fail("dreaming began")

    monkeypatch.setattr(Tiles, "gradient", dreamt)


@pytest.mark.usefixtures("nothing_is_dreamt")
@pytest.mark.parametrize(("options", "said"), OPTIONS.values(), ids=OPTIONS)
def test_bad_options(run: Run, folder: Path, photo: Path, options: tuple[object, ...], said: str) -> None:
    result = run("dream", photo, *options)
    assert result.exit_code == 2, result.output
    assert three_parts(result.stderr)
    assert said in result.stderr
    assert not result.stdout
    assert not list(folder.iterdir())


PHOTOGRAPHS = {
    "missing": (None, "no file"),
    "empty": (b"", "an empty file"),
    "text": (b"Dear diary", "no picture"),
    "cut short": (photo_files.cut(photo_files.saved(photo_files.noise(), "JPEG")), "cut short"),
    "bomb": (photo_files.bomb(), "pixels"),
}


@pytest.mark.usefixtures("nothing_is_dreamt")
@pytest.mark.parametrize(("data", "said"), PHOTOGRAPHS.values(), ids=PHOTOGRAPHS)
def test_bad_photographs(run: Run, folder: Path, data: bytes | None, said: str) -> None:
    path = folder.parent / "bad.jpg"
    if data is not None:
        path.write_bytes(data)
    for option in (path, folder.parent):
        result = run("dream", option)
        assert result.exit_code == 2
        assert three_parts(result.stderr)
        assert not result.stdout
    assert said in run("dream", path).stderr
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("nothing_is_dreamt")
def test_a_file_of_the_user_s_own_is_not_replaced_unasked(run: Run, folder: Path, photo: Path) -> None:
    (folder / "holiday_dream.png").write_bytes(photo.read_bytes())
    result = run("dream", photo)
    assert result.exit_code == 2
    assert three_parts(result.stderr)
    assert (folder / "holiday_dream.png").read_bytes() == photo.read_bytes()


@pytest.mark.usefixtures("nothing_is_dreamt")
def test_an_mp4_without_ffmpeg(run: Run, monkeypatch: pytest.MonkeyPatch, folder: Path, photo: Path) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    result = run("dream", photo, "--zoom", 2, "--out", "film.mp4")
    assert result.exit_code == 2
    assert three_parts(result.stderr)
    assert "pip install 'diffprog[film]'" in result.stderr and "film.gif" in result.stderr
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("nothing_is_dreamt")
def test_a_film_that_does_not_fit_in_memory_is_refused_before_it_starts(run: Run, folder: Path) -> None:
    wide = folder.parent / "wide.png"
    Image.new("RGB", (2000, 300)).save(wide)
    result = run("dream", wide, "--zoom", 2000, "--size", 0)
    assert result.exit_code == 2
    assert three_parts(result.stderr) and "3.4 GiB" in result.stderr


def test_a_unit_that_is_off_everywhere_is_said(run: Run, folder: Path) -> None:
    black = folder.parent / "black.png"
    Image.new("RGB", (40, 40)).save(black)
    result = run("dream", black, "--unit", "conv1:0", *FEW)
    assert result.exit_code == 2
    assert three_parts(result.stderr) and "exactly 0 everywhere" in result.stderr
    assert not list(folder.iterdir())
