"""Read a legacy torch checkpoint: five pickles, then each storage as a count and its raw elements.

The pickles are a magic number, a protocol number, a record of the machine, the object, and the list of
storage keys. Every count is checked against the end of the file before anything is read.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from diffprog.weights.arrays import collect
from diffprog.weights.bounds import BoundedReader, clip, element_count, refused
from diffprog.weights.pickles import interpret
from diffprog.weights.torch_tensors import TORCH_TABLE, Storage, storage_of

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001


def read_torch_legacy(stream: BoundedReader) -> dict[str, np.ndarray]:
    """Reads a legacy torch file whose magic number was read already; the caller has opened it."""
    if interpret(stream, {}) != LEGACY_PROTOCOL:
        raise refused("a legacy torch file of an unknown protocol", f"protocol {LEGACY_PROTOCOL}")
    _check_system(interpret(stream, {}))
    storages: dict[str, Storage] = {}
    places: dict[str, tuple[int, int]] = {}

    @cache
    def load(key: str) -> bytes:
        start, length = places[key]
        stream.file.seek(start)
        return stream.take(length, f"storage {clip(key, 40)!r}")

    def persistent(identity: Any) -> Storage:
        storage = storage_of(identity, load)
        known = storages.setdefault(storage.key, storage)
        if known.dtype != storage.dtype:
            raise refused(f"storage {clip(storage.key, 40)!r} has two element types")
        return storage

    tree = interpret(stream, TORCH_TABLE, persistent)
    keys = interpret(stream, {})
    places.update(_places(stream, keys, storages))
    return collect(tree, stream.size)


def _check_system(system: Any) -> None:
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise refused("a legacy torch file from a big-endian machine, or without its system record")


def _places(stream: BoundedReader, keys: Any, storages: Mapping[str, Storage]) -> dict[str, tuple[int, int]]:
    """Where each storage's elements lie, with every length checked against the end of the file."""
    if (
        not isinstance(keys, list)
        or not all(isinstance(key, str) for key in keys)
        or len(set(keys)) != len(keys)
    ):
        raise refused("a legacy torch file without a proper list of its storages")
    if set(keys) != set(storages):
        raise refused("a legacy torch file whose tensors and storages do not match")
    places = {}
    for key in keys:
        (count,) = struct.unpack("<q", stream.take(8, "the length of a storage"))
        length = element_count((count,)) * storages[key].dtype.itemsize
        if length > stream.remaining():
            raise refused(
                f"storage {clip(key, 40)!r} needs {length:,} bytes, {stream.remaining():,} are left"
            )
        places[key] = (stream.tell(), length)
        stream.file.seek(length, 1)
    if stream.remaining():
        raise refused(f"{stream.remaining():,} bytes follow the last storage", "nothing behind it")
    return places
