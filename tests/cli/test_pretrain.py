"""`diffprog pretrain` on drawings that need no download: interrupted, finished, used; and what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from diffprog import weights
from diffprog.cli import pretrain as command
from diffprog.guide import scorers
from diffprog.optimize.progress import silent
from tests.cli.conftest import Run
from tests.cli.test_bad_input import three_parts
from tests.contrastive.shapes import TINY, drawings
from tests.optimize.test_training import interrupting

SHORT = ("--epochs", 3, "--batch", 8, "--size", 12, "--out", "own.safetensors")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "openmoji", lambda size: drawings())
    monkeypatch.setattr(command, "SMALL", TINY)
    monkeypatch.setattr(command, "bar", lambda title: silent)


@pytest.mark.usefixtures("small")
def test_a_training_goes_on_where_it_was_and_its_tower_scores(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(command, "bar", lambda title: interrupting(4))
        stopped = run("pretrain", *SHORT)
    assert stopped.exit_code == 130 and "interrupted after 4 steps" in stopped.stderr
    assert [file.name for file in folder.iterdir()] == ["own.run.safetensors"]
    done = run("pretrain", *SHORT)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[:2] == [
        "24 concepts to learn from, 6 others to be found",
        "own.safetensors",
    ]
    assert "chance, among 6" in done.stdout
    assert [file.name for file in folder.iterdir()] == ["own.safetensors"]
    scorer = scorers.clip(folder / "own.safetensors")
    assert scorer.size == 12 and scorer.read(["red dot"]).shape == (1, TINY.embedding)
    assert command._destination(Path("own.safetensors")).exists()  # our own may be made again


BAD = {
    "an unknown loss": (("--loss", "triplet"), "--loss info_nce"),
    "no epochs": (("--epochs", 0), "--epochs 0"),
    "one drawing at a time": (("--batch", 1), "--batch 1"),
    "more than there are": (("--batch", 10_000), "--batch 256"),
    "patches that do not divide": (("--size", 49), "a multiple of the patches"),
    "negative seed": (("--seed", -1), "--seed -1"),
    "more devices than there are": (("--devices", 512, "--batch", 512), "--devices"),
    "another format": (("--out", "own.pt"), "own.safetensors"),
    "folder not there": (("--out", "nowhere/own.safetensors"), "mkdir"),
}


@pytest.mark.parametrize("arguments, said", BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(
    arguments: tuple[object, ...], said: str, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "openmoji", lambda size: drawings())
    result = run("pretrain", *arguments)
    assert result.exit_code == 2
    assert three_parts(result.stderr) and said in result.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_somebody_elses_weights_are_not_replaced(run: Run, folder: Path) -> None:
    weights.save(folder / "own.safetensors", {"kernel": np.ones(3, np.float32)})
    result = run("pretrain", *SHORT)
    assert result.exit_code == 2 and "was not made by diffprog pretrain" in result.stderr
