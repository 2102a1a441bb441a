"""Read a torch zip checkpoint: <name>/data.pkl describes the tensors, <name>/data/<key> holds each storage.

All member sizes are weighed against the file's size before one is read, members are looked up by their whole
name, and nothing is unpacked to disk. Of a TorchScript program only the tensors are read, each under the path of
attributes that leads to it; its code is never looked at. Numbers of big-endian machines are refused.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from functools import cache

import numpy as np

from diffprog.weights.arrays import collect
from diffprog.weights.bounds import MAX_TENSORS, BoundedReader, check_unfolded, clip, refused
from diffprog.weights.pickles import interpret
from diffprog.weights.torch_script import SCRIPT_TABLE
from diffprog.weights.torch_tensors import storage_of


def read_torch_zip(stream: BoundedReader) -> dict[str, np.ndarray]:
    """Reads a torch zip file; the caller has opened it."""
    with zipfile.ZipFile(stream.file) as archive:
        members = _members(archive, stream.size)
        pickles = [name for name in members if name.split("/", 1)[-1] == "data.pkl" or name == "data.pkl"]
        if len(pickles) != 1:
            raise refused(
                f"a zip archive with {len(pickles)} members named data.pkl",
                "a torch checkpoint, which has exactly one",
                "give the file inside the archive; for .npz or a wheel, unpack it first",
            )
        prefix = pickles[0].removesuffix("data.pkl")
        _check_byte_order(archive, members, prefix)

        @cache
        def load(key: str) -> bytes:
            return _member(archive, members, f"{prefix}data/{key}")

        pickled = _member(archive, members, pickles[0])
        pickle_stream = BoundedReader(io.BytesIO(pickled), len(pickled))
        tree = interpret(pickle_stream, SCRIPT_TABLE, lambda identity: storage_of(identity, load))
        if pickle_stream.remaining():
            raise refused("a torch checkpoint with data behind its pickle")
        return collect(tree, stream.size)


def _members(archive: zipfile.ZipFile, file_size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, after weighing their sizes against the file's: no bomb, overlap or double."""
    entries = archive.infolist()
    members = {entry.filename: entry for entry in entries}
    if len(members) != len(entries) or len(entries) > MAX_TENSORS:
        raise refused("a zip archive with members of the same name, or too many")
    for entry in entries:
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 1:
            raise refused(
                f"the zip member {clip(entry.filename, 80)!r} is encrypted or packed in an unusual way",
                "members stored or deflated, as torch and common zip tools write them",
            )
    outside = any(not 0 <= entry.header_offset < file_size for entry in entries)
    if outside or sum(entry.compress_size for entry in entries) > file_size:
        raise refused("a zip archive whose members overlap or reach past its end")
    check_unfolded(sum(entry.file_size for entry in entries), file_size)
    return members


def _member(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], name: str) -> bytes:
    if name not in members:
        raise refused(f"the zip archive has no member {clip(name, 80)!r}, which a tensor needs")
    with archive.open(members[name]) as file:
        # One byte more than declared would show a member that lies about its size.
        data = file.read(members[name].file_size + 1)
    if len(data) != members[name].file_size:
        raise refused(f"the zip member {clip(name, 80)!r} is not as long as it says")
    return data


def _check_byte_order(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], prefix: str) -> None:
    name = f"{prefix}byteorder"
    if name in members and _member(archive, members, name).strip() != b"little":
        raise refused(
            "a checkpoint written on a big-endian machine",
            "little-endian elements, as all common machines write them",
            "save it again on a common machine, or as safetensors",
        )
