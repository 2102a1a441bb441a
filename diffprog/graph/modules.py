"""Scopes for Flax and Equinox modules while a function is traced, without editing them.

Flax linen names its own scopes; here each call only gets a mark, so that two calls in a row can be told apart
and the outermost module is known. Flax nnx names nothing, and Equinox names classes and not instances: for the time of
the trace, `__call__` of the module classes within reach of the function enters a scope with the module's path, and
what nnx modules write to themselves is undone at the end. Calls in other threads are not affected.
No library is imported if the caller has not imported it.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import itertools
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax

MARK = "diffprog:"
_ROOT = MARK + "root:"
_LIBRARIES = ("jax", "flax", "equinox", "numpy", "optax")
_LOCK = threading.RLock()
_LOCAL = threading.local()


def is_root(visit: Any) -> bool:
    """Whether a scope was marked as the call of an outermost module."""
    return isinstance(visit, tuple) and str(visit[1]).startswith(_ROOT)


@contextlib.contextmanager
def scoped(function: Any, args: tuple[Any, ...]) -> Iterator[None]:
    """Mark linen calls, and give nnx modules scopes, while the body of the `with` traces `function`."""
    with contextlib.ExitStack() as stack:
        if "flax.linen" in sys.modules:
            stack.enter_context(sys.modules["flax.linen"].intercept_methods(_linen_marker()))
        if "flax.nnx" in sys.modules:
            stack.enter_context(_nnx_scopes(sys.modules["flax.nnx"], function, args))
        if "equinox" in sys.modules:
            stack.enter_context(_equinox_scopes(sys.modules["equinox"], function, args))
        yield


def is_class_scope(label: str) -> bool:
    """Whether a scope is Equinox's own, named after a class; the instance's path says more."""
    return label.startswith("eqx.")


def _linen_marker() -> Callable[..., Any]:
    calls = itertools.count()
    depth = 0

    def mark(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        nonlocal depth
        scope = context.module.scope
        outermost = depth == 0 and scope is not None and not scope.path
        depth += 1
        try:
            with jax.named_scope(f"{_ROOT if outermost else MARK}{next(calls)}"):
                return call(*args, **kwargs)
        finally:
            depth -= 1

    return mark


class _Place(NamedTuple):
    """Where a module lives: what the caller calls its outermost module, and the path in there."""

    root: str
    path: str


class _Places:
    """Where each module of a library lives, and which are being called now; `children` walks a module."""

    def __init__(self, children: Callable[[Any], Iterable[tuple[tuple[Any, ...], Any]]]) -> None:
        self.children = children
        self.places: dict[int, _Place] = {}
        self.alive: list[Any] = []  # keeps the identities valid
        self.calls = itertools.count()
        self.active: list[tuple[int, _Place]] = []

    def add(self, root: str, module: Any) -> None:
        for path, child in self.children(module):
            self.places.setdefault(id(child), _Place(root, "/".join(map(str, path))))
            self.alive.append(child)

    @contextlib.contextmanager
    def enter(self, module: Any) -> Iterator[None]:
        if id(module) not in self.places:  # a copy that nnx.jit, nnx.merge or eqx.filter_jit made of a module
            self.add(type(module).__name__, module)
        around, place = (self.active[-1] if self.active else None), self.places[id(module)]
        label = "" if around and around[0] == id(module) else _label(place, around[1] if around else None)
        self.active.append((id(module), place))
        try:
            with contextlib.ExitStack() as stack:
                if label:
                    mark = MARK if place.path or around else _ROOT
                    stack.enter_context(jax.named_scope(label))
                    stack.enter_context(jax.named_scope(f"{mark}{next(self.calls)}"))
                yield
        finally:
            self.active.pop()


def _label(place: _Place, around: _Place | None) -> str:
    """What a module is called inside of another, or on its own."""
    if not place.path:
        return place.root
    if around is None:
        return place.path
    if around.root != place.root:
        return f"{place.root}/{place.path}"
    return place.path.removeprefix(f"{around.path}/")


@contextlib.contextmanager
def _nnx_scopes(nnx: Any, function: Any, args: tuple[Any, ...]) -> Iterator[None]:
    found = list(_reachable((function, args), lambda thing: isinstance(thing, nnx.Module)))
    places = _found_places(found, nnx.iter_modules)
    parts = [part for _, module in found for _, part in nnx.iter_graph(module)]
    merged = _merged_classes(nnx, function, args)
    with _LOCK, _updatable(parts, nnx.Pytree), _calls_named("nnx", places, merged):
        yield


def _merged_classes(nnx: Any, function: Any, args: tuple[Any, ...]) -> set[type]:
    """Classes of the modules that `nnx.merge` will make of a graph definition within reach of the function."""
    found = _reachable((function, args), lambda thing: isinstance(thing, nnx.GraphDef))
    kinds = {getattr(node, "type", None) for _, graphdef in found for node in graphdef.nodes}
    modules = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, nnx.Module))
    return {kind for kind in modules if any("__call__" in base.__dict__ for base in kind.__mro__)}


@contextlib.contextmanager
def _equinox_scopes(eqx: Any, function: Any, args: tuple[Any, ...]) -> Iterator[None]:
    def is_module(thing: Any) -> bool:  # not eqx.filter_jit and the like, which are modules around one
        return isinstance(thing, eqx.Module) and not type(thing).__module__.startswith("equinox._")

    found = list(_reachable((function, args), is_module))
    places = _found_places(found, functools.partial(_equinox_children, is_module))
    with _LOCK, _calls_named("equinox", places):
        yield


def _equinox_children(
    is_module: Callable[[Any], bool], thing: Any, path: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """A module and all modules in its fields, with their paths."""
    if is_module(thing):
        yield path, thing
        fields = ((name, thing.__dict__.get(name)) for name in thing.__dataclass_fields__)
        inner: Iterable[tuple[Any, Any]] = fields
    elif isinstance(thing, (list, tuple)):
        inner = enumerate(thing)
    else:
        inner = thing.items() if isinstance(thing, dict) else ()
    for name, value in inner:
        yield from _equinox_children(is_module, value, (*path, name))


def _found_places(found: list[tuple[str, Any]], children: Callable[[Any], Any]) -> _Places:
    """Places under the outermost of the modules that were found."""
    inner = {id(child) for _, module in found for path, child in children(module) if path}
    places = _Places(children)
    for name, module in found:
        if id(module) not in inner:
            places.add(name, module)
    return places


@contextlib.contextmanager
def _calls_named(library: str, places: _Places, more: Iterable[type] = ()) -> Iterator[None]:
    """Let `__call__` of the classes of these modules, and of `more`, enter the module's scope."""
    classes = {type(module) for module in places.alive if callable(module)} | set(more)
    before = {cls: cls.__dict__.get("__call__") for cls in classes}
    outer = getattr(_LOCAL, library, None)
    setattr(_LOCAL, library, places)
    try:
        for cls in classes:
            setattr(cls, "__call__", _with_scope(library, cls.__call__))  # noqa: B010 (mypy: a method)
        yield
    finally:
        setattr(_LOCAL, library, outer)
        for cls, method in before.items():
            if method is None:
                delattr(cls, "__call__")
            else:
                setattr(cls, "__call__", method)  # noqa: B010


@contextlib.contextmanager
def _updatable(things: list[Any], holder: type) -> Iterator[None]:
    """Let nnx modules be written to while tracing, as `nnx.jit` and running averages do, and put them back.

    nnx refuses it because what is written are tracers; here none of them survives. The attributes are nnx's
    own: where they are missing, nothing is done and nnx explains.
    """
    before = [(thing, name, getattr(thing, name)) for thing in things for name in _own(thing)]
    fields = [(thing.__dict__, dict(thing.__dict__)) for thing in things if isinstance(thing, holder)]
    for thing, name, value in before:
        if name == "_trace_state":
            object.__setattr__(thing, name, type(value)())
    try:
        yield
    finally:
        for current, old in fields:
            current.clear()
            current.update(old)
        for thing, name, value in before:
            object.__setattr__(thing, name, value)


def _own(thing: Any) -> list[str]:
    """What nnx keeps of a variable, and of a module's state."""
    slots = {name for cls in type(thing).__mro__ for name in cls.__dict__.get("__slots__", ())}
    return [name for name in ("_raw_value", "_trace_state") if name in slots]


def _with_scope(library: str, call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        places = getattr(_LOCAL, library, None)
        if places is None:  # another thread
            return call(self, *args, **kwargs)
        with places.enter(self):
            return call(self, *args, **kwargs)

    return wrapper


def _reachable(start: Any, is_module: Callable[[Any], bool]) -> Iterator[tuple[str, Any]]:
    """Modules that a function can get at, each once, with the name it is known by there."""
    seen: set[int] = set()
    queue = collections.deque([("", start, 0)])
    while queue:
        name, thing, depth = queue.popleft()
        if id(thing) in seen or depth > 6:
            continue
        seen.add(id(thing))
        if is_module(thing):
            yield name or type(thing).__name__, thing
        else:
            queue.extend((key or name, value, depth + 1) for key, value in _neighbours(thing))


def _neighbours(thing: Any) -> Iterator[tuple[str, Any]]:
    """What a callable or a container holds: closure, defaults, globals it reads, arguments already given."""
    if isinstance(thing, types.FunctionType):
        yield from zip(thing.__code__.co_freevars, map(_cell, thing.__closure__ or ()), strict=True)
        if (
            str(thing.__module__).split(".")[0] not in _LIBRARIES
        ):  # whose globals hold no module of the caller's
            yield from ((name, thing.__globals__.get(name)) for name in _names_in(thing.__code__))
        yield from (("", value) for value in thing.__defaults__ or ())
        yield from (thing.__kwdefaults__ or {}).items()
    elif isinstance(thing, types.MethodType):
        yield "", thing.__self__
        yield "", thing.__func__
    elif isinstance(thing, (list, tuple)):
        yield from (("", value) for value in thing)
    elif isinstance(thing, dict):
        yield from ((str(key), value) for key, value in thing.items())
    elif isinstance(thing, functools.partial):
        yield from (("", thing.func), ("", thing.args), ("", thing.keywords))
    elif callable(thing) and not isinstance(thing, (type, types.ModuleType)):
        yield "", getattr(thing, "__wrapped__", None)
        yield from getattr(thing, "__dict__", {}).items()


def _names_in(code: types.CodeType) -> Iterator[str]:
    """Global names that a function reads, in functions defined inside it too."""
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _names_in(const)


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None
