"""What a page says, as data, and how it is written; what it does in a browser is in test_page_in_browser.py."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from diffprog.errors import InvalidInput, Unreachable
from diffprog.graph import backprop, trace
from diffprog.graph.pages.page import page, write_page
from diffprog.graph.pages.record import describe, number, scope_path
from diffprog.graph.pages.steps import describe_steps, mathml, summarize
from diffprog.rules.book import BOOK
from tests.graph.programs import PROGRAMS
from tests.graph.test_page_in_browser import DEEP, V, W, X, branch_and_merge, deep, network

PARAMS = {"W": W, "V": V}


def record_in(text):
    found = re.search(r'<script type="application/json" id="record">(.*?)</script>', text, re.S)
    return json.loads(found[1])


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_every_program_has_a_page_with_all_its_operations(program):
    graph = trace(program.function, *program.args)
    record = record_in(page(graph))
    assert record == json.loads(json.dumps(describe(graph)))
    assert [node["name"] for node in record["nodes"]] == [node.name for node in graph.nodes]
    made = {v for node in record["nodes"] for v in node["outputs"]}
    given_values = {item["value"] for item in record["arguments"] + record["constants"]}
    for node in record["nodes"]:
        assert set(node["inputs"]) <= made | given_values
    for number_, scope in enumerate(record["scopes"]):
        assert scope["parent"] < number_


def test_scopes_are_those_of_the_names_with_their_visits():
    def twice(x):
        for _ in range(2):
            with jax.named_scope("block"):
                x = jax.nn.silu(x @ V)
            x = x + 1.0
        return x

    graph = trace(twice, X[:, :4])
    paths = dict.fromkeys(scope_path(node) for node in graph.nodes)
    assert {("block",), ("block#2",)} <= set(paths)
    for node in graph.nodes:
        assert node.name.startswith("/".join(scope_path(node)))


def test_a_parameter_is_in_the_innermost_scope_around_all_that_use_it():
    record = describe(trace(branch_and_merge, PARAMS, X))
    scopes = {entry["name"]: entry["scope"] for entry in record["arguments"]}
    assert record["scopes"][scopes["params['W']"]]["name"] == "trunk"
    assert scopes["params['V']"] == -1  # used in two scopes
    assert scopes["x"] == -1
    assert [entry["kind"] for entry in record["arguments"]] == ["parameter", "parameter", "input"]


def test_the_steps_carry_the_sweep_as_it_is():
    steps = backprop(branch_and_merge, PARAMS, X)
    record = describe_steps(steps.steps, steps.graph.input_names)
    assert [step["node"] for step in record["steps"]] == [step.number for step in steps.steps]
    for told, step in zip(record["steps"], steps.steps, strict=True):
        for what in ("x_in", "parameters", "x_out", "g_out", "g_in", "g_parameters"):
            for flow, own in zip(told[what], getattr(step, what), strict=True):
                assert flow["name"] == own.name
                shown = record["arrays"][flow["array"]]
                assert float(shown["norm"]) == pytest.approx(float(jnp.linalg.norm(own.array)), rel=1e-5)
    for variable in steps.variables:
        total = record["arrays"][record["totals"][variable.name]]
        rows = np.array(total["rows"], dtype=float)
        np.testing.assert_allclose(rows, variable.gradient, rtol=1e-5, atol=1e-6)  # printed with six digits


def test_small_arrays_are_printed_and_large_ones_summarized():
    small, large = summarize(np.arange(6.0).reshape(2, 3)), summarize(np.arange(1000.0))
    assert small["rows"] == [["0", "1", "2"], ["3", "4", "5"]]
    assert "rows" not in large
    assert large["range"] == ["0", "999"]
    assert large["zeros"] == "0.1 %"
    assert large["type"] == "float64[1000]"


@settings(max_examples=40)
@given(arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(width=64)))
def test_summaries_hold_whatever_the_numbers(array):
    summary = summarize(array)
    finite = array[np.isfinite(array)]
    assert json.dumps(summary)
    assert summary.get("not finite", 0) == len(array) - len(finite)
    assert ("range" in summary) == bool(len(finite))
    largest = float(np.abs(finite).max(initial=0.0))
    root = float(np.sqrt(len(array))) * (1 + 1e-5)  # six digits are printed
    if largest * root < np.finfo(np.float64).max:
        assert largest * (1 - 1e-5) <= float(summary["norm"]) <= largest * root


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 3)), np.array(7), np.array([True, False]), jnp.ones(2, jnp.bfloat16), np.array(1 + 2j)],
)
def test_arrays_of_all_kinds_have_a_summary(array):
    assert json.dumps(summarize(array))
    assert summarize(array)["type"].startswith(str(array.dtype))


def test_a_random_key_is_named_and_not_opened():
    def cost(key, x):
        return jnp.sum(x * jax.random.bernoulli(key, 0.5, x.shape))

    steps = backprop(cost, jax.random.key(0), X)
    record = record_in(page(steps.graph, steps.steps))
    assert record["arguments"][0]["name"] == "key"
    assert summarize(jax.random.key(0)) == {"type": "key[]"}


def test_numbers_are_short():
    assert [number(x) for x in (1.0, 1 / 3, 1e-12, float("nan"), 3)] == ["1", "0.333333", "1e-12", "nan", "3"]


def test_all_formulas_of_the_book_become_mathml():
    for rule in BOOK:
        for formula in (rule.forward, rule.backward):
            found = mathml(formula)
            assert found.startswith("<math"), formula
            assert "\\" not in found, formula


def test_a_formula_that_cannot_be_read_is_shown_as_it_is():
    assert mathml(r"\frac{") == ""


def test_a_page_fetches_nothing_and_runs_only_its_own_scripts():
    text = page(trace(branch_and_merge, PARAMS, X))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(r'(src|href)="', text.split('id="record"')[0])


def test_the_page_of_a_real_network_is_small(tmp_path):
    path = write_page(network("efficientnet-lite0"), tmp_path / "page.html")
    assert path.stat().st_size < 300_000  # 5 MB are allowed with all numbers of a sweep


def test_a_long_sweep_prints_less(monkeypatch):
    monkeypatch.setattr("diffprog.graph.pages.steps.MANY_STEPS", 5)
    steps = backprop(deep, DEEP, X[:, :4])
    assert (
        max(len(a["rows"]) * len(a["rows"][0]) for a in describe_steps(steps.steps)["arrays"] if "rows" in a)
        <= 4
    )


def test_files_appear_whole_or_not_at_all(tmp_path, monkeypatch):
    graph, path = trace(branch_and_merge, PARAMS, X), tmp_path / "graph.html"
    path.write_text("before")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            write_page(graph, path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    assert backprop(branch_and_merge, PARAMS, X).save(path, title="A & B") == path
    assert "<title>A &amp; B</title>" in path.read_text()


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [("graph.pdf", InvalidInput, "ends in .html"), ("missing/graph.html", Unreachable, "mkdir -p")],
)
def test_a_path_that_cannot_be_is_refused(tmp_path, name, kind, said):
    with pytest.raises(kind, match=said):
        write_page(trace(jnp.tanh, 1.0), tmp_path / name)
