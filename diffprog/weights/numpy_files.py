"""Stand-ins for the few names that numpy's pickles use, so that an array comes out and numpy is never called.

numpy pickles an array as a call of `_reconstruct` and a state (shape, dtype, order, bytes), or in
protocol 5 as a call of `_frombuffer`. Here both make a `PickledArray` whose sizes are checked against the
bytes that are there. Arrays of objects, text, dates and records are refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from diffprog.weights.arrays import EXTENDED_DTYPES, PLAIN_DTYPES, Pending, from_bytes, native
from diffprog.weights.bounds import clip, element_count, refused
from diffprog.weights.pickles import Named, StandIn, Table

_CODES = {dtype.str[1:]: dtype for dtype in PLAIN_DTYPES.values()}


class PickledDtype(StandIn):
    """A dtype of the file: its element type and byte order."""

    __slots__ = ("dtype",)

    def __init__(self, code: Any, align: Any = False, copy: Any = False):
        known = code.value if isinstance(code, Named) else _CODES.get(code) if isinstance(code, str) else None
        if not isinstance(known, np.dtype):
            shown = clip(code, 40) if isinstance(code, str) else type(code).__name__
            raise refused(
                f"an array of dtype {shown!r}",
                "numbers or truth values, because objects and text may hide code",
            )
        self.dtype = known

    def set_state(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise refused("an array whose elements are records", "numbers or truth values")
        order = _text(state[1])
        if order not in ("<", ">", "=", "|"):
            raise refused("a dtype without a byte order")
        if self.dtype in PLAIN_DTYPES.values():  # bfloat16 and float8 exist in native order only
            self.dtype = self.dtype.newbyteorder(order)  # type: ignore[arg-type]


class PickledArray(Pending):
    """An array of the file; complete only when its state was set."""

    __slots__ = ("axes", "data", "dtype", "order", "shape")

    def __init__(self) -> None:
        self.shape: tuple[int, ...] | None = None
        self.axes: tuple[int, ...] | None = None

    def fill(self, shape: Any, dtype: Any, data: Any, order: str) -> PickledArray:
        if not isinstance(dtype, PickledDtype) or not isinstance(data, bytes | bytearray | str):
            raise refused("an array without raw elements", "bytes of numbers, because objects may hide code")
        if element_count(shape) * dtype.dtype.itemsize != len(data):
            raise refused(f"an array of shape {clip(str(shape), 80)} comes with {len(data):,} bytes")
        self.shape, self.dtype, self.data, self.order = tuple(shape), dtype.dtype, data, order
        return self

    def set_state(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise refused("an array with an unknown kind of state")
        shape, dtype, is_fortran, data = state[-4:]
        self.fill(shape, dtype, data, "F" if is_fortran is True or is_fortran == 1 else "C")

    def size_in_bytes(self) -> int:
        if self.shape is None:
            raise refused("an array without elements: its state was never set")
        return len(self.data)

    def make(self) -> np.ndarray:
        # Protocol 2 writes bytes as text; encoded only here, because a file may name one text often.
        data = self.data.encode("latin-1") if isinstance(self.data, str) else self.data
        assert self.shape is not None  # size_in_bytes came first
        elements = from_bytes(data, self.dtype, count=element_count(self.shape))
        array = elements.reshape(self.shape, order="F" if self.order == "F" else "C")
        return native(array if self.axes is None else array.transpose(self.axes), self.dtype)


def _text(value: object) -> str:
    """Text as such; Python 2 pickles give bytes where Python 3 gives text."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


def _reconstruct(kind: object, shape: object, code: object) -> PickledArray:
    if not isinstance(kind, Named) or kind.name != "numpy.ndarray":
        raise refused("an array of a class that is not numpy.ndarray")
    return (
        PickledArray()
    )  # the shape and the code here are placeholders of numpy's; the state has the real ones


def _scalar(dtype: object, data: object) -> PickledArray:
    return PickledArray().fill((), dtype, data, "C")


def _frombuffer(
    data: object, dtype: object, shape: object, order: object, axes: object = None
) -> PickledArray:
    array = PickledArray().fill(shape, dtype, data, "F" if order == "F" else "C")
    if order == "K" and axes is not None:  # since numpy 2.3: elements as they lay, and how to turn the axes
        rank = len(array.shape or ())
        if not isinstance(axes, tuple) or any(type(axis) is not int for axis in axes):
            raise refused("an array whose axes are in an order that is not a tuple of numbers")
        if sorted(axes) != list(range(rank)):
            raise refused(f"an array of {rank} axes in the order {clip(str(axes), 80)}")
        array.axes = axes
    return array


def _encode(text: object, encoding: object) -> str:
    if not isinstance(text, str) or encoding != "latin1":
        raise refused("a pickle encodes something that is not latin1 text")
    return text


def _no_bytes() -> bytes:
    return b""


def ordered_dict(pairs: object = ()) -> dict[Any, Any]:
    """Stands for `collections.OrderedDict`, which is called empty, or by Python 2 with no pairs."""
    if pairs != () and pairs != []:
        raise refused("an OrderedDict that is built from something else than its items")
    return {}


def _table() -> dict[str, Named]:
    functions: dict[str, Any] = {
        "numpy.dtype": PickledDtype,
        "numpy.ndarray": None,
        "_codecs.encode": _encode,
        "__builtin__.bytes": _no_bytes,
        "builtins.bytes": _no_bytes,
        "collections.OrderedDict": ordered_dict,
    }
    for core in ("numpy.core", "numpy._core"):  # numpy 1 and numpy 2
        functions[f"{core}.multiarray._reconstruct"] = _reconstruct
        functions[f"{core}.multiarray.scalar"] = _scalar
        functions[f"{core}.numeric._frombuffer"] = _frombuffer
    names = {name: Named(name, call) for name, call in functions.items()}
    extended = EXTENDED_DTYPES.items()
    return names | {f"ml_dtypes.{name}": Named(f"ml_dtypes.{name}", None, dtype) for name, dtype in extended}


NUMPY_TABLE: Table = _table()
