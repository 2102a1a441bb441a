"""Read and write safetensors: a JSON header that places each tensor, then the raw little-endian elements.

The header is checked whole (lengths, offsets, no overlap, no gap) before a tensor is made. Writing goes to a
temporary file in the same folder that then takes the name at once, so that a reader sees the old file, the
new file or none, never a part.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

from diffprog.errors import InvalidInput, Unreachable
from diffprog.weights.arrays import DTYPES, from_bytes, native
from diffprog.weights.bounds import MAX_TENSORS, MEBIBYTE, BoundedReader, clip, element_count, refused

MAX_HEADER = 16 * MEBIBYTE  # 100,000 tensors take about 10; JSON unfolds to some 40 times its text
_CODES: Mapping[str, np.dtype[Any]] = {
    code: DTYPES[name]
    for code, name in {
        "BOOL": "bool",
        "U8": "uint8",
        "I8": "int8",
        "U16": "uint16",
        "I16": "int16",
        "U32": "uint32",
        "I32": "int32",
        "U64": "uint64",
        "I64": "int64",
        "F16": "float16",
        "BF16": "bfloat16",
        "F32": "float32",
        "F64": "float64",
        "C64": "complex64",
        "F8_E4M3": "float8_e4m3fn",
        "F8_E5M2": "float8_e5m2",
        "F8_E4M3FNUZ": "float8_e4m3fnuz",
        "F8_E5M2FNUZ": "float8_e5m2fnuz",
    }.items()
}


class Entry(NamedTuple):
    """Where one tensor lies: bytes start..end behind the header."""

    start: int
    end: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    name: str


def read_safetensors(stream: BoundedReader) -> dict[str, np.ndarray]:
    """Reads a safetensors file; the caller has opened it."""
    header, data_size = _header(stream)
    entries = [_entry(name, record) for name, record in header.items() if name != "__metadata__"]
    by_place = sorted(entries, key=lambda entry: (entry.start, entry.end))
    end = 0
    for entry in by_place:
        if entry.start != end:
            raise refused(f"tensor {clip(entry.name, 80)!r} does not begin where the one before it ends")
        end = entry.end
    if end != data_size:
        raise refused(f"the tensors take {end:,} bytes, the file has {data_size:,} for them")
    found = {entry.name: _make(stream, entry) for entry in by_place}
    return {entry.name: found[entry.name] for entry in entries}  # in the header's order


def read_header_text(stream: BoundedReader) -> dict[str, str]:
    """The texts in the header of a safetensors file; the caller has opened it."""
    found = _header(stream)[0].get("__metadata__", {})
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise refused("a safetensors header whose metadata is not a table of texts")
    return found


def _header(stream: BoundedReader) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(stream.take(8, "the length of the header"), "little")
    if length > min(stream.remaining(), MAX_HEADER):
        raise refused(f"a safetensors header of {length:,} bytes in a file of {stream.size:,}")
    text = stream.take(length, "the header").decode("utf-8")
    header = json.loads(text, object_pairs_hook=_no_doubles)
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise refused(f"a safetensors header that is not a table of at most {MAX_TENSORS:,} tensors")
    return header, stream.remaining()


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise refused("a safetensors header that names a tensor twice")
    return table


def _entry(name: str, record: Any) -> Entry:
    code = record.get("dtype") if isinstance(record, dict) else None
    if not isinstance(code, str) or code not in _CODES:
        raise refused(f"tensor {clip(name, 80)!r} has no known dtype", f"one of {', '.join(_CODES)}")
    dtype = _CODES[code]
    shape, offsets = record.get("shape"), record.get("data_offsets")
    if not isinstance(offsets, list) or len(offsets) != 2 or element_count(offsets) < 0:
        raise refused(f"tensor {clip(name, 80)!r} has no place in the file")
    start, end = offsets
    if not isinstance(shape, list) or end - start != element_count(shape) * dtype.itemsize:
        raise refused(f"tensor {clip(name, 80)!r} has a shape that does not match its {end - start:,} bytes")
    return Entry(start, end, tuple(shape), dtype, name)


def _make(stream: BoundedReader, entry: Entry) -> np.ndarray:
    data = stream.take(entry.end - entry.start, f"tensor {clip(entry.name, 80)!r}")
    elements = from_bytes(data, entry.dtype, count=element_count(entry.shape))
    return native(elements.reshape(entry.shape), entry.dtype)


def save(
    path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes tensors as one safetensors file, whole or not at all.

    Args:
        path: the file to write or replace; its folder must exist.
        tensors: name to array (numpy or JAX; any layout and byte order).
        metadata: text kept in the header.

    Raises:
        InvalidInput: an element type that safetensors does not have (objects, text, complex128).
        Unreachable: the folder cannot be written, or the disk is full. No partial file is left.

    Example:
        >>> import tempfile, numpy as np
        >>> from diffprog.weights import read, save
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder + "/w.safetensors", {"kernel": np.ones((2, 3), np.float32)})
        ...     read(folder + "/w.safetensors")["kernel"].shape
        (2, 3)
    """
    ready = {name: _storable(name, array) for name, array in tensors.items()}
    try:
        with whole_file(Path(path)) as temporary:
            safetensors.numpy.save_file(ready, temporary, metadata=dict(metadata or {}) or None)
    except (OSError, safetensors.SafetensorError) as error:
        raise Unreachable(
            f"{os.fspath(path)} cannot be written: {error}",
            "a folder that exists, may be written, and has room",
            "another folder, or free some space",
        ) from error


def _storable(name: str, array: Any) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.newbyteorder("=") not in _CODES.values():
        raise InvalidInput(
            f"tensor {name!r} has dtype {array.dtype}",
            f"a dtype that safetensors can hold: {', '.join(str(dtype) for dtype in _CODES.values())}",
            "convert it first, for example array.astype(np.float32)",
        )
    return native(array, array.dtype)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; if all goes well it is flushed to disk and renamed to `path`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        # Created here, and not by tempfile or the library, so that the user's umask gives the permissions.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        permissions = stat.S_IMODE(temporary.stat().st_mode)
        yield temporary
        temporary.chmod(permissions)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
