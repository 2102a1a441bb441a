"""`diffprog graph` writes what the ending says, of a network or of the user's own function."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run

OWN = """
import jax.numpy as jnp

def cost(w, x):
    return jnp.sum(jnp.tanh(x @ w))

cost_args = (jnp.ones((3, 2)), jnp.ones((4, 3)))
"""


def test_a_network_as_a_page(run: Run, folder: Path) -> None:
    result = run("graph", "squeezenet", "--out", "graph.html")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "graph.html",
        "  of      SqueezeNet 1.1",
        "  with    121 operations in 39 scopes",
    ]
    text = (folder / "graph.html").read_text()
    assert "<title>SqueezeNet 1.1</title>" in text
    assert "fire5/expand3x3/convolution" in text
    assert "in place of the one before" in run("graph", "squeezenet", "--out", "graph.html").stdout


def test_a_function_of_the_users_own(run: Run, folder: Path) -> None:
    (folder / "model.py").write_text(OWN)
    result = run("graph", "model.py:cost")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "model_cost.html"
    assert "model.py:5 (cost)" in (folder / "model_cost.html").read_text()
    assert run("graph", "model.py:cost", "-o", "cost.dot").exit_code == 0
    assert "tanh" in (folder / "cost.dot").read_text()


def test_backprop_is_watched_on_the_page(run: Run, folder: Path) -> None:
    (folder / "model.py").write_text(OWN)
    result = run("graph", "model.py:cost", "--backprop")
    assert result.exit_code == 0, result.output
    assert "3 operations, 3 steps back" in result.stdout
    assert '"g_out"' in (folder / "model_cost.html").read_text()


def test_backprop_of_a_class_of_a_network(run: Run, folder: Path) -> None:
    result = run("graph", "squeezenet", "--backprop", "--unit", "chameleon", "-o", "c.html")
    assert result.exit_code == 0, result.output
    assert "SqueezeNet 1.1, African chameleon" in result.stdout
    assert (folder / "c.html").stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("squeezenet", "--out", "graph.png"), "one that ends in .html or .svg or .dot"),
        (("squeezenet", "--out", "missing/graph.html"), "mkdir -p 'missing'"),
        (("squeezenett",), "squeezenet"),
        (("model.py:cost",), "which is not there"),
        (("model.py",), "model.py:FUNCTION"),
        (("squeezenet", "--backprop"), "--backprop --unit chameleon"),
        (("squeezenet", "--unit", "47"), "--backprop --unit 47"),
        (("squeezenet", "--backprop", "--unit", "no such class"), "no such class"),
        (("model.py:cost", "--backprop", "-o", "a.svg"), "one that ends in .html"),
        (("squeezenet", "--args", "those"), "arguments only for FILE.py:FUNCTION"),
    ],
)
def test_bad_input_is_told_in_three_parts(
    run: Run, folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = run("graph", *arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "expected:" in result.stderr
    assert "try:" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(folder.iterdir()) == []
