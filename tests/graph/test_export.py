"""DOT that Graphviz's language admits, SVG that is well formed, and saving by the ending."""

import importlib
import warnings
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import pytest

from diffprog.errors import InvalidInput, Unreachable
from diffprog.graph import backprop, trace
from diffprog.graph.pages.export import save, to_dot, to_svg
from diffprog.graph.pages.record import describe
from tests.graph.programs import PROGRAMS
from tests.graph.test_page_in_browser import DEEP, V, W, X, branch_and_merge, deep, network

SVG = "{http://www.w3.org/2000/svg}"
PARAMS = {"W": W, "V": V}


def parsed(dot):
    pydot = pytest.importorskip("pydot")
    with warnings.catch_warnings():  # pydot uses old names of the parser that it is made of
        warnings.simplefilter("ignore", DeprecationWarning)
        (graph,) = pydot.graph_from_dot_data(dot)
    return graph


def all_nodes(graph):
    own = [node for node in graph.get_nodes() if node.get_name() != "node"]
    return own + [node for inner in graph.get_subgraphs() for node in all_nodes(inner)]


def texts(svg):
    return [part.text for part in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_every_program_is_told_to_graphviz(program):
    graph = trace(program.function, *program.args)
    found, record = parsed(to_dot(graph)), describe(graph)
    entries = len(record["nodes"]) + len(record["arguments"]) + len(record["constants"])
    assert len(all_nodes(found)) == entries + len(record["outputs"])
    names = {node.get_name() for node in all_nodes(found)}
    assert {end for edge in found.get_edges() for end in (edge.get_source(), edge.get_destination())} <= names


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_every_program_has_a_picture(program):
    pytest.importorskip("fast_sugiyama")
    graph = trace(program.function, *program.args)
    root = ElementTree.fromstring(to_svg(graph, depth=9))
    record = describe(graph)
    entries = len(record["nodes"]) + len(record["arguments"]) + len(record["constants"])
    assert len(list(root.iter(f"{SVG}g"))) == entries + len(record["outputs"])


def test_scopes_are_clusters():
    graph = parsed(to_dot(trace(branch_and_merge, PARAMS, X)))
    labels = [inner.get_label().strip('"') for inner in graph.get_subgraphs()]
    assert labels == ["trunk", "left", "right"]


def test_names_of_any_letters_are_kept():
    strange = 'a "quoted" \\n <b>&amp; name'

    def function(x):
        with jax.named_scope(strange):
            return jnp.tanh(jnp.sin(x))

    graph = trace(function, 1.0)
    (cluster,) = parsed(to_dot(graph)).get_subgraphs()
    assert cluster.get_label() == '"a \\"quoted\\" \\\\n <b>&amp; name"'
    pytest.importorskip("fast_sugiyama")
    assert strange in texts(to_svg(graph, depth=0))


def test_boxes_of_a_picture_lie_apart_and_lines_end_at_them():
    pytest.importorskip("fast_sugiyama")
    root = ElementTree.fromstring(to_svg(trace(branch_and_merge, PARAMS, X), depth=1))
    places = [rect.attrib for group in root.iter(f"{SVG}g") for rect in group.iter(f"{SVG}rect")]
    boxes = [tuple(float(place[key]) for key in ("x", "y", "width", "height")) for place in places]
    assert len(boxes) == 12
    for k, (x, y, w, h) in enumerate(boxes):
        assert x >= 0
        assert x + w <= float(root.get("width"))
        assert y + h <= float(root.get("height"))
        for p, q, v, u in boxes[k + 1 :]:
            assert x + w <= p or p + v <= x or y + h <= q or q + u <= y
    lines = [path.get("d") for path in root.findall(f"{SVG}path")]
    assert len(lines) == 14
    for line in lines:
        x, y = (float(entry) for entry in line.rpartition("C")[2].split()[-2:])
        assert any(abs(y - q) < 0.2 and p <= x <= p + v for p, q, v, _ in boxes)  # on top of a box


def test_a_picture_of_a_network_closes_what_is_too_much():
    pytest.importorskip("fast_sugiyama")
    graph = network("squeezenet")
    assert "fire5" in texts(to_svg(graph))
    assert "fire5/squeeze" in texts(to_svg(graph, depth=1))
    assert len(texts(to_svg(graph, depth=9))) > 300
    assert "fire5/squeeze" not in texts(to_svg(graph))


def test_parts_that_nothing_connects_stand_side_by_side():
    pytest.importorskip("fast_sugiyama")
    found = texts(to_svg(trace(lambda x, y, z: (jnp.sin(x), jnp.cos(y), 1.0), 1.0, 2.0, 3.0)))
    assert {"sin", "cos"} <= set(found)
    assert any(text.startswith("z ") for text in found)


def test_a_program_of_no_operations_is_drawn_too():
    pytest.importorskip("fast_sugiyama")
    assert len(texts(to_svg(trace(lambda x: x, 1.0)))) == 2
    assert len(texts(to_svg(trace(lambda x: jnp.tanh(2.0), 1.0)))) > 1
    assert to_svg(trace(lambda: ())).startswith("<svg")


def test_without_the_layout_package_the_error_says_what_to_do(monkeypatch, tmp_path):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    graph = trace(jnp.tanh, 1.0)
    with pytest.raises(InvalidInput, match=r'pip install "diffprog\[svg\]"'):
        graph.save(tmp_path / "graph.svg")
    assert list(tmp_path.iterdir()) == []
    assert graph.save(tmp_path / "graph.dot").read_text().startswith("digraph {")


def test_the_ending_says_what_is_written(tmp_path):
    pytest.importorskip("fast_sugiyama")
    graph = trace(branch_and_merge, PARAMS, X)
    starts = {
        "graph.html": "<!doctype html>",
        "graph.svg": "<svg",
        "graph.dot": "digraph {",
        "BIG.SVG": "<svg",
    }
    for name, start in starts.items():
        assert graph.save(tmp_path / name, title="mine").read_text().startswith(start)
    assert "<title>mine</title>" in (tmp_path / "graph.html").read_text()


def test_what_cannot_be_written_is_refused(tmp_path):
    graph = trace(jnp.tanh, 1.0)
    with pytest.raises(InvalidInput, match=r"\.html or \.svg or \.dot"):
        graph.save(tmp_path / "graph.png")
    with pytest.raises(Unreachable, match="no folder"):
        graph.save(tmp_path / "missing" / "graph.dot")
    with pytest.raises(InvalidInput, match="a number of levels"):
        to_svg(graph, depth=-1)
    with pytest.raises(InvalidInput, match="can show them"):
        save(graph, tmp_path / "graph.svg", backprop(deep, DEEP, X[:, :4]).steps)
