"""From a jaxpr to a graph: compiled functions in it are opened, so that their operations become nodes of their own.

An operation with a custom derivative stays one node and keeps it; loops and branches stay one node, whose programs are
made graphs in the same way when they are asked for (`bodies`).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr

from diffprog.graph import modules
from diffprog.graph.jax_internals import (
    application,
    has_body,
    inside,
    is_call,
    operation_of,
    scopes_of,
    source_of,
)
from diffprog.graph.names import HEAVY, Event, Part, give_names
from diffprog.graph.node import Node, Value
from diffprog.graph.program import Graph

_WHILE = {"cond_jaxpr": "condition", "body_jaxpr": "body"}


def build(closed: Any, in_tree: Any, out_tree: Any, input_names: tuple[str, ...]) -> Graph:
    """The graph of a closed jaxpr.

    Args:
        closed: of the function.
        in_tree: how its arguments are nested.
        out_tree: how its results are nested.
        input_names: what it calls its arguments.
    """
    flat = _Flattener()
    inputs = [flat.value(var.aval) for var in closed.jaxpr.invars]
    outputs = flat.inline(closed, inputs, ())
    events = _drop_single_root(flat.events)
    dependent = _dependent(events, inputs)
    naming = give_names(events, flat.values, outputs, dependent, reserved=input_names)
    nodes = []
    for event, name in zip(events, naming.events, strict=True):
        if event.number >= 0:
            scope = tuple(part.label for part in event.path if not part.is_call)
            nodes.append(flat.nodes[event.number]._replace(name=name, scope=scope))
    return Graph(
        nodes=tuple(nodes),
        values=tuple(flat.values),
        inputs=tuple(inputs),
        closed_over=tuple(i for i, _ in flat.consts.values()),
        consts=[const for _, const in flat.consts.values()],
        literals=flat.literals,
        outputs=tuple(outputs),
        names={**dict(zip(input_names, inputs, strict=True)), **naming.values},
        input_names=input_names,
        layers=naming.layers,
        in_tree=in_tree,
        out_tree=out_tree,
    )


def bodies(eqn: Any) -> dict[str, Graph]:
    """The programs that an operation holds, by the name they are opened by."""
    found = {}
    for key, param in eqn.params.items():
        for i, item in enumerate(param if isinstance(param, tuple) else (param,)):
            if hasattr(item, "eqns"):
                label = f"branch_{i}" if isinstance(param, tuple) else _WHILE.get(key, "")
                found[label] = body(eqn, item)
    return found


def body(eqn: Any, jaxpr: Any) -> Graph:
    """One of the programs that an operation holds, as a graph."""
    closed = jaxpr if hasattr(jaxpr, "consts") else ClosedJaxpr(jaxpr, ())
    in_tree = jax.tree.structure(tuple(closed.jaxpr.invars))
    out_tree = jax.tree.structure([0] * len(closed.jaxpr.outvars))
    return build(closed, in_tree, out_tree, _body_names(eqn, jaxpr))


def _body_names(eqn: Any, jaxpr: Any) -> tuple[str, ...]:
    """What goes into a body: constants, what is carried from step to step, and a row of what is stepped over."""
    params, count = eqn.params, len(shapes_of(jaxpr))
    if eqn.primitive.name == "scan":
        # What is stepped over has one axis more outside, and what is carried comes out as it goes in. The parameters
        # that say how many there are differ between releases of JAX.
        inner = getattr(jaxpr, "jaxpr", jaxpr)
        carried = sum(o.aval.ndim == i.aval.ndim for o, i in zip(eqn.outvars, inner.outvars, strict=True))
        stepped = sum(o.aval.ndim != i.aval.ndim for o, i in zip(eqn.invars, inner.invars, strict=True))
        consts = count - carried - stepped
    elif eqn.primitive.name == "while":
        consts = params["cond_nconsts" if jaxpr is params["cond_jaxpr"] else "body_nconsts"]
        carried = count - consts
    else:
        return tuple(f"args[{i}]" for i in range(count))
    sizes = {"const": consts, "carry": carried, "x": count - consts - carried}
    return tuple(
        label if size == 1 else f"{label}[{i}]" for label, size in sizes.items() for i in range(size)
    )


def shapes_of(jaxpr: Any) -> list[jax.ShapeDtypeStruct]:
    """Of what a jaxpr takes, closed or open."""
    avals = [var.aval for var in getattr(jaxpr, "jaxpr", jaxpr).invars]
    return [jax.ShapeDtypeStruct(a.shape, a.dtype, weak_type=getattr(a, "weak_type", False)) for a in avals]


class _Flattener:
    """Walks a jaxpr, opens the calls in it, and numbers the values."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.nodes: list[Node] = []
        self.events: list[Event] = []
        self.literals: dict[int, Any] = {}
        # By identity: an array that is closed over twice is one constant.
        self.consts: dict[int, tuple[int, Any]] = {}
        self.calls = itertools.count()

    def value(self, aval: Any) -> int:
        self.values.append(Value(tuple(getattr(aval, "shape", ())), getattr(aval, "dtype", None)))
        return len(self.values) - 1

    def const(self, var: Any, array: Any) -> int:
        if id(array) not in self.consts:
            self.consts[id(array)] = (self.value(var.aval), array)
        return self.consts[id(array)][0]

    def literal(self, literal: Any) -> int:
        number = self.value(literal.aval)
        self.literals[number] = literal.val
        return number

    def inline(self, closed: Any, inputs: Sequence[int], path: tuple[Part, ...]) -> list[int]:
        """Append the operations of a closed jaxpr; returns the numbers of its results."""
        jaxpr, call = closed.jaxpr, next(self.calls)
        numbers = dict(zip(jaxpr.invars, inputs, strict=True))
        numbers.update({v: self.const(v, c) for v, c in zip(jaxpr.constvars, closed.consts, strict=True)})

        def read(atom: Any) -> int:
            return self.literal(atom) if hasattr(atom, "val") else numbers[atom]

        for eqn in jaxpr.eqns:
            here = path + scopes_of(eqn, call)
            operands = [read(atom) for atom in eqn.invars]
            results = self.call(eqn, operands, here) if is_call(eqn) else self.node(eqn, operands, here)
            numbers.update(zip(eqn.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def node(self, eqn: Any, inputs: list[int], path: tuple[Part, ...]) -> list[int]:
        outputs = [self.value(var.aval) for var in eqn.outvars]
        operation = operation_of(eqn)
        self.events.append(Event(path, operation, tuple(inputs), tuple(outputs), False, len(self.nodes)))
        apply = application(eqn)
        self.nodes.append(
            Node(
                "",
                operation,
                eqn.primitive.name,
                (),
                tuple(inputs),
                tuple(outputs),
                apply,
                eqn,
                source_of(eqn),
                functools.partial(bodies, eqn) if has_body(eqn) else None,
            )
        )
        return outputs

    def call(self, eqn: Any, inputs: list[int], path: tuple[Part, ...]) -> list[int]:
        """Open a compiled function; one of small operations only (clip, silu) counts as one operation."""
        inner, name = inside(eqn), eqn.params.get("name", "call").lstrip("_") or "call"
        single = not name.startswith("<") and not _has_landmarks(inner)
        if single:
            path = (*path, Part(name, next(self.calls), is_call=True))
        first = len(self.nodes)
        outputs = self.inline(inner, inputs, path)
        # JAX keeps no lines inside its own compiled functions (jnp.where, jnp.linalg.norm): the call's will do.
        self.nodes[first:] = [
            n if n.source else n._replace(source=source_of(eqn)) for n in self.nodes[first:]
        ]
        if single or not name.startswith("<"):
            self.events.append(Event(path, name, tuple(inputs), tuple(outputs), is_call=True))
        return outputs


def _has_landmarks(closed: Any) -> bool:
    """Whether a compiled function holds a scope, a layer, a custom rule or a loop: things with own names."""
    for eqn in closed.jaxpr.eqns:
        if is_call(eqn):
            if _has_landmarks(inside(eqn)):
                return True
        elif scopes_of(eqn, 0) or operation_of(eqn) in HEAVY or has_body(eqn):
            return True
    return False


def _drop_single_root(events: list[Event]) -> list[Event]:
    """Take off the outermost module's name around everything, unless outermost modules are called twice."""
    roots = {event.path[0] for event in events if event.path and modules.is_root(event.path[0].visit)}
    if len(roots) != 1:
        return events
    return [event._replace(path=event.path[1:]) if event.path[:1] == (*roots,) else event for event in events]


def _dependent(events: Sequence[Event], inputs: Sequence[int]) -> frozenset[int]:
    found = set(inputs)
    for event in events:
        if not event.is_call and found.intersection(event.inputs):
            found.update(event.outputs)
    return frozenset(found)
