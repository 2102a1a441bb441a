"""Names for the values of a traced program.

A scope (`jax.named_scope`, a Flax module) is called by its path and stands for the last value computed inside
it that is used outside. An operation is called `<scope>/<operation>`. The second operation of a kind in one
scope is `relu_1`, the third `relu_2`; the second visit of a scope is `Dense_0#2`, the third `Dense_0#3`.
The name of a Flax network around everything is left out, unless there are several calls of networks:
`encoder/Dense_0` and `head/Dense_0`, or `Net/Dense_0` and `Net#2/Dense_0`.
Names depend on the program's structure only, so they are the same from run to run.

Every name can be tapped. The listing has the landmarks: all scopes, and outside of any scope the operations
that change an activation, but not reshapes, broadcasts, conversions or arithmetic with constants.
Two visits of a bare `jax.named_scope` with nothing between them cannot be told apart and count as one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from diffprog.graph.node import Layer, Value

HEAVY = frozenset({"conv", "dot", "max_pool", "min_pool", "sum_pool"})
_ARITHMETIC = frozenset(
    {"add", "sub", "mul", "div", "pow", "integer_pow", "rem", "neg", "add_any", "concatenate"}
)
_SHAPING = frozenset(
    {"reshape", "broadcast_in_dim", "slice", "dynamic_slice", "dynamic_update_slice", "squeeze"}
)
_MOVING = frozenset(
    {"transpose", "pad", "rev", "copy", "gather", "split", "stop_gradient", "device_put", "pvary"}
)
_TYPING = frozenset(
    {"convert_element_type", "bitcast_convert_type", "reduce_precision", "real", "imag", "name"}
)
_STEPPING = frozenset(
    {"select_n", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "sign", "floor", "round"}
)
_PLUMBING = _SHAPING | _MOVING | _TYPING | _STEPPING


class Part(NamedTuple):
    """One step of a scope path; equal only within one visit."""

    label: str
    visit: Hashable
    is_call: bool = False  # a named call that counts as one operation, not a scope


class Event(NamedTuple):
    """An operation or a named call, in order of computation."""

    path: tuple[Part, ...]
    operation: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    is_call: bool = False  # a named call whose operations come just before it
    number: int = -1  # which node this is; calls are not nodes


@dataclass
class _Visit:
    name: str
    parent: _Visit | None
    depth: int
    end: int = 0
    outputs: list[int] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def under(self, label: str) -> str:
        return f"{self.name}/{label}" if self.name else label


class Naming(NamedTuple):
    """What `give_names` finds: names of values, the listing, and the name of each event."""

    values: dict[str, int]
    layers: tuple[Layer, ...]
    events: tuple[str, ...]


def give_names(
    events: Sequence[Event],
    values: Sequence[Value],
    outputs: Sequence[int],
    dependent: frozenset[int],
    reserved: Sequence[str] = (),
) -> Naming:
    """Name every value of a program.

    Args:
        events: operations and calls in order of computation.
        values: shape and dtype of every value.
        outputs: numbers of the program's results; they are called `output`, or `output/0`, `output/1`, ...
        dependent: numbers of the values that depend on the program's inputs.
        reserved: names that operations may not get: those of the program's arguments.
    """
    visits, scopes = _visit_scopes(events)
    taken = {scope.name for scope in scopes} | {"output", *reserved}
    named = _name_operations(events, visits, taken)
    last_use = {i: at for at, event in enumerate(events) for i in event.inputs}
    last_use.update(dict.fromkeys(outputs, len(events)))
    activations = dependent - _spread_arguments(events, dependent)

    entries = []  # (when, minus how deep, name, value, operation, is a landmark)
    for at, (event, name) in enumerate(zip(events, named, strict=True)):
        landmark = not visits[at].name and _is_landmark(event, activations)
        for label, i in _numbered(name, event.outputs):
            entries.append((at, -visits[at].depth - 1, label, i, event.operation, landmark))
    for scope in scopes:
        found = _result(scope, values, dependent, last_use)
        if found is not None:
            operation = _summary([events[k] for k in scope.events], found, activations)
            entries.append((scope.end, -scope.depth, scope.name, found, operation, True))
    entries.sort(key=lambda entry: entry[:2])
    for label, i in _numbered("output", outputs):
        entries.append((len(events), 0, label, i, "output", i not in {e[3] for e in entries if e[5]}))

    names = {entry[2]: entry[3] for entry in entries}
    return Naming(names, _listing(entries, values, dependent, taken - {"output"}), tuple(named))


def _visit_scopes(events: Sequence[Event]) -> tuple[list[_Visit], list[_Visit]]:
    """The innermost scope of each event, and all scopes; a scope left and entered again is a new visit."""
    root = _Visit("", None, 0)
    root.counts["output"] = 1  # that name is the function's own result
    visits, scopes = [], []
    open_parts: list[Part] = []
    open_visits = [root]
    for at, event in enumerate(events):
        parts = [part for part in event.path if not part.is_call]
        same = 0
        while same < min(len(parts), len(open_parts)) and parts[same] == open_parts[same]:
            same += 1
        del open_parts[same:], open_visits[same + 1 :]
        for part in parts[same:]:
            parent = open_visits[-1]
            parent.counts[part.label] += 1
            number = parent.counts[part.label]
            label = part.label if number == 1 else f"{part.label}#{number}"
            visit = _Visit(parent.under(label), parent, parent.depth + 1)
            scopes.append(visit)
            open_parts.append(part)
            open_visits.append(visit)
        for visit in open_visits[1:]:
            visit.end = at
            visit.outputs.extend(event.outputs)
            visit.events.append(at)
        visits.append(open_visits[-1])
    return visits, scopes


def _name_operations(events: Sequence[Event], visits: Sequence[_Visit], taken: set[str]) -> list[str]:
    """Name operations within their scope, and within a named call by the call's own name."""
    used, counts, calls, named = set(taken), Counter[str](), dict[tuple[int, Part], str](), []

    def fresh(base: str) -> str:
        while True:
            name = base if not counts[base] else f"{base}_{counts[base]}"
            counts[base] += 1
            if name not in used:
                used.add(name)
                return name

    for event, visit in zip(events, visits, strict=True):
        prefix = visit
        inside = visit.name
        for part in (part for part in event.path if part.is_call):
            key = (id(prefix), part)
            if key not in calls:
                calls[key] = fresh(f"{inside}/{part.label}" if inside else part.label)
            inside = calls[key]
        if event.is_call and event.path and event.path[-1].is_call:
            named.append(inside)  # the call itself: its name was taken when its first operation was met
        else:
            named.append(fresh(f"{inside}/{event.operation}" if inside else event.operation))
    return named


def _numbered(name: str, outputs: Sequence[int]) -> list[tuple[str, int]]:
    if len(outputs) == 1:
        return [(name, outputs[0])]
    return [(f"{name}/{k}", i) for k, i in enumerate(outputs)]


def _spread_arguments(events: Sequence[Event], dependent: frozenset[int]) -> set[int]:
    """Arguments that were only broadcast, reshaped or converted, as a bias is; adding one is no landmark."""
    arguments = set(dependent).difference(*(event.outputs for event in events))
    spread: set[int] = set()
    for event in events:
        if event.operation in _SHAPING | _TYPING and (arguments | spread).issuperset(event.inputs):
            spread.update(event.outputs)
    return spread


def _is_landmark(event: Event, activations: frozenset[int]) -> bool:
    inside_call = any(part.is_call for part in (event.path[:-1] if event.is_call else event.path))
    if inside_call or event.operation in _PLUMBING:
        return False
    if event.operation in _ARITHMETIC:
        return sum(i in activations for i in event.inputs) > 1
    return True


def _result(
    scope: _Visit, values: Sequence[Value], dependent: frozenset[int], last_use: dict[int, int]
) -> int | None:
    """The last value computed in the scope that is used outside of it; else the last one."""
    found = [i for i in scope.outputs if i in dependent and is_floating(values[i])]
    found = found or [i for i in scope.outputs if i in dependent]
    outside = [i for i in found if last_use.get(i, -1) > scope.end]
    return (outside or found)[-1] if found else None


def _summary(events: Sequence[Event], value: int, activations: frozenset[int]) -> str:
    """The last operation of note before a scope's result: for a convolution with a bias, `conv`."""
    note, last = "", ""
    for event in events:
        noted = _is_landmark(event, activations) and activations.issuperset(event.outputs)
        note = event.operation if noted else note
        last = event.operation
        if value in event.outputs and not any(part.is_call for part in event.path):
            break
    return note or last


def _listing(
    entries: Sequence[tuple[int, int, str, int, str, bool]],
    values: Sequence[Value],
    dependent: frozenset[int],
    scopes: set[str],
) -> tuple[Layer, ...]:
    layers, seen = [], set()
    for _, _, name, i, operation, landmark in entries:
        again = i in seen and name not in scopes  # a call that only wraps what is listed already
        if landmark and i in dependent and is_floating(values[i]) and not again:
            seen.add(i)
            layers.append(Layer(name, values[i].shape, values[i].dtype, operation))
    return tuple(layers)


def is_floating(value: Value) -> bool:
    """Whether a value is made of real or complex floating-point numbers."""
    return getattr(value.dtype, "kind", "") in ("f", "c") or "float" in str(value.dtype)
