"""Weight files written byte by byte, so that the readers are tested without torch and against any lie."""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
CODES = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "u1": "Byte", "b1": "Bool", "i4": "Int"}


@dataclass(frozen=True)
class Global:
    module: str
    name: str


@dataclass(frozen=True)
class Call:
    function: Any
    arguments: Any = ()


@dataclass(frozen=True)
class Built:
    target: Any
    state: Any


@dataclass(frozen=True)
class Persistent:
    identity: Any


@dataclass(frozen=True)
class Raw:
    opcodes: bytes


def encode(value: Any) -> bytes:
    """The opcodes that leave one value on a pickle's stack."""
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int() if -(2**31) <= value < 2**31:
            return b"J" + struct.pack("<i", value)
        case int():
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(raw)]) + raw
        case str():
            raw = value.encode()
            return b"X" + struct.pack("<I", len(raw)) + raw
        case bytes():
            return b"B" + struct.pack("<I", len(value)) + value
        case tuple():
            return b"(" + b"".join(map(encode, value)) + b"t"
        case list():
            return b"](" + b"".join(map(encode, value)) + b"e"
        case dict():
            return b"}(" + b"".join(encode(key) + encode(item) for key, item in value.items()) + b"u"
        case Global():
            return f"c{value.module}\n{value.name}\n".encode()
        case Call():
            return encode(value.function) + encode(value.arguments) + b"R"
        case Built():
            return encode(value.target) + encode(value.state) + b"b"
        case Persistent():
            return encode(value.identity) + b"Q"
        case Raw():
            return value.opcodes
    raise TypeError(type(value))


def pickled(value: Any) -> bytes:
    return b"\x80\x02" + encode(value) + b"."


def numpy_array(shape: Any, code: Any, data: Any, *, order: str = "<", fortran: bool = False) -> Built:
    """What numpy's own pickles contain for an array."""
    start = Call(Global("numpy.core.multiarray", "_reconstruct"), (Global("numpy", "ndarray"), (0,), b"b"))
    dtype = Built(Call(Global("numpy", "dtype"), (code, 0, 1)), (3, order, None, None, None, -1, -1, 0))
    return Built(start, (1, shape, dtype, fortran, data))


def storage(key: str, count: int, code: str = "f4", device: str = "cpu", *extra: Any) -> Persistent:
    kind = Global("torch", CODES[code] + "Storage")
    return Persistent(("storage", kind, key, device, count, *extra))


def tensor(where: Any, offset: Any, shape: Any, strides: Any, *extra: Any) -> Call:
    hooks = Call(Global("collections", "OrderedDict"))
    arguments = (where, offset, shape, strides, False, hooks, *extra)
    return Call(Global("torch._utils", "_rebuild_tensor_v2"), arguments)


@dataclass
class Checkpoint:
    """A torch checkpoint: an object of `tensor`s, and its storages by key."""

    tree: Any
    storages: dict[str, np.ndarray] = field(default_factory=dict)

    def as_zip(
        self, prefix: str = "archive", packing: int = zipfile.ZIP_STORED, order: str = "little"
    ) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", packing) as archive:
            archive.writestr(f"{prefix}/data.pkl", pickled(self.tree))
            archive.writestr(f"{prefix}/byteorder", order)
            for key, elements in self.storages.items():
                archive.writestr(f"{prefix}/data/{key}", elements.tobytes())
            archive.writestr(f"{prefix}/version", "3\n")
        return buffer.getvalue()

    def as_legacy(self, *, counts: dict[str, int] | None = None) -> bytes:
        system = {
            "protocol_version": 1001,
            "little_endian": True,
            "type_sizes": {"short": 2, "int": 4, "long": 4},
        }
        parts = [pickled(value) for value in (MAGIC, 1001, system, self.tree, list(self.storages))]
        for key, elements in self.storages.items():
            count = (counts or {}).get(key, elements.size)
            parts += [struct.pack("<q", count), elements.tobytes()]
        return b"".join(parts)


def small_checkpoint() -> tuple[Checkpoint, dict[str, np.ndarray]]:
    """A checkpoint with a shared, a transposed, a scalar and an empty tensor, and what it holds."""
    weights = np.arange(12, dtype=np.float32)
    steps = np.array([7], dtype=np.int64)
    first = storage("0", 12, "f4", "cuda:0")
    tree = Built(
        Call(Global("collections", "OrderedDict")),
        {"_metadata": {"version": 1}},
    )
    items = {
        "epoch": 3,
        "name": "small",
        "nothing": None,
        "net": {
            "weight": tensor(first, 0, (3, 4), (4, 1)),
            "transposed": tensor(first, 0, (4, 3), (1, 4)),
            "tail": tensor(first, 8, (4,), (1,)),
            "spread": tensor(first, 5, (2, 2), (0, 3)),
            "steps": tensor(storage("1", 1, "i8"), 0, (), ()),
            "empty": tensor(first, 0, (0, 5), (5, 1)),
        },
        "state": tree,
        "history": [tensor(first, 11, (1,), (99,)), "text"],
    }
    grid = weights.reshape(3, 4)
    expected = {
        "net/weight": grid,
        "net/transposed": grid.T,
        "net/tail": weights[8:],
        "net/spread": np.array([[5, 8], [5, 8]], np.float32),
        "net/steps": np.array(7),
        "net/empty": np.zeros((0, 5), np.float32),
        "history/0": weights[11:],
    }
    return Checkpoint(items, {"0": weights, "1": steps}), expected
