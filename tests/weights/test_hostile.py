"""Files made to do harm are refused in words; nothing of them runs and they take no memory."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffprog.errors import BadFile
from diffprog.weights import read, save
from tests.weights.handmade import (
    Built,
    Call,
    Checkpoint,
    Global,
    Persistent,
    Raw,
    encode,
    numpy_array,
    pickled,
    small_checkpoint,
    storage,
    tensor,
)

MEBIBYTE = 2**20
# Opening a zip, the parser's tables and a traceback take well under this; every bomb asks for gigabytes.
MEMORY_ALLOWED = 8 * MEBIBYTE


def refuse(path: Path) -> BadFile:
    """Reads a file that must be refused, with a three-part message and within the allowed memory."""
    tracemalloc.start()
    try:
        with pytest.raises(BadFile) as caught:
            read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    error = caught.value
    assert error.got and error.expected and error.remedy
    assert str(path) in error.got and len(str(error)) < 2000
    assert peak < MEMORY_ALLOWED + path.stat().st_size
    return error


# --- where a hostile object may sit ---------------------------------------------------------------

PLACES: dict[str, Callable[[Any], bytes]] = {
    "numpy pickle": pickled,
    "torch zip": lambda tree: Checkpoint(tree, {"0": np.zeros(4, np.float32)}).as_zip(),
    "legacy torch": lambda tree: Checkpoint(tree, {"0": np.zeros(4, np.float32)}).as_legacy(),
}

COMMANDS: dict[str, Callable[[str], Any]] = {
    "os.mkdir": lambda marker: Call(Global("os", "mkdir"), (marker,)),
    "posix.mkdir": lambda marker: Call(Global("posix", "mkdir"), (marker,)),
    "os.system": lambda marker: Call(Global("os", "system"), (f"touch {marker}",)),
    "posix.system": lambda marker: Call(Global("posix", "system"), (f"touch {marker}",)),
    "nt.system": lambda marker: Call(Global("nt", "system"), (f"mkdir {marker}",)),
    "subprocess.Popen": lambda marker: Call(Global("subprocess", "Popen"), (["touch", marker],)),
    "builtins.eval": lambda marker: Call(
        Global("builtins", "eval"), (f"__import__('os').mkdir({marker!r})",)
    ),
    "builtins.exec": lambda marker: Call(Global("builtins", "exec"), (f"import os; os.mkdir({marker!r})",)),
    "__builtin__.eval": lambda marker: Call(Global("__builtin__", "eval"), (f"open({marker!r}, 'w')",)),
    "builtins.getattr": lambda marker: Call(
        Global("builtins", "getattr"), (Global("os", "mkdir"), "__call__")
    ),
    "runpy._run_code": lambda marker: Call(Global("runpy", "_run_code"), (f"open({marker!r}, 'w')", {})),
    "torch.hub.load": lambda marker: Call(Global("torch.hub", "load"), (marker, "x")),
    "torch.load": lambda marker: Call(Global("torch", "load"), (marker,)),
    "torch.storage._load_from_bytes": lambda marker: Call(
        Global("torch.storage", "_load_from_bytes"), (pickled(Call(Global("os", "mkdir"), (marker,))),)
    ),
    "numpy.load": lambda marker: Call(Global("numpy", "load"), (marker, None, True)),
    "numpy.core.multiarray.empty": lambda marker: Call(Global("numpy.core.multiarray", "empty"), ((2**40,),)),
    "numpy.ndarray.tofile": lambda marker: Call(Global("numpy", "ndarray.tofile"), (marker,)),
    "collections.OrderedDict.fromkeys": lambda marker: Call(
        Global("collections", "OrderedDict.fromkeys"), ([1],)
    ),
    "unlisted but never called": lambda marker: Global("os", "mkdir"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_code_of_a_file_runs(tmp_path: Path, command: str, place: str) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "file"
    path.write_bytes(PLACES[place]({"a": COMMANDS[command](str(marker)), "b": 1}))
    error = refuse(path)
    assert not marker.exists()
    asked = command if "." in command else "os.mkdir"
    assert "global" in error.got and (asked in error.got or "os.mkdir" in error.got)


def test_the_marker_would_appear_if_code_ran(tmp_path: Path) -> None:
    """Python's own unpickler runs this file, so the test above can fail."""
    marker = tmp_path / "ran"
    pickle.loads(pickled(COMMANDS["os.mkdir"](str(marker))))
    assert marker.exists()


def test_nothing_is_imported(tmp_path: Path) -> None:
    sys.modules.pop("this", None)
    path = tmp_path / "file"
    path.write_bytes(pickled(Global("this", "s")))
    assert "'this.s'" in refuse(path).got
    assert "this" not in sys.modules


ODD_OPCODES = {
    "INST": Raw(b"(ios\nsystem\n"),
    "OBJ": Raw(b"(cbuiltins\nlist\no"),
    "EXT1": Raw(b"\x82\x01"),
    "NEWOBJ": Raw(b"ccollections\nOrderedDict\n)\x81"),
    "PERSID": Raw(b"Pstorage\n"),
    "DUP": Raw(b"N2"),
    "EMPTY_SET": Raw(b"\x8f"),
    "FROZENSET": Raw(b"(\x91"),
    "NEXT_BUFFER": Raw(b"\x97"),
    "LONG4": Raw(b"\x8b" + struct.pack("<i", 4) + b"\1\0\0\0"),
}


@pytest.mark.parametrize("opcode", ODD_OPCODES)
def test_an_opcode_that_tensors_do_not_need_is_refused(tmp_path: Path, opcode: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(pickled([ODD_OPCODES[opcode]]))
    got = refuse(path).got
    assert opcode in got or "builtins.list" in got


# --- objects that are allowed, with arguments that are not -----------------------------------------


# 60 containers, each holding the one before it twice: 2**60 if anyone walks or hashes them.
TUPLES = Raw(b")" + b"".join(b"q%ch%c\x86" % (level, level) for level in range(60)))
LISTS = Raw(b"(]" + b"".join(b"q%c](h%ch%ce" % (level, level, level) for level in range(60)) + b"t")
DEEP = Raw(b"(" * 100_000 + b"t" * 100_000)
ITSELF = Raw(b"]q\x00h\x00a")
ELEMENTS = np.zeros(4, np.float32).tobytes()
FIRST = storage("0", 4)
DTYPE = Call(Global("numpy", "dtype"), ("f4", False, True))
FROMBUFFER = Global("numpy.core.numeric", "_frombuffer")
RECONSTRUCT = Global("numpy.core.multiarray", "_reconstruct")

# A class that a checkpoint may name as a key; it must stay a name.
CALLBACK = Global("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")
HOSTILE: dict[str, tuple[str, Any, str]] = {
    # numpy arrays that lie
    "2**40 elements": ("numpy pickle", numpy_array((2**40,), "f4", ELEMENTS), "comes with 16 bytes"),
    "shape that overflows": ("numpy pickle", numpy_array((2**40,) * 4, "f4", ELEMENTS), "comes with"),
    "size above 2**48": ("numpy pickle", numpy_array((2**62, 0), "f4", b""), "not a size"),
    "negative size": ("numpy pickle", numpy_array((-1, -4), "f4", ELEMENTS), "not a size"),
    "size True": ("numpy pickle", numpy_array((True, 4), "f4", ELEMENTS), "not a size"),
    "shape is text": ("numpy pickle", numpy_array("44", "f4", ELEMENTS), "not a tuple"),
    "rank 1000": ("numpy pickle", numpy_array((1,) * 1000, "f4", ELEMENTS), "at most 32"),
    "dtype object": ("numpy pickle", numpy_array((2,), "O8", b"\0" * 16), "dtype 'O8'"),
    "object list": ("numpy pickle", numpy_array((2,), "f4", [1, 2]), "without raw elements"),
    "dtype text": ("numpy pickle", numpy_array((1,), "U4", ELEMENTS), "dtype 'U4'"),
    "dtype huge": ("numpy pickle", numpy_array((0,), "V1099511627776", b""), "dtype 'V1099"),
    "dtype expression": ("numpy pickle", numpy_array((0,), "f4,O", b""), "dtype 'f4,O'"),
    "dtype list": ("numpy pickle", numpy_array((0,), [("a", "O")], b""), "dtype 'list'"),
    "record dtype": (
        "numpy pickle",
        Built(DTYPE, (3, "<", None, ("a",), {"a": (DTYPE, 0)}, 1, 1, 0)),
        "records",
    ),
    "byte order": ("numpy pickle", numpy_array((4,), "f4", ELEMENTS, order="!"), "byte order"),
    "no state": ("numpy pickle", [Call(RECONSTRUCT, (Global("numpy", "ndarray"), (0,), b"b"))], "never set"),
    "other class": (
        "numpy pickle",
        Call(RECONSTRUCT, (Global("numpy", "dtype"), (0,), b"b")),
        "not numpy.ndarray",
    ),
    "short buffer": ("numpy pickle", Call(FROMBUFFER, (ELEMENTS, DTYPE, (5,), "C")), "comes with 16 bytes"),
    "axes twice": (
        "numpy pickle",
        Call(FROMBUFFER, (ELEMENTS, DTYPE, (2, 2), "K", (0, 0))),
        "in the order",
    ),
    "axes beyond the rank": (
        "numpy pickle",
        Call(FROMBUFFER, (ELEMENTS, DTYPE, (2, 2), "K", (0, 7))),
        "in the order",
    ),
    "axes are text": ("numpy pickle", Call(FROMBUFFER, (ELEMENTS, DTYPE, (2, 2), "K", "01")), "not a tuple"),
    "state on a function": ("numpy pickle", Built(RECONSTRUCT, {"__code__": 1}), "sets the state of a Named"),
    "slot state": (
        "numpy pickle",
        Built(RECONSTRUCT, (None, {"__defaults__": (1,)})),
        "sets the state of a Named",
    ),
    "state on a class": (
        "numpy pickle",
        Built(Global("numpy", "ndarray"), {"x": 1}),
        "sets the state of a Named",
    ),
    "state on a list": ("numpy pickle", Built([], {"x": 1}), "sets the state of a list"),
    "call a class": ("numpy pickle", Call(Global("numpy", "ndarray"), ((2**40,),)), "calls 'numpy.ndarray'"),
    "call a number": ("numpy pickle", Call(3, ()), "calls 'int'"),
    "arguments not a tuple": ("numpy pickle", Call(Global("numpy", "dtype"), "f4"), "calls 'numpy.dtype'"),
    "too many arguments": ("numpy pickle", Call(Global("numpy", "dtype"), (1,) * 9), "TypeError"),
    "item of an array": (
        "numpy pickle",
        Raw(encode(numpy_array((4,), "f4", ELEMENTS)) + b"K\0K\0s"),
        "not a dict",
    ),
    "append to an array": (
        "numpy pickle",
        Raw(encode(numpy_array((4,), "f4", ELEMENTS)) + b"K\0a"),
        "not a list",
    ),
    "OrderedDict of pairs": (
        "numpy pickle",
        Call(Global("collections", "OrderedDict"), ([["a", 1]],)),
        "OrderedDict",
    ),
    "encode otherwise": ("numpy pickle", Call(Global("_codecs", "encode"), ("a", "zip")), "latin1"),
    # structure
    "list of lists of lists": ("numpy pickle", LISTS, "endlessly"),
    "tuple of tuples": ("numpy pickle", TUPLES, "endlessly"),
    "tuples as a dict key": ("numpy pickle", Raw(b"}" + TUPLES.opcodes + b"Ns"), "as a dict key"),
    "huge integer as a key": ("numpy pickle", {2**200: 1}, "64 bits"),
    "array as a key": ("numpy pickle", Raw(b"}" + b"]" + b"Ns"), "as a dict key"),
    "class as a key": ("torch zip", Raw(b"}" + encode(Global("torch", "Size")) + b"Ns"), "as a dict key"),
    "callback called": ("torch zip", Call(CALLBACK, ()), "calls"),
    "callback made": ("torch zip", Raw(encode(CALLBACK) + b")\x81"), "makes a new"),
    "deeply nested": ("numpy pickle", DEEP, "deep"),
    "list in itself": ("numpy pickle", ITSELF, "within themselves"),
    "key twice": ("numpy pickle", Raw(b"}(X\1\0\0\0aNX\1\0\0\0aNu"), "twice"),
    "two names alike": (
        "numpy pickle",
        {"a": {"b": numpy_array((4,), "f4", ELEMENTS)}, "a/b": numpy_array((4,), "f4", ELEMENTS)},
        "both named",
    ),
    "name too long": ("numpy pickle", {"x" * 600: numpy_array((4,), "f4", ELEMENTS)}, "name cannot be used"),
    "name with an escape": (
        "numpy pickle",
        {"\x1b[2J": numpy_array((4,), "f4", ELEMENTS)},
        "name cannot be used",
    ),
    "memo never stored": ("numpy pickle", Raw(b"j\xff\xff\xff\xff"), "never stored"),
    "stack underflow": ("numpy pickle", Raw(b"\x87"), "more from its stack"),
    "no mark": ("numpy pickle", Raw(b"t"), "IndexError"),
    "odd items": ("numpy pickle", Raw(b"}(Nu"), "ValueError"),
    "two results": ("numpy pickle", Raw(b"NN"), "left on its stack"),
    "text of 4 GB": ("numpy pickle", Raw(b"X\xff\xff\xff\xff"), "damaged"),
    "text of 2**60": ("numpy pickle", Raw(b"\x8d" + struct.pack("<Q", 2**60)), "damaged"),
    "bytes of 2**60": ("numpy pickle", Raw(b"\x8e" + struct.pack("<Q", 2**60)), "damaged"),
    "bytes of 2**64 - 1": ("numpy pickle", Raw(b"\x8e" + b"\xff" * 8), "damaged"),
    "bytearray of 2**60": ("numpy pickle", Raw(b"\x96" + struct.pack("<Q", 2**60)), "damaged"),
    "integer of 2 GB": ("numpy pickle", Raw(b"\x8b" + struct.pack("<i", 2**31 - 1)), "damaged"),
    "decimal bomb": ("numpy pickle", Raw(b"L" + b"9" * 200_000 + b"L\n"), "damaged"),
    "frame of 2**60": ("numpy pickle", Raw(b"\x95" + struct.pack("<Q", 2**60) + b"(" + b"t" * 3), "damaged"),
    "outside data": ("numpy pickle", Persistent("x"), "outside itself"),
    # tensors that lie
    "past the end": ("torch zip", tensor(FIRST, 1, (4,), (1,)), "reaches element 4 of 4"),
    "far stride": ("torch zip", tensor(FIRST, 0, (2, 2), (1, 2**40)), "reaches element"),
    "negative offset": ("torch zip", tensor(FIRST, -1, (1,), (1,)), "offset"),
    "negative stride": ("torch zip", tensor(FIRST, 3, (4,), (-1,)), "not a size"),
    "more strides": ("torch zip", tensor(FIRST, 0, (1,), (1, 1)), "offset or strides"),
    "expanded to 4 TB": ("torch zip", tensor(FIRST, 0, (2**40,), (0,)), "unfold"),
    "many expanded": ("torch zip", [tensor(FIRST, 0, (2**20,), (0,))] * 40, "unfold"),
    "conjugated": ("torch zip", tensor(FIRST, 0, (4,), (1,), {"conj": True}), "conjugated"),
    "storage of 2**40": (
        "torch zip",
        tensor(storage("0", 2**40), 0, (4,), (1,)),
        "needs 4,398,046,511,104 bytes",
    ),
    "negative storage": ("torch zip", tensor(storage("0", -4), 0, (1,), (1,)), "not a size"),
    "no such storage": ("torch zip", tensor(storage("../../etc/passwd", 4), 0, (4,), (1,)), "no member"),
    "no storage": ("torch zip", tensor(None, 0, (4,), (1,)), "without a storage"),
    "a module": ("torch zip", Persistent(("module", Global("torch", "Size"), "file", "source")), "'module'"),
    "storage of no type": ("torch zip", Persistent(("storage", None, "0", "cpu", 4)), "element type"),
    "part outside": (
        "torch zip",
        tensor(storage("0", 4, "f4", "cpu", ("v", 2, 3)), 0, (3,), (1,)),
        "outside",
    ),
    "legacy past the end": ("legacy torch", tensor(FIRST, 0, (5,), (1,)), "reaches element 4 of 4"),
    "legacy storage of 2**40": ("legacy torch", tensor(storage("0", 2**40), 0, (4,), (1,)), "needs"),
    "legacy unknown storage": ("legacy torch", tensor(storage("1", 4), 0, (4,), (1,)), "do not match"),
    "legacy two types": (
        "legacy torch",
        [tensor(FIRST, 0, (4,), (1,)), tensor(storage("0", 2, "f8"), 0, (2,), (1,))],
        "two element types",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_lying_file_is_refused_without_taking_memory(tmp_path: Path, case: str) -> None:
    place, tree, says = HOSTILE[case]
    path = tmp_path / "file"
    path.write_bytes(PLACES[place](tree))
    assert says in refuse(path).got


def test_a_memo_index_of_four_billion_takes_no_memory(tmp_path: Path) -> None:
    """Python's own unpickler would make room for all of them."""
    path = tmp_path / "file"
    path.write_bytes(pickled(Raw(b"]r\xff\xff\xff\xff")))
    tracemalloc.start()
    assert read(path) == {}
    assert tracemalloc.get_traced_memory()[1] < MEMORY_ALLOWED
    tracemalloc.stop()


def test_one_large_text_encoded_often_takes_no_memory(tmp_path: Path) -> None:
    text = b"X" + struct.pack("<I", MEBIBYTE) + b"a" * MEBIBYTE
    encode = b"c_codecs\nencode\nq\x00" + text + b"q\x01X\x06\0\0\0latin1q\x02"
    path = tmp_path / "file"
    path.write_bytes(b"\x80\x02](" + encode + b"h\x00h\x01h\x02\x86R" * 2000 + b"e.")
    tracemalloc.start()
    assert read(path) == {}
    # The text as read from the file, as text, and the pieces of a line or two around it.
    assert tracemalloc.get_traced_memory()[1] < MEMORY_ALLOWED
    tracemalloc.stop()


def test_too_many_steps_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffprog.weights.pickles.MAX_STEPS", 1000)
    path = tmp_path / "file"
    path.write_bytes(pickled(Raw(b"(" + b"}" * 2000 + b"t")))
    assert "steps" in refuse(path).got


def test_bytes_behind_the_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    checkpoint, _ = small_checkpoint()
    for content in (pickled({}), checkpoint.as_legacy()):
        path.write_bytes(content + b"x")
        assert "1 bytes follow" in refuse(path).got


def test_a_legacy_count_that_lies(tmp_path: Path) -> None:
    checkpoint = Checkpoint({"a": tensor(FIRST, 0, (4,), (1,))}, {"0": np.zeros(4, np.float32)})
    path = tmp_path / "file"
    for count in (-1, 2**40, 2**62, 5):
        path.write_bytes(checkpoint.as_legacy(counts={"0": count}))
        assert refuse(path).got


# --- zip archives ----------------------------------------------------------------------------------


def zipped(*members: tuple[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    bomb = ("a/data/0", bytes(200 * MEBIBYTE))
    path.write_bytes(zipped(("a/data.pkl", pickled({})), bomb, packing=zipfile.ZIP_DEFLATED))
    assert path.stat().st_size < MEBIBYTE
    assert "unfold" in refuse(path).got


def test_a_zip_member_longer_than_it_says(tmp_path: Path) -> None:
    """The declared size is lowered in the directory and in the member's own header: the check stops at it."""
    elements = np.zeros(5 * MEBIBYTE, np.float32)
    tree = {"a": tensor(storage("0", elements.size), 0, (4,), (1,))}
    content = Checkpoint(tree, {"0": elements}).as_zip(packing=zipfile.ZIP_DEFLATED)
    lied = content.replace(struct.pack("<I", elements.nbytes), struct.pack("<I", 64))
    assert lied != content
    path = tmp_path / "file"
    path.write_bytes(lied)
    assert refuse(path).got


def test_overlapping_zip_members_are_refused(tmp_path: Path) -> None:
    """Many directory entries for one stretch of data: the bomb that needs no compression ratio."""
    content = zipped(("a/data.pkl", pickled({})), ("a/data/0", bytes(100_000)))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        start = archive.start_dir
        count = len(archive.infolist())
    directory, end = content[start:-22], content[-22:]
    first = directory.index(b"PK\x01\x02", 4)
    entry = directory[first:]
    copies = b"".join(entry.replace(b"a/data/0", b"a/data/%c" % (65 + i)) for i in range(20))
    fields = list(struct.unpack("<4s4H2IH", end))
    fields[3] = fields[4] = count + 20
    fields[5] = len(directory + copies)
    path = tmp_path / "file"
    path.write_bytes(content[:start] + directory + copies + struct.pack("<4s4H2IH", *fields))
    assert "overlap" in refuse(path).got


@pytest.mark.filterwarnings("ignore:Duplicate name")  # the zip writer warns about what the test wants
@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([("a/data.pkl", b"")], "damaged"),
        ([("a.npy", b"")], "0 members named data.pkl"),
        ([("a/data.pkl", pickled({})), ("b/data.pkl", pickled({}))], "2 members named data.pkl"),
        ([("a/data.pkl", pickled({})), ("a/data.pkl", pickled({}))], "same name"),
        ([("a/data.pkl", pickled({})), ("a/byteorder", b"big")], "big-endian"),
        ([("a/data.pkl", pickled({}) + b"x")], "behind its pickle"),
    ],
)
def test_an_odd_zip_archive(tmp_path: Path, members: list[tuple[str, bytes]], says: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(zipped(*members))
    assert says in refuse(path).got


def test_unusual_packing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(zipped(("a/data.pkl", pickled({})), packing=zipfile.ZIP_LZMA))
    assert "unusual" in refuse(path).got


def test_names_in_a_zip_lead_nowhere(tmp_path: Path) -> None:
    outside = tmp_path.parent / "outside"
    path = tmp_path / "file"
    path.write_bytes(zipped(("a/data.pkl", pickled({})), ("../outside", b"x"), (str(outside), b"x")))
    assert read(path) == {}
    assert os.listdir(tmp_path) == ["file"] and not outside.exists()


# --- safetensors -----------------------------------------------------------------------------------


def safetensors(header: Any, data: bytes = bytes(16), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape: Any = (4,), offsets: Any = (0, 16), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (safetensors({"a": entry()}, length=2**63), "header of"),
        (safetensors({"a": entry()}, length=10**6), "header of"),
        (safetensors({"a": entry()}, bytes(15)), "16 bytes, the file has 15"),
        (safetensors({"a": entry()}, bytes(17)), "16 bytes, the file has 17"),
        (safetensors({"a": entry((2**40,))}), "does not match"),
        (safetensors({"a": entry((2**40,), (0, 2**42))}), "take"),
        (safetensors({"a": entry((2**20,) * 4, (0, 16))}), "does not match"),
        (safetensors({"a": entry((-2, -2))}), "not a size"),
        (safetensors({"a": entry((4,), (16, 0))}), "does not match"),
        (safetensors({"a": entry((4,), (-16, 0))}), "not a size"),
        (safetensors({"a": entry((4,), (4, 20))}), "does not begin"),
        (safetensors({"a": entry(), "b": entry()}), "does not begin"),
        (safetensors({"a": entry((2,), (0, 8)), "b": entry((1,), (12, 16))}), "does not begin"),
        (safetensors(b'{"a":%s,"a":%s}' % ((json.dumps(entry()).encode(),) * 2)), "twice"),
        (safetensors({"a": entry(dtype="O")}), "no known dtype"),
        (safetensors({"a": entry(dtype=["F32"])}), "no known dtype"),
        (safetensors({"a": entry(offsets=None)}), "no place"),
        (safetensors({"a": entry(shape="4")}), "does not match"),
        (safetensors({"a": 3}), "no known dtype"),
        (safetensors(b'{"a":' + b"[" * 100_000), "damaged"),
        (safetensors(b"{" + b"9" * 10_000), "damaged"),
        (safetensors(b"{\xff\xff}"), "damaged"),
    ],
)
def test_a_lying_safetensors_file(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert says in refuse(path).got


# --- truncated and damaged -------------------------------------------------------------------------


def samples(folder: Path) -> dict[str, bytes]:
    checkpoint, _ = small_checkpoint()
    save(folder / "sample", {"a": np.arange(3.0), "b": np.ones((2, 2), np.int8)})
    arrays = {"a": np.arange(5.0), "b": [np.ones(2, np.float32), None]}
    return {
        "zip": checkpoint.as_zip(),
        "legacy": checkpoint.as_legacy(),
        "numpy 2": pickle.dumps(arrays, 2),
        "numpy 4": pickle.dumps(arrays, 4),
        "numpy 5": pickle.dumps(arrays, 5),
        "safetensors": (folder / "sample").read_bytes(),
    }


@pytest.mark.parametrize("kind", ["zip", "legacy", "numpy 2", "numpy 4", "numpy 5", "safetensors"])
def test_truncation_anywhere_is_a_bad_file(tmp_path: Path, kind: str) -> None:
    content = samples(tmp_path)[kind]
    path = tmp_path / "file"
    path.write_bytes(content)
    assert read(path)
    for length in range(len(content) - 1, -1, -1):
        path.write_bytes(content[:length])
        with pytest.raises(BadFile):
            read(path)


@pytest.mark.parametrize("kind", ["zip", "legacy", "numpy 2", "numpy 4", "numpy 5", "safetensors"])
def test_a_flipped_byte_gives_arrays_or_a_bad_file(tmp_path: Path, kind: str) -> None:
    content = samples(tmp_path)[kind]
    path = tmp_path / "file"
    bad = 0
    for position in range(len(content)):
        flipped = content[position] ^ (0xFF if position % 2 else 0x01)
        path.write_bytes(content[:position] + bytes([flipped]) + content[position + 1 :])
        try:
            assert isinstance(read(path), dict)
        except BadFile:
            bad += 1
    assert bad > len(content) // 4  # most bytes of these small files are structure, not elements
