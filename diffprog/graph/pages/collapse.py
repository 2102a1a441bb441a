"""Which boxes and edges of a graph there are when its scopes are closed below some depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple


class Box(NamedTuple):
    """An operation, a closed scope, or what comes from outside."""

    id: str
    kind: str  # operation, group, input, parameter, constant, output
    label: str
    detail: str  # type and shape, or how many operations
    scope: int  # the scope around it, -1 for none


class View(NamedTuple):
    """Boxes in order of computation, and edges between them, each once."""

    boxes: tuple[Box, ...]
    edges: tuple[tuple[str, str], ...]


def collapse(record: dict[str, Any], depth: int) -> View:
    """What is to be drawn of a graph.

    Args:
        record: as `page_record.describe` gives it.
        depth: scopes inside of that many others are closed.
    """
    shown: dict[str, Box] = {}
    stands_for: dict[str, str] = {}
    makers: dict[int, str] = {}
    uses: list[tuple[int, str]] = []
    for box, takes, gives in _leaves(record):
        found = _around(record, box, depth)
        shown.setdefault(found.id, found)
        stands_for[box.id] = found.id
        makers.update(dict.fromkeys(gives, box.id))
        uses += [(value, box.id) for value in takes]
    found_edges = ((stands_for[makers[v]], stands_for[user]) for v, user in uses if v in makers)
    edges = dict.fromkeys((a, b) for a, b in found_edges if a != b)
    return View(tuple(shown.values()), tuple(edges))


def _leaves(record: dict[str, Any]) -> Iterator[tuple[Box, list[int], list[int]]]:
    values = record["values"]
    for letter, items in (("a", record["arguments"]), ("c", record["constants"])):
        for k, item in enumerate(items):
            value = item["value"]
            yield Box(f"{letter}{k}", item["kind"], item["name"], values[value], item["scope"]), [], [value]
    for k, node in enumerate(record["nodes"]):
        label = " ".join([node["name"].rpartition("/")[2], *node["literals"]])
        detail = values[node["outputs"][0]] if node["outputs"] else ""
        yield Box(f"n{k}", "operation", label, detail, node["scope"]), node["inputs"], node["outputs"]
    for k, value in enumerate(record["outputs"]):
        label = "output" if len(record["outputs"]) == 1 else f"output/{k}"
        yield Box(f"o{k}", "output", label, values[value], -1), [value], []


def _around(record: dict[str, Any], box: Box, depth: int) -> Box:
    """The outermost closed scope around a box, or the box itself."""
    path: list[int] = []
    scope = box.scope
    while scope >= 0:
        path.insert(0, scope)
        scope = record["scopes"][scope]["parent"]
    if len(path) <= depth:
        return box
    closed = record["scopes"][path[depth]]
    inside = sum(_within(record, node["scope"], path[depth]) for node in record["nodes"])
    return Box(
        f"s{path[depth]}",
        "group",
        closed["name"],
        f"{inside} operation{'s' * (inside != 1)}",
        closed["parent"],
    )


def _within(record: dict[str, Any], scope: int, outer: int) -> bool:
    while scope >= 0 and scope != outer:
        scope = record["scopes"][scope]["parent"]
    return scope == outer
