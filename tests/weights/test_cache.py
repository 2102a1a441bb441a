"""Weights are fetched once and kept; damage, missing rights and a second process do no harm."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.weights import (
    LocalFile,
    cache_folder,
    fetch_cached,
    load_cached,
    print_to_stderr,
    read,
    save,
)
from diffprog.weights.cache import Tensors, cached_path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIFFPROG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path: Path) -> LocalFile:
    path = tmp_path / "source"
    save(path, {"conv.weight": np.arange(6, dtype=np.float32).reshape(2, 3)})
    return LocalFile(path, hashlib.sha256(path.read_bytes()).hexdigest())


def transpose(tensors: Tensors) -> Tensors:
    return {"kernel": tensors["conv.weight"].T}


def check(tensors: Tensors) -> None:
    assert list(tensors) == ["kernel"]
    assert np.array_equal(tensors["kernel"], np.arange(6, dtype=np.float32).reshape(2, 3).T)


def test_the_folder_is_the_platforms_or_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFPROG_CACHE", "~/elsewhere")
    assert cache_folder() == Path("~/elsewhere").expanduser()
    monkeypatch.delenv("DIFFPROG_CACHE")
    assert cache_folder() == platformdirs.user_cache_path("diffprog", appauthor=False)


def test_it_is_fetched_once_and_said_once(cache: Path, source: LocalFile) -> None:
    said: list[str] = []
    check(load_cached("net", source, transpose, announce=said.append))
    assert [path.name for path in cache.iterdir()] == [f"net-{str(source.sha256)[:12]}.safetensors"]
    os.remove(source.path)
    check(load_cached("net", source, transpose, announce=said.append))
    assert len(said) == 1 and "fetching net from file" in said[0] and "MB)" in said[0]


def test_a_source_without_a_hash_is_known_by_its_content(cache: Path, source: LocalFile) -> None:
    assert cached_path("net", LocalFile(source.path)) == cached_path("net", source)


@pytest.mark.parametrize("damage", [b"", b"half", None])
def test_a_damaged_cache_is_fetched_again_and_said(
    cache: Path, source: LocalFile, damage: bytes | None
) -> None:
    load_cached("net", source, transpose, announce=lambda line: None)
    path = cached_path("net", source)
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    said: list[str] = []
    check(load_cached("net", source, transpose, announce=said.append))
    assert len(said) == 2 and "cannot be used" in said[0] and "fetching" in said[1]
    check(read(path))


def test_a_cache_that_cannot_be_written_is_said(
    source: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DIFFPROG_CACHE", str(tmp_path / "file" / "cache"))
    said: list[str] = []
    check(load_cached("net", source, transpose, announce=said.append))
    assert len(said) == 2 and "not kept" in said[1] and "DIFFPROG_CACHE" in said[1]


def test_nothing_is_kept_of_a_source_with_another_hash(cache: Path, source: LocalFile) -> None:
    with pytest.raises(BadFile, match="has sha256"):
        load_cached("net", LocalFile(source.path, "0" * 64), transpose, announce=lambda line: None)
    assert not cache.exists()


def test_nothing_is_kept_when_the_conversion_fails(cache: Path, source: LocalFile) -> None:
    with pytest.raises(KeyError):
        load_cached("net", source, lambda tensors: {"a": tensors["missing"]}, announce=lambda line: None)
    assert not cache.exists()


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 200])
def test_a_name_that_is_no_file_name(cache: Path, source: LocalFile, name: str) -> None:
    with pytest.raises(InvalidInput, match="name"):
        load_cached(name, source, transpose)


def test_it_is_said_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    print_to_stderr("hello")
    assert capsys.readouterr() == ("", "hello\n")


PROCESS = """
import os, pathlib, sys, time
import numpy as np
from diffprog.weights import LocalFile, load_cached
mine, other, source, sha256 = sys.argv[1:]

def convert(tensors):
    # Both processes are here at once before either writes.
    pathlib.Path(mine).touch()
    deadline = time.monotonic() + 60
    while not os.path.exists(other):
        assert time.monotonic() < deadline
    return {"kernel": np.full((1000, 1000), 7, np.float32)}

tensors = load_cached("net", LocalFile(source, sha256), convert)
assert tensors["kernel"].shape == (1000, 1000) and (tensors["kernel"] == 7).all()
"""


def test_two_processes_at_once(cache: Path, source: LocalFile, tmp_path: Path) -> None:
    """Both succeed, one whole file remains, and at no moment is there a file that cannot be read."""
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    rest = [str(source.path), str(source.sha256)]
    path = cached_path("net", source)
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, *order, *rest], stderr=subprocess.PIPE, text=True)
        for order in ([first, second], [second, first])
    ]
    while any(process.poll() is None for process in processes):
        if path.exists():
            assert (read(path)["kernel"] == 7).all()
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert [error.count("fetching net") for error in errors] == [1, 1]
    assert os.listdir(cache) == [path.name]
    assert (read(path)["kernel"] == 7).all()


def test_a_killed_writer_leaves_no_file_under_the_name(cache: Path, source: LocalFile) -> None:
    code = (
        "import os, sys, numpy as np\n"
        "from diffprog.weights import save\n"
        "os.replace = lambda *paths: os.kill(os.getpid(), 9)\n"
        "save(sys.argv[1], {'a': np.zeros(3)})\n"
    )
    path = cached_path("net", source)
    path.parent.mkdir()
    killed = subprocess.run([sys.executable, "-c", code, str(path)])
    assert killed.returncode != 0 and not path.exists()
    (abandoned,) = cache.iterdir()
    check(load_cached("net", source, transpose, announce=lambda line: None))
    assert set(cache.iterdir()) == {path, abandoned}  # it might belong to a writer that is still at work
    os.utime(abandoned, (0, 0))
    check(load_cached("other", source, transpose, announce=lambda line: None))
    assert not abandoned.exists()


# ---- files that are not of weights -------------------------------------------------------------------------


@pytest.fixture
def words(tmp_path: Path) -> LocalFile:
    path = tmp_path / "words.txt"
    path.write_bytes(b"one two three")
    return LocalFile(path, hashlib.sha256(b"one two three").hexdigest())


def test_a_file_is_fetched_once_and_said_once(cache: Path, words: LocalFile) -> None:
    said: list[str] = []
    for _ in range(2):
        path = fetch_cached("words", words, str(words.sha256), announce=said.append)
        assert path.read_bytes() == b"one two three"
        Path(words.path).unlink(missing_ok=True)
    assert [path] == list(cache.iterdir())
    assert len(said) == 1 and "fetching words from file" in said[0]


def test_a_damaged_file_is_said_and_fetched_again(cache: Path, words: LocalFile) -> None:
    said: list[str] = []
    fetch_cached("words", words, str(words.sha256), announce=said.append).write_bytes(b"one")
    path = fetch_cached("words", words, str(words.sha256), announce=said.append)
    assert path.read_bytes() == b"one two three"
    assert "damaged" in said[1]


def test_a_file_of_another_content_is_refused_and_not_kept(cache: Path, words: LocalFile) -> None:
    with pytest.raises(BadFile, match="another content"):
        fetch_cached("words", words, "0" * 64, announce=lambda line: None)
    assert not cache.exists()


def test_a_file_for_which_there_is_no_folder_is_said(cache: Path, words: LocalFile) -> None:
    cache.write_bytes(b"a file where the folder should be")
    with pytest.raises(Unreachable, match="cache folder"):
        fetch_cached("words", words, str(words.sha256), announce=lambda line: None)


def test_a_name_that_is_no_file_name_is_refused(words: LocalFile) -> None:
    with pytest.raises(InvalidInput, match="the name"):
        fetch_cached("../words", words, str(words.sha256))
