"""`diffprog explain`: every number of the lecture's example, the user's own function, and what can be wrong."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_bad_input import three_parts

# Every computed number of the worked example, to ten decimals.
LECTURE = {
    "x1": ("W0 x0", ["(0.7000000000, 0.3000000000)^T"]),
    "x2": ("tanh(x1)", ["(0.6043677771, 0.2913126125)^T"]),
    "x3": ("W1 x2", ["0.3130551647"]),
    "L": ("1/2 (x3 - y)^2", ["0.0174741857"]),
    "dL/dx3": ("x3 - y", ["-0.1869448353"]),
    "dL/dx2": ("dL/dx3 W1", ["(-0.1869448353, 0.1869448353)"]),
    "tanh'(x1)": (
        "dx2/dx1 = diag(1 - tanh^2(x1))",
        ["[ 0.6347395900  0.0000000000 ]", "[ 0.0000000000  0.9151369618 ]"],
    ),
    "dL/dx1": ("dL/dx2 tanh'(x1)", ["(-0.1186612881, 0.1710801286)"]),
    "dL/dW0": ("x0 dL/dx1", ["[ -0.1186612881   0.1710801286 ]", "[ -0.0118661288   0.0171080129 ]"]),
    "dL/dW1": ("x2 dL/dx3", ["(-0.1129834346, -0.0544593884)^T"]),
    "W0'": ("W0 + eta (dL/dW0)^T", ["[  1.0237322576  -2.9976267742 ]", "[  0.1657839743   0.9965783974 ]"]),
    "W1'": ("W1 + eta (dL/dW1)^T", ["(1.0225966869, -0.9891081223)"]),
}


@pytest.mark.parametrize("name", LECTURE)
def test_the_lecture_s_example_has_every_number_to_ten_digits(run: Run, name: str):
    result = run("explain", "lecture", "--digits", 10)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    how, rows = LECTURE[name]
    start = f"  {name} = {how} = "
    at = lines.index(start + rows[0])
    assert lines[at + 1 : at + len(rows)] == [" " * len(start) + row for row in rows[1:]]


def test_the_example_states_what_is_given_and_the_slips_of_the_slides(run: Run):
    said = run("explain", "lecture").stdout
    for part in (
        "W0 = [   1   -3 ]\n       [ 0.2    1 ]",
        "W1 = (1, -1)",
        "x0 = (1, 0.1)^T",
        "y = 0.5",
        "eta = -0.2",
    ):
        assert part in said
    slips = (
        "printed with the factor -0.1186",
        "negative because the update",
        "does not say what m is",
        "transpose",
    )
    assert all(slip in said for slip in slips)
    assert "dL/dx3 = x3 - y = -0.1869\n" in said  # four digits, as on the slides


OWN = """
import jax.numpy as jnp

def cost(W, x):
    return jnp.sum(jnp.tanh(W @ x))

cost_args = (jnp.array([[0.5, -1.0]]), jnp.array([1.0, 0.25]))
named = {"x": jnp.array([1.0, 0.25]), "W": jnp.array([[0.5, -1.0]])}

def made():
    return list(cost_args)

def alone(x=2.0, *, power=2):
    return x ** power

alone_twice = {"x": 3.0, "power": 3}
not_a_function = 3
no_arguments = (1.0,)
failing = lambda: 1 / 0

def branching(x):
    if x > 0:
        return x
    return -x

branching_args = (1.0,)

def broken(x):
    return jnp.ones(3) @ jnp.ones(4) * x

broken_args = (1.0,)

def vector(x):
    return x

vector_args = (jnp.ones(3),)
whole_args = (3,)

def whole(n):
    return n * 2.0

def without(x):
    return x
"""


@pytest.fixture
def own(folder: Path) -> Path:
    """A file of the user's, in the current folder."""
    path = folder / "own.py"
    path.write_text(OWN, encoding="utf-8")
    return path


@pytest.mark.parametrize("options", [(), ("--args", "named"), ("--args", "made"), ("--args", "cost_args")])
def test_a_function_of_ones_own(run: Run, own: Path, options: tuple[str, ...]):
    result = run("explain", "own.py:cost", *options)
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["cost", "of", "own.py"]
    assert ["own.py:5", "(cost)", "x_in", "dot", "[0.25]"] in lines
    assert ["dJ/d", "W", "[[0.94,", "0.235]]"] in lines


def test_what_counts_as_a_parameter_and_how_many_digits_can_be_said(run: Run, own: Path):
    said = run("explain", "own.py:cost", "--parameters", "x", "--digits", 6).stdout
    assert ["dJ/d", "x", "[0.470007,", "-0.940015]"] in [line.split() for line in said.splitlines()]


def test_defaults_need_no_arguments_and_keywords_are_fixed(run: Run, own: Path):
    def gradient(*options: str) -> list[str]:
        result = run("explain", "own.py:alone", *options)
        assert result.exit_code == 0, result.stderr
        return [line.split()[-1] for line in result.stdout.splitlines() if "gradient" in line]

    assert gradient("--args", "alone_twice") == ["27"]  # 3 x^2 at 3


BAD = {
    "no such file": (("nowhere.py:cost",), "own.py"),
    "a folder": ((".:cost",), "which is a folder"),
    "no function named": (("own.py",), "own.py:FUNCTION"),
    "empty function": (("own.py:",), "FILE.py:FUNCTION"),
    "a slip": (("lectur",), "try: explain lecture"),
    "neither": (("cost",), "FILE.py:FUNCTION"),
    "another format": (("text.txt:cost",), "ending in .py"),
    "no such function": (("own.py:kost",), "cost"),
    "no function": (("own.py:not_a_function",), "which is a int"),
    "no arguments": (("own.py:without",), "without_args"),
    "no such arguments": (("own.py:cost", "--args", "nothing"), "nothing = (...)"),
    "arguments of another function": (
        ("own.py:cost", "--args", "no_arguments"),
        "missing a required argument",
    ),
    "arguments that fail": (("own.py:cost", "--args", "failing"), "line 19, which fails: ZeroDivisionError"),
    "syntax error": (("syntax.py:cost",), "line 2, which fails when imported: SyntaxError"),
    "import of what is not there": (
        ("imports.py:cost",),
        "line 1, which fails when imported: ModuleNotFoundError",
    ),
    "ends Python": (("exits.py:cost",), '__name__ == "__main__"'),
    "not text": (("binary.py:cost",), "fails when imported"),
    "untraceable": (("own.py:branching",), "own.py:22 (branching)"),
    "shapes that do not fit": (("own.py:broken",), "line 29, which fails: TypeError"),
    "a result that is no cost": (("own.py:vector",), "one real number"),
    "only integers": (("own.py:whole",), "n is int32"),
    "parameters that are none": (("own.py:cost", "--parameters", "V"), "'V', which is no argument"),
    "no digits": (("lecture", "--digits", 0), "from 1 to 17"),
    "too many digits": (("lecture", "--digits", 18), "from 1 to 17"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_said_in_three_parts(run: Run, own: Path, case: str):
    own.with_name("syntax.py").write_text("x = 1\ndef cost(:\n")
    own.with_name("imports.py").write_text("import no_such_module_anywhere\n")
    own.with_name("exits.py").write_text("import sys\nsys.exit(3)\n")
    own.with_name("binary.py").write_bytes(b"\x00\xff\xfe\x80")
    own.with_name("text.txt").write_text("words")
    arguments, said = BAD[case]
    result = run("explain", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert three_parts(result.stderr), result.stderr
    assert said in result.stderr


def test_debug_shows_where_it_happened(run: Run, own: Path):
    result = run("explain", "own.py:broken", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr and "own.py" in result.stderr


def test_a_file_may_import_its_neighbours_and_be_called_like_a_module_of_ours(run: Run, folder: Path):
    (folder / "neighbour_of_it.py").write_text("factor = 3.0\n")
    (folder / "jax.py").write_text(
        "from neighbour_of_it import factor\ndef f(x): return factor * x\nf_args = (2.0,)\n"
    )
    result = run("explain", "jax.py:f")
    assert result.exit_code == 0, result.stderr
    import jax

    assert hasattr(jax, "grad")
