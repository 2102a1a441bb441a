"""Every command-line test runs in an empty folder, with an empty cache."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from diffprog.cli.main import app

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.setenv("DIFFPROG_CACHE", str(tmp_path / "cache"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def run(folder: Path) -> Run:
    """Run `diffprog` with these arguments."""
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module", autouse=True)
def drawn_briefly(compiled_plainly: None) -> None:
    """What is drawn here is looked at for its file, its size and its bits twice over, and not for how it looks."""
