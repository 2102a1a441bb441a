"""The names in the pickle of a TorchScript program: its modules are read as tables of attributes.

`torch.jit.save` writes data.pkl as an object of a class of the program's own, `__torch__....`, whose attributes are
tensors, numbers, and more such objects. The classes' code lies in other members of the archive, which are never
opened: an object becomes its attributes, and typed lists become lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from diffprog.weights.bounds import refused
from diffprog.weights.pickles import Attributes, Named, Table
from diffprog.weights.torch_tensors import TORCH_TABLE

SCRIPT_CLASS = "__torch__."
LISTS = ("build_intlist", "build_tensorlist", "build_doublelist", "build_boollist")


def _list(items: Any) -> list[Any]:
    if type(items) is not list:
        raise refused("a TorchScript list that is no list")
    return items


def _untyped(value: Any, kind: Any) -> Any:
    """A container with the name of its type, which is not needed."""
    return value


class _ScriptTable(Mapping[str, Named]):
    """The names of torch's tensors, and every class of a program's own."""

    def __init__(self, table: Table):
        lists: dict[str, Callable[..., Any]] = {f"torch.jit._pickle.{name}": _list for name in LISTS}
        calls = {**lists, "torch.jit._pickle.restore_type_tag": _untyped}
        self.table = {**table, **{name: Named(name, call) for name, call in calls.items()}}

    def __getitem__(self, name: str) -> Named:
        if name.startswith(SCRIPT_CLASS):
            return Named(name, None, Attributes)
        return self.table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)


SCRIPT_TABLE: Table = _ScriptTable(TORCH_TABLE)
