"""A graph as an SVG picture: boxes in ranks from top to bottom, and smooth lines between them.

fast-sugiyama finds the places. It is an extra of this package, since it is compiled and not there for every machine;
the page and DOT need nothing of the kind.
"""

from __future__ import annotations

import importlib
import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

from diffprog.errors import InvalidInput
from diffprog.graph.pages.collapse import Box, View

_LETTER, _SMALL_LETTER = 7.8, 6.6  # widths that no common font exceeds on average, at 13 and 11 pixels
_PADDING, _HEIGHT, _PILL, _GAP, _RANK, _MARGIN = 12.0, 46.0, 26.0, 26.0, 88.0, 20.0
_COLOURS = {
    "operation": ("#ffffff", "#9aa5b3"),
    "group": ("#f0f3f8", "#6b7c93"),
    "input": ("#e1edff", "#5b95e8"),
    "parameter": ("#fff3d6", "#d9a531"),
    "constant": ("#eef0f3", "#b4bcc7"),
    "output": ("#dff5ea", "#35a777"),
}
_ROUND = ("input", "parameter", "constant", "output")
_FONT = "ui-sans-serif, system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

Point = tuple[float, float]


class _Plan(NamedTuple):
    """Centres of all boxes, and for every edge the points that it goes through."""

    centres: dict[str, Point]
    bends: dict[tuple[str, str], list[Point]]
    width: float
    height: float


def draw(view: View) -> str:
    """The picture as the text of an SVG file.

    Raises:
        InvalidInput: fast-sugiyama is not installed.
    """
    boxes = {box.id: box for box in view.boxes}
    plan = _plan(view)
    width, height = f"{plan.width:.0f}", f"{plan.height:.0f}"
    root = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", width=width, height=height)
    root.set("viewBox", f"0 0 {width} {height}")
    root.set("font-family", _FONT)
    ElementTree.SubElement(root, "rect", width="100%", height="100%", fill="#ffffff")
    _arrow(root)
    for edge in view.edges:
        _line(root, boxes, plan, edge)
    for box in view.boxes:
        _box(root, box, plan.centres[box.id])
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def _plan(view: View) -> _Plan:
    """Ranks from top to bottom; parts that nothing connects stand side by side."""
    step = max(map(_width, view.boxes), default=0.0) + _GAP
    connected = list(dict.fromkeys(end for edge in view.edges for end in edge))
    number = {name: k for k, name in enumerate(connected)}
    alone: list[Any] = [([(box.id, (0.0, 0.0))], step, 0.0, []) for box in view.boxes if box.id not in number]
    found = _layout_library()(
        [(number[a], number[b]) for a, b in view.edges], vertex_spacing=step, dummy_vertices=True
    )
    centres: dict[str, Point] = {}
    bends: dict[tuple[str, str], list[Point]] = {}
    left, lowest = _MARGIN, 0.0
    for positions, _, height, links in [*found, *alone]:
        start = min(x for _, (x, _) in positions)
        at = {
            n: (left + step / 2 + x - start, _MARGIN + (height - y) / step * _RANK) for n, (x, y) in positions
        }
        names = dict(enumerate(connected)) | {n: n for n in at if isinstance(n, str)}
        centres.update((names[n], (x, y + _HEIGHT / 2)) for n, (x, y) in at.items() if n in names)
        bends.update(_bends(links, at, names))
        left = max(x for x, _ in at.values()) + step / 2
        lowest = max(lowest, *(y for _, y in at.values()))
    return _Plan(centres, bends, left + _MARGIN, lowest + _HEIGHT + _MARGIN)


def _bends(
    links: Sequence[tuple[Any, Any]], at: dict[Any, Point], names: dict[Any, str]
) -> dict[tuple[str, str], list[Point]]:
    """Long edges come as links through places that are no boxes: those are where they bend."""
    after = defaultdict(list)
    for a, b in links:
        after[a].append(b)
    bends = {}
    for a in [n for n in after if n in names]:
        for b in after[a]:
            through = []
            while b not in names:
                through.append((at[b][0], at[b][1] + _HEIGHT / 2))
                (b,) = after[b]
            bends[names[a], names[b]] = through
    return bends


def _layout_library() -> Any:
    try:
        return importlib.import_module("fast_sugiyama").from_edges
    except ImportError:
        raise InvalidInput(
            "an SVG without the package that finds the places in it",
            "fast-sugiyama, which this installation does not have",
            'pip install "diffprog[svg]", or a page (.html), where "Save SVG" makes one',
        ) from None


def _width(box: Box) -> float:
    if box.kind in _ROUND:
        return len(box.label) * _SMALL_LETTER + len(box.detail) * _SMALL_LETTER + 3 * _PADDING
    return max(len(box.label) * _LETTER, len(box.detail) * _SMALL_LETTER) + 2 * _PADDING


def _box(root: ElementTree.Element, box: Box, centre: Point) -> None:
    fill, stroke = _COLOURS[box.kind]
    round_ = box.kind in _ROUND
    width, height = _width(box), _PILL if round_ else _HEIGHT
    x, y = centre[0] - width / 2, centre[1] - height / 2
    corner = height / 2 if round_ else 7
    style = {"fill": fill, "stroke": stroke, "stroke-width": "1.2", "rx": _text(corner)}
    group = ElementTree.SubElement(root, "g")
    place = {"x": _text(x), "y": _text(y), "width": _text(width), "height": _text(height)}
    ElementTree.SubElement(group, "rect", {**place, **style})
    if round_:
        words = f"{box.label}  {box.detail}"
        _words(group, words, (centre[0], centre[1] + 4), 11, "#1c2430")
        return
    _words(group, box.label, (centre[0], centre[1] - 4), 13, "#1c2430", "600")
    _words(group, box.detail, (centre[0], centre[1] + 13), 11, "#5b6776")


def _words(
    parent: ElementTree.Element, words: str, at: Point, size: int, colour: str, weight: str = "400"
) -> None:
    style = {"font-size": str(size), "fill": colour, "font-weight": weight, "text-anchor": "middle"}
    ElementTree.SubElement(parent, "text", {"x": _text(at[0]), "y": _text(at[1]), **style}).text = words


def _line(root: ElementTree.Element, boxes: dict[str, Box], plan: _Plan, edge: tuple[str, str]) -> None:
    a, b = edge
    (ax, ay), (bx, by) = plan.centres[a], plan.centres[b]
    points = [(ax, ay + _half(boxes[a])), (ax, ay + _HEIGHT / 2)]
    for x, y in plan.bends.get(edge, []):
        points += [(x, y - _HEIGHT / 2), (x, y + _HEIGHT / 2)]
    points += [(bx, by - _HEIGHT / 2), (bx, by - _half(boxes[b]))]
    style = {"fill": "none", "stroke": "#9aa5b3", "stroke-width": "1.4", "marker-end": "url(#arrow)"}
    ElementTree.SubElement(root, "path", {"d": _curve(points), **style})


def _half(box: Box) -> float:
    return (_PILL if box.kind in _ROUND else _HEIGHT) / 2


def _curve(points: Sequence[Point]) -> str:
    """Straight through ranks, bent between them."""
    path = f"M{_text(points[0][0])} {_text(points[0][1])}"
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        if (ax, ay) == (bx, by):
            continue
        middle = _text((ay + by) / 2)
        path += f"C{_text(ax)} {middle} {_text(bx)} {middle} {_text(bx)} {_text(by)}"
    return path


def _arrow(root: ElementTree.Element) -> None:
    shape = {"viewBox": "0 0 8 8", "refX": "7", "refY": "4", "markerWidth": "9", "markerHeight": "9"}
    place = {"id": "arrow", "orient": "auto", "markerUnits": "userSpaceOnUse", **shape}
    marker = ElementTree.SubElement(ElementTree.SubElement(root, "defs"), "marker", place)
    ElementTree.SubElement(marker, "path", d="M0.5 0.8 7.5 4 0.5 7.2 2 4z", fill="#9aa5b3")


def _text(number: float) -> str:
    return f"{number:.1f}"
