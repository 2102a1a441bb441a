"""The limits every reader keeps, and the refusal they all raise.

A weight file comes from outside: its lengths, counts and shapes are claims until they are checked
against the file's real size. Each reader checks here before it takes memory, so the memory taken is
a small multiple of the file on disk. What a format means is left to its reader.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import BinaryIO

from diffprog.errors import BadFile

MEBIBYTE = 2**20
# Tied weights and broadcast tensors make a file unfold to a few times its size; 8 is beyond any network seen.
UNFOLD_FACTOR = 8
UNFOLD_ALLOWANCE = 64 * MEBIBYTE
# One byte of a pickle can make a 64-byte object, so the number of steps bounds the memory: 128 MiB here.
MAX_STEPS = 2_000_000
MAX_TENSORS = 100_000
MAX_NODES = 250_000  # tensors and containers visited, where a container that is used twice counts twice
MAX_DEPTH = 64
MAX_NAME = 512
MAX_RANK = 32
MAX_TEXT_LINE = 1024


def refused(
    got: str,
    expected: str = "a weight file that holds plain tensors and is complete",
    remedy: str = "fetch or copy the file again; if it stays so, do not trust it",
) -> BadFile:
    """The error every reader raises; `read` puts the file's path in front of it."""
    return BadFile(clip(got), expected, remedy)


def clip(text: str, length: int = 300) -> str:
    """Shortens text that a file may have chosen, and makes it printable on one line."""
    shown = text if len(text) <= length else text[:length] + "..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)


def element_count(shape: Sequence[object]) -> int:
    """The number of elements of a shape read from a file; refuses all that is not a small tuple of sizes."""
    if not isinstance(shape, tuple | list) or len(shape) > MAX_RANK:
        raise refused(f"a tensor's shape is not a tuple of at most {MAX_RANK} sizes")
    for size in shape:
        # bool is an int to Python, and a size above 2**48 would overflow numpy's strides.
        if type(size) is not int or not 0 <= size < 2**48:
            raise refused("a tensor's shape holds something that is not a size of 0 .. 2**48")
    return math.prod(shape)


def check_unfolded(total: int, file_size: int) -> None:
    """Refuses a file whose tensors would take far more memory than the file has bytes."""
    limit = UNFOLD_FACTOR * file_size + UNFOLD_ALLOWANCE
    if total > limit:
        raise refused(
            f"{file_size:,} bytes of file unfold to {total:,} bytes of tensors",
            f"at most {UNFOLD_FACTOR} times the file's size and {UNFOLD_ALLOWANCE // MEBIBYTE} MiB, "
            f"because more is a decompression bomb",
        )


class BoundedReader:
    """A binary file that never reads past its known end, so that a false length takes no memory."""

    def __init__(self, file: BinaryIO, size: int):
        self.file = file
        self.size = size

    def remaining(self) -> int:
        return max(0, self.size - self.file.tell())

    def tell(self) -> int:
        return self.file.tell()

    def read(self, length: int) -> bytes:
        return self.file.read(max(0, min(length, self.remaining())))

    def readline(self) -> bytes:
        return self.file.readline(min(MAX_TEXT_LINE, self.remaining()))

    def take(self, length: int, what: str) -> bytes:
        """Reads exactly `length` bytes, or refuses before any memory is taken."""
        if not 0 <= length <= self.remaining():
            raise refused(f"{what} needs {length:,} bytes, the file has {self.remaining():,} left")
        return self.file.read(length)
