"""Scopes for Flax modules while a function is traced, without editing them.

Flax linen names its own scopes; here each call only gets a mark, so that two calls in a row can be told apart
and the outermost module is known. Flax nnx names nothing: for the time of the trace, `__call__` of the module
classes within reach of the function enters a scope with the module's path, and what the modules write to
themselves is undone at the end. Calls in other threads are not affected.
Neither library is imported if the caller has not imported it.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import itertools
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax

MARK = "diffprog:"
_ROOT = MARK + "root:"
_LIBRARIES = ("jax", "flax", "numpy", "optax")
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
        yield


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
    """Where each nnx module lives, and which are being called now."""

    def __init__(self, nnx: Any) -> None:
        self.nnx = nnx
        self.places: dict[int, _Place] = {}
        self.alive: list[Any] = []  # keeps the identities valid
        self.calls = itertools.count()
        self.active: list[tuple[int, _Place]] = []

    def add(self, root: str, module: Any) -> None:
        for path, child in self.nnx.iter_modules(module):
            self.places.setdefault(id(child), _Place(root, "/".join(map(str, path))))
            self.alive.append(child)

    @contextlib.contextmanager
    def enter(self, module: Any) -> Iterator[None]:
        if id(module) not in self.places:  # a copy that nnx.jit made of a module
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
    found = list(_reachable((function, args), nnx.Module))
    inner = {id(child) for _, module in found for path, child in nnx.iter_modules(module) if path}
    roots = [(name, module) for name, module in found if id(module) not in inner]
    places = _Places(nnx)
    for name, module in roots:
        places.add(name, module)
    parts = [part for _, module in roots for _, part in nnx.iter_graph(module)]
    with _LOCK, _updatable(parts, nnx.Pytree):
        classes = {type(module) for module in places.alive if callable(module)}
        before = {cls: cls.__dict__.get("__call__") for cls in classes}
        outer, _LOCAL.places = getattr(_LOCAL, "places", None), places
        try:
            for cls in classes:
                setattr(cls, "__call__", _with_scope(cls.__call__))  # noqa: B010 (mypy: cannot assign to a method)
            yield
        finally:
            _LOCAL.places = outer
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


def _with_scope(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        places = getattr(_LOCAL, "places", None)
        if places is None:  # another thread
            return call(self, *args, **kwargs)
        with places.enter(self):
            return call(self, *args, **kwargs)

    return wrapper


def _reachable(start: Any, module_class: type) -> Iterator[tuple[str, Any]]:
    """Modules that a function can get at, each once, with the name it is known by there."""
    seen: set[int] = set()
    queue = collections.deque([("", start, 0)])
    while queue:
        name, thing, depth = queue.popleft()
        if id(thing) in seen or depth > 6:
            continue
        seen.add(id(thing))
        if isinstance(thing, module_class):
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
            yield from ((name, thing.__globals__.get(name)) for name in thing.__code__.co_names)
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


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None
