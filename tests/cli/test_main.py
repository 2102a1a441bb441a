"""The commands do what they say; small settings, real network."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import diffprog
from diffprog import models
from diffprog.cli.commands import pictures
from diffprog.rules.book import BOOK
from tests.cli.conftest import Run

SMALL = ("--size", 64, "--steps", 3)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def interrupted_at(step: int) -> Any:
    """A progress during which Ctrl-C is pressed."""

    class Progress:
        def __init__(self, total: int):
            self.total = total

        def __enter__(self) -> Any:
            return self.told

        def __exit__(self, *error: object) -> None:
            pass

        def told(self, done: int, report: object) -> None:
            if done >= step:
                raise KeyboardInterrupt

    return Progress


def test_a_class_is_drawn_twice_the_same_and_redrawn(run: Run, folder: Path) -> None:
    result = run("visualize", "Chameleon", *SMALL)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "Chameleon.png"
    assert "class 47, African chameleon" in result.stdout
    first = pixels(folder / "Chameleon.png")
    assert first.shape == (64, 64, 3)

    again = run("visualize", "47", *SMALL, "--out", "second.png")
    assert again.exit_code == 0, again.output
    np.testing.assert_array_equal(pixels(folder / "second.png"), first)

    redrawn = run("redraw", "second.png")
    assert redrawn.exit_code == 0, redrawn.output
    assert redrawn.stdout.splitlines()[0] == "second_again.png"
    np.testing.assert_array_equal(pixels(folder / "second_again.png"), first)
    score = next(line for line in result.stdout.splitlines() if "as it is" in line)
    assert score in again.stdout
    assert score in redrawn.stdout


def test_channels_and_neurons_are_drawn(run: Run, folder: Path) -> None:
    few = ("--size", 48, "--steps", 1, "--recipe", "pixel")
    for unit, name in (("fire2/expand3x3:12", "fire2_expand3x3_12"), ("fire2:12@1,2", "fire2_12_1_2")):
        result = run("visualize", unit, *few)
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines()[0] == f"{name}.png"
        assert "transforms" not in result.stdout  # the recipe has none
        assert pixels(folder / f"{name}.png").shape == (48, 48, 3)


def test_several_pictures_are_one_sheet(run: Run, folder: Path) -> None:
    result = run("visualize", "chameleon", "--size", 48, "--steps", 1, "--recipe", "pixel", "--n", 2)
    assert result.exit_code == 0, result.output
    assert pixels(folder / "chameleon.png").shape[1] > 2 * 48


def test_a_picture_of_our_own_is_replaced_and_that_is_said(run: Run, folder: Path) -> None:
    few = ("visualize", "chameleon", "--size", 48, "--steps", 1, "--recipe", "pixel", "--seed")
    first = run(*few, 0)
    before = pixels(folder / "chameleon.png")
    second = run(*few, 1)
    assert "in place of" not in first.stdout
    assert "in place of" in second.stdout
    assert (pixels(folder / "chameleon.png") != before).any()


@pytest.mark.parametrize("step", [1, 2])
def test_ctrl_c_saves_what_there_is(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    def draw(*args: Any, **kwargs: Any) -> Any:
        return diffprog.visualize(*args, **{**kwargs, "progress": interrupted_at(step)})

    monkeypatch.setattr(pictures, "draw", draw)
    result = run("visualize", "chameleon", "--size", 48, "--steps", 9, "--recipe", "pixel")
    assert result.exit_code == 130
    assert f"interrupted; saved what there was: {step} of 9 steps" in result.stderr
    assert pixels(folder / "chameleon.png").shape == (48, 48, 3)


def test_ctrl_c_before_the_first_step_saves_nothing(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(pictures, "draw", draw)
    result = run("visualize", "chameleon")
    assert result.exit_code == 130
    assert "interrupted; no file was written" in result.stderr
    assert not list(folder.iterdir())


def test_models_are_listed_with_licences(run: Run) -> None:
    lines = run("models").stdout.splitlines()
    listed = (*models.CARDS, *models.OTHER_CARDS)
    assert [line.split()[0] for line in lines[1:]] == [*models.names(), "dcgan-faces", "minilm"]
    assert all(
        card.licence in line and card.title in line for card, line in zip(listed, lines[1:], strict=True)
    )
    assert "come with diffprog" in lines[1]
    assert "fetched when first used" in lines[2]


def test_layers_are_listed_in_order_and_whole(run: Run) -> None:
    lines = run("layers", "squeezenet").stdout.splitlines()
    assert lines[0].split() == ["name", "shape", "channels", "operation"]
    rows = [line.split() for line in lines[1:]]
    assert ["fire2/expand3x3", "55x55x64", "64", "relu"] in rows
    assert rows[-1][:3] == ["logits", "1000", "1000"]


def test_fetching_what_is_there_says_so(run: Run) -> None:
    result = run("fetch", "squeezenet")
    assert (result.exit_code, result.stdout) == (0, "squeezenet: weights come with diffprog\n")


def test_rules_prints_the_book(run: Run) -> None:
    table = run("rules").stdout.splitlines()
    assert table[0].split()[:3] == ["rule", "cases", "orders"]
    assert {line.split("  ")[0] for line in table[1:]} >= {rule.name for rule in BOOK}


def test_rules_prints_one_rule_in_full(run: Run) -> None:
    shown = run("rules", "max pooling").stdout
    assert all(head in shown for head in ("forward", "backward", "saved", "kinks", "source", "proven"))


def test_an_unknown_rule_is_refused_with_the_nearest(run: Run) -> None:
    result = run("rules", "max_pol")
    assert result.exit_code == 2 and "max pooling" in result.stderr


def test_version_and_help(run: Run) -> None:
    assert run("--version").stdout == f"diffprog {diffprog.__version__}\n"
    assert all(
        name in run("--help").stdout for name in ("visualize", "redraw", "models", "layers", "fetch", "rules")
    )


def program(*arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """`diffprog` in a process of its own: memory and compilation cache are settings of the process."""
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    command = [sys.executable, "-W", "error", "-m", "diffprog.cli", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env={**environment, "DIFFPROG_CACHE": str(cache)}
    )


def test_the_program_keeps_what_it_compiled(folder: Path) -> None:
    few = ("--size", "48", "--steps", "1", "--recipe", "pixel")
    result = program("visualize", "47", *few, cache=folder / "cache")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("47.png\n")
    assert list((folder / "cache/compiled").iterdir())


def test_the_program_says_once_when_it_cannot_keep_them(folder: Path) -> None:
    (folder / "file").touch()
    result = program("models", cache=folder / "file")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("compiled programs cannot be kept") == 1
