"""Whatever a file is called, `read` gives the arrays it holds."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from diffprog.errors import BadFile, Unreachable
from diffprog.weights import read, save
from tests.weights.handmade import (
    Built,
    Call,
    Checkpoint,
    Global,
    Raw,
    numpy_array,
    pickled,
    small_checkpoint,
    storage,
    tensor,
)

NAMES = ["weights.pkl", "weights.safetensors", "weights.tar", "noname"]


def written(folder: Path, content: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def assert_same(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(got) == set(expected)
    for name, array in expected.items():
        assert got[name].dtype == array.dtype.newbyteorder("="), name
        assert got[name].shape == array.shape, name
        assert got[name].tobytes() == array.astype(got[name].dtype).tobytes(), name  # bytes: NaNs count too
        assert got[name].flags.c_contiguous and got[name].flags.writeable


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", ["zip", "legacy", "deflated"])
def test_a_torch_file_without_torch(tmp_path: Path, layout: str, name: str) -> None:
    checkpoint, expected = small_checkpoint()
    contents = {
        "zip": checkpoint.as_zip(),
        "legacy": checkpoint.as_legacy(),
        "deflated": checkpoint.as_zip("other_name", zipfile.ZIP_DEFLATED),
    }
    assert_same(read(written(tmp_path, contents[layout], name)), expected)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", NAMES)
def test_a_numpy_pickle_of_every_protocol(tmp_path: Path, protocol: int, name: str) -> None:
    kernel = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    tree = {
        "fire2/squeeze1x1": [kernel, np.asfortranarray(kernel[0])],
        "deep": ({"x": np.arange(3)[::-1]},),
        "swapped": np.arange(4, dtype=">f8"),
        "half": np.ones(2, ml_dtypes.bfloat16),
        "mask": np.array([True, False]),
        "empty": np.zeros((2, 0), np.int8),
        "scalar": np.float32(2.5),
        "shared": kernel,
        7: np.array([3], np.uint16),
        "epoch": 12,
        "nothing": None,
        "text": ["a", 1.5, b"b"],
    }
    expected = {
        "fire2/squeeze1x1/0": kernel,
        "fire2/squeeze1x1/1": kernel[0],
        "deep/0/x": np.arange(3)[::-1],
        "swapped": np.arange(4, dtype=np.float64),
        "half": np.ones(2, ml_dtypes.bfloat16),
        "mask": np.array([True, False]),
        "empty": np.zeros((2, 0), np.int8),
        "scalar": np.array(2.5, np.float32),
        "shared": kernel,
        "7": np.array([3], np.uint16),
    }
    assert_same(read(written(tmp_path, pickle.dumps(tree, protocol), name)), expected)


def test_a_pickle_of_python_2_and_numpy_1(tmp_path: Path) -> None:
    array = np.arange(3, dtype=np.float32)
    text = b"U" + bytes([array.nbytes]) + array.tobytes()  # SHORT_BINSTRING, as Python 2 wrote bytes
    start = Call(Global("numpy.core.multiarray", "_reconstruct"), (Global("numpy", "ndarray"), (0,), "b"))
    dtype = Built(Call(Global("numpy", "dtype"), ("f4", 0, 1)), (3, "<", None, None, None, -1, -1, 0))
    assert_same(
        read(written(tmp_path, pickled([Built(start, (1, (3,), dtype, False, Raw(text)))]))), {"0": array}
    )


def test_a_bare_array_has_a_name(tmp_path: Path) -> None:
    assert_same(read(written(tmp_path, pickle.dumps(np.arange(3)))), {"array": np.arange(3)})


def test_a_safetensors_file_whose_header_begins_like_a_pickle(tmp_path: Path) -> None:
    path = tmp_path / "file"
    save(path, {"a": np.zeros(3, np.float32)}, {"note": ""})
    padding = 0x0280 - int.from_bytes(path.read_bytes()[:8], "little")
    save(path, {"a": np.zeros(3, np.float32)}, {"note": "x" * padding})
    assert path.read_bytes()[:2] == b"\x80\x02"
    assert_same(read(path), {"a": np.zeros(3, np.float32)})


DTYPES = st.sampled_from(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "b1", "c8", ">f4", ">i8"])


@st.composite
def views(draw: st.DrawFn) -> np.ndarray:
    """An array with any dtype, up to 4 dimensions, and the strides of slices and transpositions."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    array = draw(hnp.arrays(np.dtype(draw(DTYPES)), shape))
    order = draw(st.permutations(range(array.ndim)))
    return array.transpose(order)[tuple(slice(None, None, draw(st.sampled_from([1, 2, -1]))) for _ in shape)]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_an_array_with_turned_axes_comes_back(tmp_path: Path, protocol: int) -> None:
    """numpy 2.3 and later pickle it by protocol 5 as its memory and an order of axes."""
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(1, 0, 2)
    assert_same(read(written(tmp_path, pickle.dumps({"a": array}, protocol))), {"a": array})


@settings(max_examples=80, deadline=None)
@given(array=views(), protocol=st.integers(2, 5))
def test_any_numpy_array_comes_back(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, protocol: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    assert_same(read(written(folder, pickle.dumps({"a": array}, protocol))), {"a": np.asarray(array)})
    save(folder / "s", {"a": array})
    assert_same(read(folder / "s"), {"a": np.asarray(array)})


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_strided_tensor_comes_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """numpy's own as_strided is the oracle, on storages of every dtype and any non-negative stride."""
    code = data.draw(st.sampled_from(["f4", "f8", "f2", "i8", "u1", "i4", "b1"]))
    flat = (np.arange(60) % 100).astype(code)
    shape = data.draw(st.lists(st.integers(0, 4), max_size=3).map(tuple))
    strides = data.draw(st.tuples(*[st.integers(0, 5)] * len(shape)))
    offset = data.draw(st.integers(0, 10))
    expected = np.lib.stride_tricks.as_strided(flat[offset:], shape, [s * flat.itemsize for s in strides])
    checkpoint = Checkpoint({"t": tensor(storage("0", 60, code), offset, shape, strides)}, {"0": flat})
    folder = tmp_path_factory.mktemp("any")
    for content in (checkpoint.as_zip(), checkpoint.as_legacy()):
        assert_same(read(written(folder, content)), {"t": expected})


@pytest.mark.parametrize("zipped", [True, False])
def test_files_that_torch_wrote(tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    tree = {
        "epoch": 4,
        "state": torch.nn.BatchNorm2d(3).state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "transposed": base.transpose(0, 2),
        "slice": base[:, 1:, ::2],
        "expanded": torch.ones(1).expand(5),
        "tied": [base, base],
        "bfloat16": torch.linspace(-1, 1, 5).bfloat16(),
        "half": torch.linspace(-1, 1, 5).half(),
        "bool": torch.tensor([True, False]),
        "complex": torch.tensor([1 + 2j]),
        "uint16": torch.tensor([1, 65535], dtype=torch.uint16),
        "float8": torch.tensor([0.5, 2.0]).to(torch.float8_e4m3fn),
        "scalar": torch.tensor(3.5, dtype=torch.float64),
        "empty": torch.zeros(0, 3),
        "size": torch.Size([1, 2]),
        "optimizer": torch.optim.Adam([torch.nn.Parameter(torch.ones(2))]).state_dict(),
    }
    path = tmp_path / "file"
    torch.save(tree, path, _use_new_zipfile_serialization=zipped)
    got = read(path)
    assert not {"epoch", "size", "size/0"} & set(got)
    for name in (
        "parameter",
        "transposed",
        "slice",
        "expanded",
        "bool",
        "complex",
        "uint16",
        "scalar",
        "empty",
        "half",
    ):
        expected = tree[name].detach().numpy()
        assert got[name].dtype == expected.dtype and np.array_equal(got[name], expected), name
    assert np.array_equal(got["tied/0"], base.numpy()) and np.array_equal(got["tied/1"], base.numpy())
    assert np.array_equal(got["state/running_var"], np.ones(3, np.float32))
    for name, kind in (("bfloat16", ml_dtypes.bfloat16), ("float8", ml_dtypes.float8_e4m3fn)):
        assert got[name].dtype == kind and np.array_equal(
            got[name].astype(np.float32), tree[name].float().numpy()
        )


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_torch_files_of_every_pickle_protocol(tmp_path: Path, protocol: int) -> None:
    torch = pytest.importorskip("torch")
    for zipped in (True, False):
        path = tmp_path / f"{zipped}"
        torch.save(
            {"a": torch.ones(2, 3)}, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped
        )
        assert_same(read(path), {"a": np.ones((2, 3), np.float32)})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>Not found</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git-lfs pointer"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
        (b"\x93NUMPY\x01\x00v\x00" + bytes(64), ".npy"),
        (b"\x1f\x8b\x08" + bytes(64), "gzip"),
        (b"(dp0\n.", "begins with"),
        (b"\x80\x01}q\x00.", "begins with"),
        (bytes(100), "begins with"),
    ],
)
def test_another_format_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(BadFile) as caught:
        read(written(tmp_path, content, "weights.pth"))
    assert says in caught.value.got and "weights.pth" in caught.value.got
    assert caught.value.expected and caught.value.remedy


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        read(tmp_path / "missing")
    with pytest.raises(BadFile, match="regular file"):
        read(tmp_path)


def test_numpy_array_helper_is_a_real_pickle() -> None:
    """The hand-made files are what Python itself reads, so the tests that use them mean something."""
    got = pickle.loads(pickled({"a": numpy_array((2, 2), "f4", np.ones(4, np.float32).tobytes())}))
    assert np.array_equal(got["a"], np.ones((2, 2)))
