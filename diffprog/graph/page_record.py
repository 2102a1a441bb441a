"""What the page shows, as plain numbers, strings, lists and dictionaries.

`describe(graph)` says which operations there are, which scope each belongs to, and what flows between them;
`describe_steps(steps)` adds the numbers of a backward sweep, small arrays printed and large ones summarized, so
that the record stays small whatever flows. How it is shown is the page's affair (`page.py`, `export.py`).
Graphs and steps are met by their attributes alone.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from latex2mathml.converter import convert

if TYPE_CHECKING:  # those modules use this one
    from diffprog.graph.program import Graph, Node
    from diffprog.graph.step import Step

Scope = tuple[str, ...]
MANY_STEPS = 1000
SMALL, SMALLER = 36, 4  # elements of an array that is printed: in a short sweep, in one of many steps
LONGEST_TEXT = 200


def describe(graph: Graph, parameters: Iterable[str] = ()) -> dict[str, Any]:
    """A graph as data.

    Args:
        graph: what was traced.
        parameters: names of arguments that are parameters, besides those inside of a dictionary or another tree.

    Returns:
        `scopes` with their parents before them; `nodes`, whose number is the operation's in the graph;
        `arguments` and `constants`, each in the innermost scope around all that use it; `values` by number.
    """
    used = {i for node in graph.nodes for i in node.inputs} | set(graph.outputs)
    paths = [scope_path(node) for node in graph.nodes]
    arguments = _arguments(graph, paths, set(parameters))
    constants = [
        {"value": i, "name": f"consts[{k}]", "kind": "constant", "scope": _around(graph, paths, i)}
        for k, i in enumerate(graph.closed_over)
        if i in used
    ]
    scopes = _scopes([*paths, *(item["scope"] for item in [*arguments, *constants])])
    for item in [*arguments, *constants]:
        item["scope"] = scopes.get(item["scope"], -1)
    return {
        "scopes": [_scope(path, scopes) for path in scopes],
        "nodes": [
            _node(graph, node, scopes.get(path, -1)) for node, path in zip(graph.nodes, paths, strict=True)
        ],
        "values": _values(graph),
        "arguments": arguments,
        "constants": constants,
        "outputs": list(graph.outputs),
    }


def scope_path(node: Node) -> Scope:
    """The scopes around an operation, told apart by visit: `("encoder", "Dense_0#2")`; named calls are scopes too.

    They are read off the operation's name, which says the visit.
    """
    path: list[str] = []
    rest = node.name
    for label in node.scope:
        found = re.match(re.escape(label) + r"(#\d+)?/", rest)
        if found is None:
            return (*path, label)
        path.append(found[0][:-1])
        rest = rest[found.end() :]
    return (*path, *rest.split("/")[:-1])


def _arguments(graph: Graph, paths: Sequence[Scope], parameters: set[str]) -> list[dict[str, Any]]:
    found = []
    for i, name in zip(graph.inputs, graph.input_names, strict=True):
        parameter = name in parameters or (not parameters and ("[" in name or "." in name))
        scope = _around(graph, paths, i) if parameter else ()
        kind = "parameter" if parameter else "input"
        found.append({"value": i, "name": _short(name), "kind": kind, "scope": scope})
    return found


def _around(graph: Graph, paths: Sequence[Scope], value: int) -> Scope:
    """The innermost scope around all operations that take a value."""
    if value in graph.outputs:
        return ()
    users = [path for node, path in zip(graph.nodes, paths, strict=True) if value in node.inputs]
    return functools.reduce(_common, users) if users else ()


def _common(one: Scope, other: Scope) -> Scope:
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return tuple(part for part, _ in same)


def _scopes(paths: Iterable[Scope]) -> dict[Scope, int]:
    scopes: dict[Scope, int] = {}
    for path in paths:
        for depth in range(1, len(path) + 1):
            scopes.setdefault(path[:depth], len(scopes))
    return scopes


def _scope(path: Scope, scopes: Mapping[Scope, int]) -> dict[str, Any]:
    return {"name": _short("/".join(path)), "label": _short(path[-1]), "parent": scopes.get(path[:-1], -1)}


def _node(graph: Graph, node: Node, scope: int) -> dict[str, Any]:
    return {
        "name": _short(node.name),
        "operation": _short(node.operation),
        "scope": scope,
        "inputs": [i for i in node.inputs if i not in graph.literals],
        "outputs": list(node.outputs),
        "literals": [_literal(graph.literals[i]) for i in node.inputs if i in graph.literals],
        "source": _short(str(node.source)) if node.source else "",
    }


def _values(graph: Graph) -> list[str]:
    return [f"{value.dtype}{list(value.shape)}" for value in graph.values]


def _literal(value: Any) -> str:
    array = np.asarray(value)
    return number(array.item()) if array.ndim == 0 and array.dtype.kind in "biuf" else _short(str(value))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def describe_steps(steps: Sequence[Step], arguments: Sequence[str] = ()) -> dict[str, Any]:
    """A backward sweep as data.

    Args:
        steps: in the order of the sweep.
        arguments: names of the function's arguments, whose gradients are added over all that use them.

    Returns:
        `steps`, whose arrays are positions in `arrays`; `totals`, the same for the gradients of arguments;
        `formulas`, from LaTeX to MathML.
    """
    small = SMALL if len(steps) <= MANY_STEPS else SMALLER
    arrays: list[dict[str, Any]] = []
    seen: dict[int, int] = {}

    def at(array: Any) -> int | None:
        if array is None:
            return None
        if id(array) not in seen:  # what flows along an edge is met at both of its ends
            seen[id(array)] = len(arrays)
            arrays.append(summarize(array, small))
        return seen[id(array)]

    def flows(items: Iterable[Any]) -> list[dict[str, Any]]:
        return [{"name": _short(item.name), "array": at(item.array)} for item in items]

    described = [
        {
            "node": step.number,
            "rule": _short(step.rule),
            "formula": step.formula,
            **{key: flows(getattr(step, key)) for key in _FLOWS},
            "contributions": [
                [{"name": _short(term.consumer), "array": at(term.array)} for term in terms]
                for terms in step.contributions
            ],
        }
        for step in steps
    ]
    formulas = {step.formula: mathml(step.formula) for step in steps if step.formula}
    totals = {_short(name): at(array) for name, array in _totals(steps, set(arguments)).items()}
    return {"steps": described, "arrays": arrays, "formulas": formulas, "totals": totals}


def _totals(steps: Sequence[Step], arguments: set[str]) -> dict[str, Any]:
    totals: dict[str, Any] = {}
    for flow in (flow for step in steps for flow in (*step.g_in, *step.g_parameters)):
        if flow.name in arguments and flow.array is not None:
            totals[flow.name] = totals[flow.name] + flow.array if flow.name in totals else flow.array
    return totals


_FLOWS = ("x_in", "parameters", "x_out", "g_out", "g_in", "g_parameters")


def summarize(array: Any, small: int = SMALL) -> dict[str, Any]:
    """Type, shape, norm, range and share of zeros of an array; its numbers too if there are few.

    Example:
        >>> summarize(np.array([0.0, 3.0, -4.0]))["norm"]
        '5'
    """
    array = np.asarray(array)
    record: dict[str, Any] = {"type": f"{array.dtype}{list(array.shape)}"}
    if array.size == 0 or (array.dtype.kind not in "biufc" and not _is_small_float(array.dtype)):
        return record
    wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64).reshape(-1)
    finite = wide[np.isfinite(wide)]
    size = np.abs(finite)
    record["norm"] = number(_norm(size))
    record["zeros"] = f"{100 * np.mean(wide == 0):.3g} %"
    if finite.size < wide.size:
        record["not finite"] = int(wide.size - finite.size)
    if finite.size and array.dtype.kind != "c":
        record["range"] = [number(finite.min()), number(finite.max())]
    if array.size <= small:
        rows = array if array.ndim == 2 else array.reshape(1, -1) if array.ndim < 2 else array.reshape(-1, 1)
        record["rows"] = [[number(item) for item in row] for row in rows.tolist()]
    return record


def _is_small_float(dtype: Any) -> bool:
    return "float" in str(dtype)  # bfloat16 and its kin, which NumPy knows by name only


def _norm(size: np.ndarray) -> float:
    """The length, without overflow on the way; infinite only if it is larger than any float."""
    largest = float(size.max(initial=0.0))
    return largest * float(np.sqrt(np.sum((size / largest) ** 2))) if largest else 0.0


def number(value: Any) -> str:
    """A number in few letters.

    Example:
        >>> number(0.30000001192092896), number(-123456789.0), number(True)
        ('0.3', '-1.23457e+08', 'True')
    """
    return str(value) if isinstance(value, (bool, int, str)) else f"{value:.6g}"


@functools.cache
def mathml(latex: str) -> str:
    """A formula as MathML, which browsers draw by themselves; empty where the formula cannot be read."""
    try:
        return convert(latex, display="block")
    except Exception:  # whatever the converter trips over: the page then shows the LaTeX itself
        return ""
