"""Trace any JAX function into a `Graph`.

The function is traced once, with `jax.make_jaxpr`; functions compiled inside it are opened, so that their
operations become nodes of their own. An operation with a custom derivative stays one node and keeps it; loops
and branches stay one node, and can be opened (`graph.open`). This is the only file that touches JAX's internals
(jaxprs, primitives, name stacks), so that a new JAX release breaks one file.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.extend.core
import numpy as np
from jax._src import core, source_info_util

from diffprog.graph import modules
from diffprog.graph.arguments import argument_names
from diffprog.graph.names import HEAVY, Event, Part, give_names
from diffprog.graph.node import Node, Source, Value
from diffprog.graph.program import Graph, is_function, without_functions
from diffprog.graph.untraceable import check_arrays, check_function, check_results, explained, innermost

_READABLE = {
    "conv_general_dilated": "conv",
    "dot_general": "dot",
    "reduce_window_max": "max_pool",
    "reduce_window_min": "min_pool",
    "reduce_window_sum": "sum_pool",
    "remat2": "checkpoint",
    "custom_jvp_call": "custom_jvp",
    "custom_vjp_call": "custom_vjp",
}
_CLOSED = jax.extend.core.ClosedJaxpr
_OPENED = ("jit", "pjit", "closed_call", "core_call")


def trace(function: Callable[..., Any], *args: Any) -> Graph:
    """Trace a function of arrays.

    Args:
        function: any JAX function: bare, jitted, closing over parameters, a Flax module. It is not changed.
        *args: what it takes: arrays, `jax.ShapeDtypeStruct`s, or pytrees of them.

    Returns:
        The function as a graph: `graph.layers` lists its activations, `graph.run` evaluates it.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> graph = trace(lambda x: jax.nn.relu(x @ jnp.ones((3, 2))), jnp.ones((4, 3)))
        >>> print(graph)
        dot   float32  [4, 2]  dot
        relu  float32  [4, 2]  relu
        >>> out, taps = graph.run(jnp.ones((4, 3)), taps=["dot"])
        >>> taps["dot"][0]
        Array([3., 3.], dtype=float32)
    """
    check_function(function)
    masked = without_functions(args)
    names = argument_names(function, args, masked)
    leaves, in_tree = jax.tree.flatten(masked)
    check_arrays(dict(zip(names, leaves, strict=True)))
    jaxpr, out_tree = _jaxpr(function, args, {}, leaves, lambda leaf: not is_function(leaf))
    return _build(jaxpr, in_tree, out_tree, names)


def trace_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Graph, list[Any]]:
    """Trace `function(*args, **kwargs)` as a graph of the arrays in there; everything else stays as it is.

    Returns:
        The graph, whose arguments are those arrays one by one, and the arrays.
    """
    leaves = [leaf for leaf in jax.tree.leaves((args, dict(kwargs))) if _is_array(leaf)]
    jaxpr, out_tree = _jaxpr(function, args, kwargs, leaves, _is_array)
    names = tuple(f"args[{i}]" for i in range(len(leaves)))
    return _build(jaxpr, jax.tree.structure(tuple(leaves)), out_tree, names), leaves


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | np.generic)


def _jaxpr(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    leaves: list[Any],
    is_traced: Callable[[Any], bool],
) -> tuple[Any, Any]:
    """The closed jaxpr of a call as a function of its traced leaves, and the structure of the result."""
    every, tree = jax.tree.flatten((args, dict(kwargs)))

    # A new function each time: make_jaxpr remembers functions, and what they close over may have changed.
    def traced(*tracers: Any) -> Any:
        arrays = iter(tracers)
        filled = [next(arrays) if is_traced(leaf) else leaf for leaf in every]
        args, kwargs = jax.tree.unflatten(tree, filled)
        with modules.scoped(function, (args, kwargs)):
            out = function(*args, **kwargs)
        check_results(function, out)
        return out

    with explained(function), _fresh_inner_traces():
        jaxpr, out_shape = jax.make_jaxpr(traced, return_shape=True)(*leaves)
        # Outside of all transformations no stand-in is alive: one that is closed over was kept from an earlier trace.
        kept = (const for const in jaxpr.consts if isinstance(const, jax.core.Tracer))
        stale = next(kept, None) if core.trace_state_clean() else None
        if stale is not None:
            made = innermost(_frames(getattr(stale, "_line_info", None)))
            # In JAX's words, which `explained` reads.
            line = f" created on line {made.file}:{made.line} ({made.function})" if made else ""
            raise jax.errors.UnexpectedTracerError(f"kept from an earlier trace: {stale}{line}")
    return jaxpr, jax.tree.structure(out_shape)


def _build(closed: Any, in_tree: Any, out_tree: Any, input_names: tuple[str, ...]) -> Graph:
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


def change_bodies(node: Node, change: Callable[[Graph, str], Graph]) -> Node:
    """Apply a change of graphs inside a scan, a branch or a checkpoint; other nodes stay as they are.

    `change(graph, part)` gets the part's path from the node: empty, or `/branch_1`.

    A `while` loop has no reverse mode and an operation with a custom derivative is its author's, so neither
    is opened.
    """
    if node.primitive not in ("scan", "cond", "remat2", "checkpoint"):
        return node
    params = {key: _changed(node.equation, param, change) for key, param in node.equation.params.items()}
    if all(params[key] is param for key, param in node.equation.params.items()):
        return node
    equation = node.equation.replace(params=params)
    return node._replace(apply=_application(equation), equation=equation)


def _changed(eqn: Any, param: Any, change: Callable[[Graph, str], Graph], part: str = "") -> Any:
    if isinstance(param, tuple):
        items = tuple(_changed(eqn, item, change, f"/branch_{i}") for i, item in enumerate(param))
        return param if all(new is old for new, old in zip(items, param, strict=True)) else items
    if not hasattr(param, "eqns"):
        return param
    graph = _body(eqn, param)
    changed = change(graph, part)
    if all(new is old for new, old in zip(changed.nodes, graph.nodes, strict=True)):
        return param
    new = jax.make_jaxpr(lambda *inputs: changed.run(*inputs)[0])(*_shapes(param))
    return new if hasattr(param, "consts") else new.jaxpr


def _bodies(eqn: Any) -> dict[str, Graph]:
    """The programs that an operation holds, by the name they are opened by."""
    found = {}
    for key, param in eqn.params.items():
        for i, item in enumerate(param if isinstance(param, tuple) else (param,)):
            if hasattr(item, "eqns"):
                label = f"branch_{i}" if isinstance(param, tuple) else _WHILE.get(key, "")
                found[label] = _body(eqn, item)
    return found


_WHILE = {"cond_jaxpr": "condition", "body_jaxpr": "body"}


def _body(eqn: Any, jaxpr: Any) -> Graph:
    closed = jaxpr if hasattr(jaxpr, "consts") else _CLOSED(jaxpr, ())
    in_tree = jax.tree.structure(tuple(closed.jaxpr.invars))
    out_tree = jax.tree.structure([0] * len(closed.jaxpr.outvars))
    return _build(closed, in_tree, out_tree, _body_names(eqn, jaxpr))


def _body_names(eqn: Any, jaxpr: Any) -> tuple[str, ...]:
    """What goes into a body: constants, what is carried from step to step, and a row of what is stepped over."""
    params, count = eqn.params, len(_shapes(jaxpr))
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


def _shapes(jaxpr: Any) -> list[jax.ShapeDtypeStruct]:
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
            here = path + _parts(eqn, call)
            operands = [read(atom) for atom in eqn.invars]
            results = self.call(eqn, operands, here) if _is_opened(eqn) else self.node(eqn, operands, here)
            numbers.update(zip(eqn.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def node(self, eqn: Any, inputs: list[int], path: tuple[Part, ...]) -> list[int]:
        outputs = [self.value(var.aval) for var in eqn.outvars]
        operation = _operation(eqn)
        self.events.append(Event(path, operation, tuple(inputs), tuple(outputs), False, len(self.nodes)))
        apply = _application(eqn)
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
                _source(eqn),
                functools.partial(_bodies, eqn) if _has_body(eqn) else None,
            )
        )
        return outputs

    def call(self, eqn: Any, inputs: list[int], path: tuple[Part, ...]) -> list[int]:
        """Open a compiled function; one of small operations only (clip, silu) counts as one operation."""
        inner, name = _inner(eqn), eqn.params.get("name", "call").lstrip("_") or "call"
        single = not name.startswith("<") and not _has_landmarks(inner)
        if single:
            path = (*path, Part(name, next(self.calls), is_call=True))
        first = len(self.nodes)
        outputs = self.inline(inner, inputs, path)
        # JAX keeps no lines inside its own compiled functions (jnp.where, jnp.linalg.norm): the call's will do.
        self.nodes[first:] = [n if n.source else n._replace(source=_source(eqn)) for n in self.nodes[first:]]
        if single or not name.startswith("<"):
            self.events.append(Event(path, name, tuple(inputs), tuple(outputs), is_call=True))
        return outputs


def _is_opened(eqn: Any) -> bool:
    return eqn.primitive.name in _OPENED


def _inner(eqn: Any) -> Any:
    return eqn.params["jaxpr"] if "jaxpr" in eqn.params else eqn.params["call_jaxpr"]


def _has_landmarks(closed: Any) -> bool:
    """Whether a compiled function holds a scope, a layer, a custom rule or a loop: things with own names."""
    for eqn in closed.jaxpr.eqns:
        if _is_opened(eqn):
            if _has_landmarks(_inner(eqn)):
                return True
        elif _parts(eqn, 0) or _operation(eqn) in HEAVY or _has_body(eqn):
            return True
    return False


def _has_body(eqn: Any) -> bool:
    """Whether an operation holds programs: the body of a loop, branches, a custom rule's forward."""
    params = (p for param in eqn.params.values() for p in (param if isinstance(param, tuple) else (param,)))
    return any(hasattr(param, "jaxpr") or hasattr(param, "eqns") for param in params)


def _operation(eqn: Any) -> str:
    """A readable name: the function's own for a custom rule, the field's word for a primitive."""
    name = eqn.primitive.name
    if "call_jaxpr" in eqn.params:
        written = eqn.params["call_jaxpr"].jaxpr.debug_info.func_name.split(" ")[0].lstrip("_")
        if written and not written.startswith("<"):
            return written
    return _READABLE.get(name, name)


def _application(eqn: Any) -> Callable[..., Sequence[Any]]:
    def apply(*inputs: Any) -> Sequence[Any]:
        with eqn.ctx.manager:
            results = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
        return results if eqn.primitive.multiple_results else [results]

    return apply


def _source(eqn: Any) -> Source | None:
    return innermost(_frames(eqn.source_info))


def _frames(source_info: Any) -> Iterator[Source]:
    """The lines of Python that made an operation or a stand-in, innermost first; none where JAX kept none."""
    for frame in source_info_util.user_frames(getattr(source_info, "traceback", None)):
        yield Source(frame.file_name, frame.start_line, frame.function_name)


def _parts(eqn: Any, call: int) -> tuple[Part, ...]:
    """The named scopes around an operation; marks of `modules.scoped` tell visits apart and are taken off."""
    parts: list[Part] = []
    told = False  # whether the innermost scope so far is a module that was marked
    for entry in eqn.source_info.name_stack.stack:
        if type(entry).__name__ != "Scope":
            continue  # a transformation: jvp, transpose, vmap
        if entry.name.startswith(modules.MARK):
            if parts:
                parts[-1] = Part(parts[-1].label, (parts[-1].visit, entry.name))
            told = True
        elif not (told and modules.is_class_scope(entry.name)):
            parts.append(Part(entry.name, call))
            told = False
    return tuple(parts)


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


@contextlib.contextmanager
def _fresh_inner_traces() -> Iterator[None]:
    """Let functions that were compiled before be traced anew, so that modules inside them show their scopes.

    JAX keeps the trace of an inner `jit` under a key that includes this otherwise idle setting.
    """
    setting = getattr(getattr(jax._src, "config", None), "hlo_source_file_canonicalization_regex", None)
    with contextlib.nullcontext() if setting is None else setting(f"diffprog trace {next(_TRACES)}"):
        yield


_TRACES = itertools.count()


def settings(node: Node) -> Mapping[str, Any]:
    """What is static about an operation, by JAX's names: `feature_group_count`, `axes`."""
    return node.equation.params if node.equation is not None else {}


def written_in(node: Node) -> str:
    """Who wrote the derivative of an operation with its own: "jax", "rules" (ours) or "elsewhere"; else nothing."""
    body = settings(node).get("call_jaxpr")
    if body is None:
        return ""
    file = getattr(body, "jaxpr", body).debug_info.func_src_info.rpartition(" at ")[2].rpartition(":")[0]
    return next((who for who, home in _HOMES.items() if file.startswith(home + os.sep)), "elsewhere")


_HOMES = {
    "jax": os.path.dirname(jax.__file__),
    "rules": os.path.join(os.path.dirname(os.path.dirname(__file__)), "rules"),
}
