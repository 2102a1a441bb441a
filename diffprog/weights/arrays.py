"""Turn what a file describes into named numpy arrays, in two steps: describe, then make.

A reader first builds containers whose leaves are `Pending` arrays: a dtype, a shape and a way to get
the elements, but no memory. `collect` flattens the containers, adds up what the arrays will take,
refuses too much, and only then makes them. Leaves that are not arrays are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from diffprog.weights.bounds import MAX_DEPTH, MAX_NAME, MAX_NODES, MAX_TENSORS, check_unfolded, clip, refused
from diffprog.weights.pickles import StandIn

# Every element type that may come out of a file; objects, text, dates and records are not among them.
_PLAIN = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
_EXTENDED = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
PLAIN_DTYPES: Mapping[str, np.dtype[Any]] = {name: np.dtype(name) for name in _PLAIN}
EXTENDED_DTYPES: Mapping[str, np.dtype[Any]] = {
    name: np.dtype(getattr(ml_dtypes, name)) for name in _EXTENDED
}
DTYPES: Mapping[str, np.dtype[Any]] = {**PLAIN_DTYPES, **EXTENDED_DTYPES}


class Pending(StandIn):
    """An array that is described but not yet made."""

    __slots__ = ()

    def size_in_bytes(self) -> int:
        raise NotImplementedError

    def make(self) -> np.ndarray:
        raise NotImplementedError


def collect(tree: Any, file_size: int) -> dict[str, np.ndarray]:
    """Makes the arrays of nested containers, named by their path: {"fire2": [a, b]} -> "fire2/0", "fire2/1".

    Args:
        tree: dicts, lists and tuples with `Pending` leaves; a bare array is named "array".
        file_size: the file's bytes, which bound what is made.

    Raises:
        BadFile: two arrays get one name, a name cannot be kept, or the arrays are too many or too large.
    """
    if isinstance(tree, Pending):
        tree = {"array": tree}
    pending: dict[str, Pending] = {}
    for count, (name, node) in enumerate(walk(tree)):
        if count >= MAX_NODES or len(pending) > MAX_TENSORS:
            raise refused("a file of endlessly repeated containers", f"at most {MAX_TENSORS:,} tensors")
        if isinstance(node, Pending):
            if name in pending:
                raise refused(f"two tensors are both named {clip(name)!r}")
            pending[name] = node
    check_unfolded(sum(array.size_in_bytes() for array in pending.values()), file_size)
    return {name: array.make() for name, array in pending.items()}


def walk(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yields every array and container with its path; containers too, so that empty ones can be counted."""
    levels: list[Iterator[tuple[str, Any]]] = [iter([("", tree)])]
    while levels:
        name, node = next(levels[-1], (None, None))
        if name is None:
            levels.pop()
            continue
        yield name, node
        if not isinstance(node, Pending):
            if len(levels) > MAX_DEPTH:
                raise refused(f"containers nested more than {MAX_DEPTH} deep, or within themselves")
            levels.append(_children(name, node))


def _children(name: str, node: Any) -> Iterator[tuple[str, Any]]:
    """The arrays and containers in one container."""
    if isinstance(node, dict | list | tuple):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(value, Pending | dict | list | tuple):
                yield join(name, key), value


def join(prefix: str, key: Any) -> str:
    """One more step of a path; refuses names that a safetensors file could not keep."""
    text = key.decode("latin-1") if isinstance(key, bytes) else str(key)
    name = f"{prefix}/{text}" if prefix else text
    if len(name) > MAX_NAME or not name.isprintable():
        raise refused(
            f"a tensor's name cannot be used: {clip(name, 80)!r}", f"at most {MAX_NAME} printable characters"
        )
    return name


def from_bytes(data: bytes | bytearray, dtype: np.dtype[Any], start: int = 0, count: int = -1) -> np.ndarray:
    """A flat read-only view of raw elements; truth values are left as bytes until `native` copies them."""
    stored = np.dtype(np.uint8) if dtype == np.bool_ else dtype
    if count == 0:  # numpy refuses an empty buffer
        return np.empty(0, stored)
    return np.frombuffer(data, stored, count, start * stored.itemsize)


def native(array: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """A writable copy of its own: contiguous, in this machine's byte order, any nonzero byte being True."""
    if dtype == np.bool_:
        return np.array(array != 0, dtype=np.bool_, order="C", copy=True)
    return np.array(array, dtype=dtype.newbyteorder("="), order="C", copy=True)
