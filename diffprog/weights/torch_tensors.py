"""What torch's pickles describe: tensors as strided views of storages, and the names that stand for them.

The tables say which of torch's names may occur and what stands for each. A tensor is checked against its
storage when it is described, and made only after all sizes are known; it may share its storage and need not
be contiguous. Sparse, quantized and conjugated tensors and whole modules are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from diffprog.weights.arrays import DTYPES, Pending, from_bytes, native
from diffprog.weights.bounds import clip, element_count, refused
from diffprog.weights.numpy_files import NUMPY_TABLE
from diffprog.weights.pickles import KEY, Named, StandIn, Table

STORAGE_DTYPES: Mapping[str, str] = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "Untyped": "uint8",
}
# Under these classes of Lightning's its checkpoints keep what they remember of the best one before.
CALLBACKS = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
)
SCALAR_ALIASES = {"float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32"}


class Storage(StandIn):
    """A run of elements outside the pickle: `count` of them from `start` in the storage called `key`."""

    __slots__ = ("count", "dtype", "key", "load", "start")

    def __init__(self, load: Callable[[str], bytes], dtype: np.dtype[Any], key: str, start: int, count: int):
        self.load, self.dtype, self.key, self.start, self.count = load, dtype, key, start, count

    def elements(self) -> np.ndarray:
        """The stored elements, as a view: many small tensors may lie in one large storage."""
        data = self.load(self.key)
        end = (self.start + self.count) * self.dtype.itemsize
        if end > len(data):
            raise refused(f"storage {clip(self.key, 40)!r} needs {end:,} bytes and has {len(data):,}")
        return from_bytes(data, self.dtype, self.start, self.count)

    def room(self, dtype: np.dtype[Any]) -> int:
        """How many whole elements of `dtype` fit."""
        return self.count * self.dtype.itemsize // dtype.itemsize


class Tensor(Pending):
    """A strided view of a storage, checked to lie inside it."""

    __slots__ = ("dtype", "offset", "shape", "storage", "strides")

    def __init__(
        self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: Any
    ):
        self.storage, self.offset = storage, offset
        self.shape, self.strides, self.dtype = shape, strides, dtype

    def size_in_bytes(self) -> int:
        return element_count(self.shape) * self.dtype.itemsize

    def make(self) -> np.ndarray:
        if element_count(self.shape) == 0:
            return np.empty(self.shape, self.dtype)
        flat = self.storage.elements()
        if self.dtype != self.storage.dtype:  # untyped bytes, of which the last few may not make an element
            flat = flat[: self.storage.room(self.dtype) * self.dtype.itemsize].view(self.dtype)
        # A dimension of size 1 is never stepped along, and torch may leave any stride there.
        steps = [0 if size == 1 else step for size, step in zip(self.shape, self.strides, strict=True)]
        strides = [step * self.dtype.itemsize for step in steps]
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides, writeable=False)
        return native(view, self.dtype)


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, dtype: np.dtype[Any] | None = None
) -> Tensor:
    """Describes a tensor; refuses one that would reach outside its storage."""
    if not isinstance(storage, Storage):
        raise refused("a tensor without a storage")
    dtype = storage.dtype if dtype is None else dtype
    elements = element_count(shape)
    element_count(strides)  # the same limits hold
    if type(offset) is not int or offset < 0 or len(strides) != len(shape):
        raise refused("a tensor whose offset or strides make no sense")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    room = storage.room(dtype)
    if elements and last >= room:
        raise refused(f"a tensor of shape {clip(str(tuple(shape)), 80)} reaches element {last:,} of {room:,}")
    return Tensor(storage, offset, tuple(shape), tuple(strides), dtype)


def _rebuild_v1(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    return _tensor(storage, offset, shape, strides)


def _rebuild_v2(
    storage: Any, offset: Any, shape: Any, strides: Any, gradient: Any, hooks: Any, metadata: Any = None
) -> Tensor:
    if metadata:
        raise refused("a tensor that torch saved as conjugated or negated", "tensors saved as they are")
    return _tensor(storage, offset, shape, strides)


def _rebuild_v3(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    gradient: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    if metadata or not isinstance(dtype, Named) or not isinstance(dtype.value, np.dtype):
        raise refused("a tensor of an unknown dtype, or saved as conjugated or negated")
    return _tensor(storage, offset, shape, strides, dtype.value)


def _parameter(data: Any, *rest: Any) -> Any:
    return data


def _size(sizes: Any = ()) -> tuple[int, ...]:
    element_count(sizes)
    return tuple(sizes)


def _table() -> Table:
    functions: dict[str, Any] = {
        "torch._utils._rebuild_tensor": _rebuild_v1,
        "torch._utils._rebuild_tensor_v2": _rebuild_v2,
        "torch._utils._rebuild_tensor_v3": _rebuild_v3,
        "torch._utils._rebuild_parameter": _parameter,
        "torch._utils._rebuild_parameter_with_state": _parameter,
        "torch.Size": _size,
    }
    table = {name: Named(name, call) for name, call in functions.items()}
    table |= {name: Named(name, None, KEY) for name in CALLBACKS}
    for module in ("torch", "torch.cuda", "torch.storage"):
        for kind, dtype in STORAGE_DTYPES.items():
            name = f"{module}.{kind}Storage"
            table[name] = Named(name, None, DTYPES[dtype])
    for alias, dtype in {**{name: name for name in DTYPES}, **SCALAR_ALIASES}.items():
        table[f"torch.{alias}"] = Named(f"torch.{alias}", None, DTYPES[dtype])
    return {**NUMPY_TABLE, **table}


TORCH_TABLE: Table = _table()


def storage_of(identity: Any, load: Callable[[str], bytes]) -> Storage:
    """The storage that a persistent id names: ('storage', type, key, device, count[, view])."""
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        kind = clip(str(identity[0]), 40) if isinstance(identity, tuple) and identity[:1] else "something"
        raise refused(
            f"the file refers to a {kind!r} outside its pickle",
            "storages only, because a saved module carries code",
            "save the parameters alone (a state_dict) where you trust the file",
        )
    _, kind, key, _, count, *view = identity
    if not isinstance(kind, Named) or not isinstance(kind.value, np.dtype) or not isinstance(key, str):
        raise refused("a storage without an element type or a key")
    total = element_count((count,))
    start = 0
    if view and view[0] is not None:  # torch 0.x: a storage that is a part of another
        _, start, count = view[0]
        if element_count((start,)) + element_count((count,)) > total:
            raise refused(f"a part of storage {clip(key, 40)!r} that lies outside it")
    return Storage(load, kind.value, key, start, count)
