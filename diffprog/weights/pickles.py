"""Read a pickle as data: a small machine that knows containers and a list of names, and runs nothing.

`interpret` walks the opcodes (the standard library's `pickletools` splits them) and builds only dicts,
lists, tuples, numbers, text and our own stand-ins. A global is looked up in the table that the caller
gives; nothing is ever imported and no object of the file has a method that is called.
Python's own unpickler is not used even with a restricted `find_class`: it hashes nested tuples (time
2**depth), grows its memo to any index the file names, and sets attributes on what it has built.
Pickles of protocol 2 to 5 are read; sets and out-of-band buffers are left out, and so are instances of classes, but
for those whose class the table says to read as the attributes it has.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from diffprog.weights.bounds import MAX_STEPS, BoundedReader, clip, refused

SIMPLE_KEYS = (str, int, float, bool, bytes, type(None))
KEY = object()  # the value of a global that may be the key of a dict, and nothing else


class StandIn:
    """What a file's object becomes here; only subclasses that say so accept a BUILD state."""

    __slots__ = ()

    def set_state(self, state: object) -> None:
        raise refused(
            f"a pickle sets the state of a {type(self).__name__}", "state for arrays and dtypes only"
        )


class Attributes(dict[str, Any]):
    """What an object becomes whose class is not wanted: the names and values it was saved with."""

    __slots__ = ()


class Named(StandIn):
    """What a listed global becomes: a name, a value, and the function of ours that stands for calling it.

    The value `Attributes` makes it a class whose instances are read as their attributes, the value `KEY` a mere name.
    """

    __slots__ = ("call", "name", "value")

    def __init__(self, name: str, call: Callable[..., Any] | None = None, value: Any = None):
        self.name, self.call, self.value = name, call, value


Table = Mapping[str, Named]
Persistent = Callable[[Any], StandIn]


class Machine:
    """The stack, the marks and the memo of one pickle."""

    def __init__(self, table: Table, persistent: Persistent | None):
        self.table, self.persistent = table, persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise refused("a pickle takes more from its stack than it put there")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def named(self, name: str) -> Named:
        if name not in self.table:
            raise refused(
                f"the pickle asks for the global {clip(name, 120)!r}, which is not on the list of names",
                "only tensors, arrays and plain containers, because any other name may run code",
                "save the parameters alone (a state_dict, or safetensors) where you trust the file",
            )
        return self.table[name]


def interpret(stream: BoundedReader, table: Table, persistent: Persistent | None = None) -> Any:
    """Reads one pickle from the stream and leaves the stream right behind it.

    Args:
        stream: where the pickle starts.
        table: the allowed globals, "module.name" to a stand-in.
        persistent: makes a stand-in of a persistent id; None refuses them.

    Returns:
        Dicts, lists, tuples, plain values and stand-ins.

    Raises:
        BadFile: for any other opcode or name, a truncated pickle, or too many steps. Other exceptions of a
            damaged pickle (an index, a type) are turned into BadFile by `diffprog.weights.read`.
    """
    machine = Machine(table, persistent)
    for step, (opcode, argument, position) in enumerate(pickletools.genops(stream)):  # type: ignore[arg-type]
        if step >= MAX_STEPS:
            raise refused(
                f"a pickle of more than {MAX_STEPS:,} steps", "a pickle of tensors takes some thousands"
            )
        if opcode.name not in HANDLERS:
            raise refused(
                f"the pickle uses {opcode.name} at byte {position}",
                "opcodes that build plain containers, tensors and arrays (pickle protocol 2 to 5)",
                "save the parameters alone (a state_dict, or safetensors) where you trust the file",
            )
        HANDLERS[opcode.name](machine, argument)
    (result,) = machine.pop(1)
    if machine.stack:
        raise refused("a pickle ends with objects left on its stack")
    return result


def _store(container: Any, key: Any, value: Any) -> None:
    if type(container) is not dict:
        raise refused("a pickle sets an item of something that is not a dict")
    if isinstance(key, Named) and key.value is KEY:
        key = key.name
    # A nested tuple takes 2**depth steps to hash, so only short tuples of plain values may be keys.
    if not isinstance(key, SIMPLE_KEYS) and not _short_tuple(key):
        raise refused("a pickle uses something else than plain text or a number as a dict key")
    if isinstance(key, int) and not -(2**63) <= key < 2**63:  # such integers can be made to collide
        raise refused("a pickle uses an integer of more than 64 bits as a dict key")
    if key in container:
        raise refused(f"the key {clip(str(key), 80)!r} occurs twice in one dict")
    container[key] = value


def _short_tuple(key: Any) -> bool:
    return isinstance(key, tuple) and len(key) <= 8 and all(isinstance(part, str | int) for part in key)


def _extend(container: Any, items: list[Any]) -> None:
    if type(container) is not list:
        raise refused("a pickle appends to something that is not a list")
    container.extend(items)


def _push(machine: Machine, argument: Any) -> None:
    machine.stack.append(argument)


def _constant(value: Any) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine.stack.append(value)


def _empty(kind: Callable[[], Any]) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine.stack.append(kind())


def _tuple_of(count: int) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine.stack.append(tuple(machine.pop(count)))


def _nothing(machine: Machine, argument: Any) -> None:
    """PROTO, FRAME and STOP: `pickletools` has used them already."""


def _mark(machine: Machine, argument: Any) -> None:
    machine.marks.append(len(machine.stack))


def _tuple(machine: Machine, argument: Any) -> None:
    machine.stack.append(tuple(machine.since_mark()))


def _append(machine: Machine, argument: Any) -> None:
    container, item = machine.pop(2)
    _extend(container, [item])
    machine.stack.append(container)


def _appends(machine: Machine, argument: Any) -> None:
    items = machine.since_mark()
    _extend(machine.stack[-1], items)


def _setitem(machine: Machine, argument: Any) -> None:
    container, key, value = machine.pop(3)
    _store(container, key, value)
    machine.stack.append(container)


def _setitems(machine: Machine, argument: Any) -> None:
    items = machine.since_mark()
    for key, value in zip(items[::2], items[1::2], strict=True):
        _store(machine.stack[-1], key, value)


def _put(machine: Machine, argument: int) -> None:
    machine.memo[argument] = machine.stack[-1]


def _memoize(machine: Machine, argument: Any) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _get(machine: Machine, argument: int) -> None:
    if argument not in machine.memo:
        raise refused(f"a pickle recalls object {argument}, which it never stored")
    machine.stack.append(machine.memo[argument])


def _global(machine: Machine, argument: str) -> None:
    machine.stack.append(machine.named(argument.replace(" ", ".", 1)))


def _stack_global(machine: Machine, argument: Any) -> None:
    module, name = machine.pop(2)
    if not isinstance(module, str) or not isinstance(name, str):
        raise refused("a pickle names a global by something that is not text")
    machine.stack.append(machine.named(f"{module}.{name}"))


def _reduce(machine: Machine, argument: Any) -> None:
    function, arguments = machine.pop(2)
    if not isinstance(function, Named) or function.call is None or not isinstance(arguments, tuple):
        what = function.name if isinstance(function, Named) else type(function).__name__
        raise refused(f"the pickle calls {what!r}", "calls that rebuild a tensor or an array, and no other")
    machine.stack.append(function.call(*arguments))


def _newobj(machine: Machine, argument: Any) -> None:
    kind, arguments = machine.pop(2)
    if not isinstance(kind, Named) or kind.value is not Attributes or arguments != ():
        what = kind.name if isinstance(kind, Named) else type(kind).__name__
        raise refused(f"the pickle makes a new {what!r} (NEWOBJ)", "tensors, arrays and plain containers")
    machine.stack.append(Attributes())


def _build(machine: Machine, argument: Any) -> None:
    (state,) = machine.pop(1)
    target = machine.stack[-1]
    if isinstance(target, Attributes):
        if type(state) is not dict or target or not all(isinstance(name, str) for name in state):
            raise refused("a pickle sets the state of an object to something that is no table of attributes")
        target.update(state)
    elif isinstance(target, StandIn):
        target.set_state(state)
    elif type(target) is not dict:  # the attributes of an OrderedDict (torch's _metadata) are not needed
        raise refused(
            f"a pickle sets the state of a {type(target).__name__}", "state for arrays and dtypes only"
        )


def _persistent_id(machine: Machine, argument: Any) -> None:
    (identity,) = machine.pop(1)
    if machine.persistent is None:
        raise refused("a pickle refers to data outside itself", "a complete pickle, or a whole torch file")
    machine.stack.append(machine.persistent(identity))


_PUSHED = (
    "BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 "
    "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 BINSTRING SHORT_BINSTRING"
)
HANDLERS: Mapping[str, Callable[[Machine, Any], None]] = {
    **dict.fromkeys(_PUSHED.split(), _push),
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), _nothing),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _get),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_DICT": _empty(dict),
    "EMPTY_LIST": _empty(list),
    "EMPTY_TUPLE": _empty(tuple),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "TUPLE": _tuple,
    "MARK": _mark,
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _setitem,
    "SETITEMS": _setitems,
    "MEMOIZE": _memoize,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _newobj,
    "BUILD": _build,
    "BINPERSID": _persistent_id,
}
