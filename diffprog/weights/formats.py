"""Read any supported weight file into a dict of numpy arrays; the format is told by content, never by name.

safetensors, pickles of numpy arrays, torch zip files and legacy torch files are read without torch, and
nothing in the file is ever run. The formats themselves live in their own modules.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from diffprog.errors import BadFile, Unreachable
from diffprog.weights.arrays import collect
from diffprog.weights.bounds import BoundedReader, clip, refused
from diffprog.weights.numpy_files import NUMPY_TABLE
from diffprog.weights.pickles import interpret
from diffprog.weights.safetensors_files import read_header_text, read_safetensors
from diffprog.weights.torch_legacy import LEGACY_MAGIC, read_torch_legacy
from diffprog.weights.torch_zip import read_torch_zip

T = TypeVar("T")
EXPECTED = "safetensors, a pickle of numpy arrays (protocol 2 to 5), or a torch checkpoint (zip or legacy)"
# What people have in hand by mistake, told by its first bytes.
LOOKALIKES = {
    b"version https://git-lfs": ("a git-lfs pointer", "git lfs pull, or download the file itself"),
    b"<": ("a web page or XML", "download the file itself, not the page about it"),
    b"\x89HDF": ("an HDF5 file", "convert it to safetensors where it can be opened"),
    b"\x93NUMPY": ("a .npy file", "numpy.load, then diffprog.weights.save"),
    b"\x1f\x8b": ("a gzip archive", "unpack it first"),
    b"BZh": ("a bzip2 archive", "unpack it first"),
    b"\xfd7zXZ": ("an xz archive", "unpack it first"),
}


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads a weight file that may come from anywhere.

    Nested dicts, lists and tuples are flattened with "/" and list positions become numbers, so that
    {"fire2": [kernel, bias]} gives "fire2/0" and "fire2/1". What is not an array (an epoch, a name, None) is
    left out; numpy scalars are kept as arrays of shape ().

    Args:
        path: the file, whatever it is called.

    Returns:
        Name to array: contiguous, writable, in native byte order.

    Raises:
        BadFile: another format, a truncated or corrupted file, or one that asks for code or too much memory.
        Unreachable: the file is not there or cannot be opened.
    """
    return _opened(Path(path), _read)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The texts that the header of a safetensors file carries; none where the file is of another format.

    Raises:
        BadFile: a header that is damaged.
        Unreachable: the file is not there or cannot be opened.
    """
    return _opened(Path(path), _read_metadata)


def _opened(path: Path, parse: Callable[[BoundedReader], T]) -> T:
    """What is found in a file; whatever goes wrong is said in three parts that name it."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # asked first: opening a pipe would wait for its writer
            raise refused("not a regular file", "a file on disk with a known size", "check the path")
        with open(path, "rb") as file:
            return parse(BoundedReader(file, os.fstat(file.fileno()).st_size))
    except BadFile as error:
        raise BadFile(f"{path}: {error.got}", error.expected, error.remedy) from error
    except Exception as error:
        # EINVAL is a seek to where no file has bytes, which a damaged archive may ask for.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            reason = error.strerror or clip(str(error))
            raise Unreachable(f"{path}: {reason}", "a readable file", "check the path") from error
        # Whatever else a damaged file brings about in a parser is the file's fault.
        reason = f"{type(error).__name__}: {clip(str(error))}"
        raise BadFile(f"{path}: damaged ({reason})", EXPECTED, "fetch or copy the file again") from error


def _read(stream: BoundedReader) -> dict[str, np.ndarray]:
    head = stream.read(32)
    stream.file.seek(0)
    kind = detect(head)
    if kind == "safetensors":
        return read_safetensors(stream)
    if kind == "zip":
        return read_torch_zip(stream)
    if kind == "pickle":
        return _read_pickle(stream)
    raise _unknown(head, stream)


def _read_metadata(stream: BoundedReader) -> dict[str, str]:
    head = stream.read(32)
    stream.file.seek(0)
    return read_header_text(stream) if detect(head) == "safetensors" else {}


def detect(head: bytes) -> str:
    """The container that a file's first 32 bytes announce: safetensors, zip, pickle or unknown."""
    # Safetensors first: its length may begin with the byte that begins a pickle, but then zeros follow.
    if head[8:9] == b"{" and head[4:8] == b"\0\0\0\0":
        return "safetensors"
    if head[:2] == b"PK":
        return "zip"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    return "safetensors" if head[8:10] == b'{"' else "unknown"


def _read_pickle(stream: BoundedReader) -> dict[str, np.ndarray]:
    """A pickle of numpy arrays, or a legacy torch file, whose first pickle is a magic number."""
    tree = interpret(stream, NUMPY_TABLE)
    if isinstance(tree, int) and tree == LEGACY_MAGIC:
        return read_torch_legacy(stream)
    if stream.remaining():
        raise refused(f"{stream.remaining():,} bytes follow the pickle", "one pickle and nothing behind it")
    return collect(tree, stream.size)


def _unknown(head: bytes, stream: BoundedReader) -> BadFile:
    for magic, (what, remedy) in LOOKALIKES.items():
        if head.lstrip().startswith(magic):
            return refused(f"this is {what}", EXPECTED, remedy)
    got = "an empty file" if not head else f"a file of {stream.size:,} bytes that begins with {head[:8]!r}"
    return refused(
        got, EXPECTED, "check that this is the weight file; save old pickles with protocol 2 or later"
    )
