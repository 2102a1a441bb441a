"""What `save` writes, the safetensors library reads; and a file appears whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from diffprog.errors import InvalidInput, Unreachable
from diffprog.weights import read, save

TENSORS = {
    "kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.ones(2, ml_dtypes.bfloat16),
    "scalar": np.array(3, np.int64),
    "mask": np.array([True, False]),
    "empty": np.zeros((0, 3), np.float16),
}


def test_the_library_reads_what_is_saved(tmp_path: Path) -> None:
    save(tmp_path / "w", TENSORS, {"source": "here"})
    got = safetensors.numpy.load_file(tmp_path / "w")
    for name, array in TENSORS.items():
        assert got[name].dtype == array.dtype and np.array_equal(got[name], array)
    with safetensors.safe_open(tmp_path / "w", "np") as file:
        assert file.metadata() == {"source": "here"}


def test_what_the_library_saves_is_read(tmp_path: Path) -> None:
    safetensors.numpy.save_file(TENSORS, tmp_path / "w")
    got = read(tmp_path / "w")
    assert set(got) == set(TENSORS)
    for name, array in TENSORS.items():
        assert got[name].dtype == array.dtype and np.array_equal(got[name], array)


def test_any_layout_and_byte_order_is_saved_by_value(tmp_path: Path) -> None:
    array = np.arange(12, dtype=">f8").reshape(3, 4)
    save(tmp_path / "w", {"t": array.T, "s": array[:, ::2], "o": np.asfortranarray(array)})
    got = read(tmp_path / "w")
    for name, expected in {"t": array.T, "s": array[:, ::2], "o": array}.items():
        assert np.array_equal(got[name], expected)


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.array([1j]), np.array(0, "M8[s]")])
def test_an_element_type_without_a_place_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="'a'"):
        save(tmp_path / "w", {"a": array})
    assert os.listdir(tmp_path) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "w", {"a": np.zeros(3)})

    def disk_full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.numpy, "save_file", disk_full)
    with pytest.raises(Unreachable, match="No space"):
        save(tmp_path / "w", {"a": np.ones(3)})
    assert os.listdir(tmp_path) == ["w"]
    assert np.array_equal(read(tmp_path / "w")["a"], np.zeros(3))


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / "w", {"a": np.ones(3)})
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="cannot be written"):
        save(tmp_path / "missing" / "w", {"a": np.ones(3)})


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_saved_file_has_the_usual_permissions(tmp_path: Path) -> None:
    save(tmp_path / "w", {"a": np.ones(3)})
    (tmp_path / "usual").touch()
    assert stat.S_IMODE(os.stat(tmp_path / "w").st_mode) == stat.S_IMODE(os.stat(tmp_path / "usual").st_mode)
