"""`diffprog diagnose` on files of the user's."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_bad_input import three_parts

FILE = """
import jax.numpy as jnp

def length(x):
    return jnp.sqrt(jnp.sum(x ** 2))

length_args = (jnp.zeros(3),)
elsewhere = {"x": jnp.ones(3)}

def slope(w, x):
    return jnp.mean((x @ w) ** 2)

def slope_args():
    return jnp.ones(2), jnp.eye(2)

def branches(x):
    if x.sum() > 0:
        return x.sum()
    return -x.sum()

branches_args = (jnp.ones(3),)

def vector(x):
    return x

vector_args = (jnp.ones(3),)
"""


@pytest.fixture
def model(folder: Path) -> Path:
    path = folder / "model.py"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_it_prints_the_findings_with_their_lines(run: Run, model: Path) -> None:
    result = run("diagnose", "model.py:length")
    assert result.exit_code == 0, result.stderr
    assert "error: undefined derivative at sqrt, model.py:5 (length)" in result.stdout
    assert "the norm has a kink" in " ".join(result.stdout.split())


def test_arguments_by_another_name_and_by_a_function(run: Run, model: Path) -> None:
    assert "healthy" in run("diagnose", "model.py:length", "--args", "elsewhere").stdout
    result = run("diagnose", "model.py:slope", "--argnums", 0, "--argnums", 1)
    assert result.exit_code == 0, result.stderr
    assert "healthy" in result.stdout


def test_without_products_there_are_no_eigenvalues(run: Run, model: Path) -> None:
    assert "eigenvalues" in run("diagnose", "model.py:slope").stdout
    assert "eigenvalues" not in run("diagnose", "model.py:slope", "--products", 0).stdout


BAD = {
    "no file": (("nothing.py:f",), "nothing.py"),
    "no function": (("model.py:lenght",), "length"),
    "no colon": (("model.py",), "FILE.py:FUNCTION"),
    "not a cost": (("model.py:vector",), "float32[3]"),
    "Python branches on values": (("model.py:branches",), "model.py"),
    "negative products": (("model.py:slope", "--products", -1), "--products -1"),
    "argument out of range": (("model.py:slope", "--argnums", 7), "argnums"),
    "no such arguments": (("model.py:slope", "--args", "nothing"), "nothing"),
}


@pytest.mark.parametrize(("words", "said"), BAD.values(), ids=BAD)
def test_bad_input_is_told_in_three_parts(
    run: Run, model: Path, words: tuple[object, ...], said: str
) -> None:
    result = run("diagnose", *words)
    assert result.exit_code == 2
    assert three_parts(result.stderr), result.stderr
    assert said in result.stderr
    assert not result.stdout


def test_a_failure_names_the_line_and_debug_shows_the_traceback(run: Run, model: Path) -> None:
    assert "model.py:17 (branches)" in run("diagnose", "model.py:branches").stderr
