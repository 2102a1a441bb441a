import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from diffprog.errors import InvalidInput
from diffprog.graph import trace
from tests.graph.programs import PROGRAMS, W2, X


def collatz(x):
    return lax.while_loop(lambda s: s[1].sum() > 1.0, lambda s: (s[0] + 1, jnp.sin(s[1])), (0, x))


def nested(x):
    def step(carry, row):
        return lax.cond(row.sum() > 0, jnp.sin, lambda c: jnp.cos(c) * 2.0, carry), row.max()

    return lax.scan(step, x[0], x)


def layers(graph):
    return [layer.name for layer in graph.layers]


def test_the_body_of_a_scan_is_a_graph_that_runs():
    body = trace(PROGRAMS["scan"].function, X).open("scan")
    assert body.input_names == ("const", "carry")
    carry = X @ jnp.ones((5, 4))
    (new, total), taps = body.run(W2, carry, taps="dot")
    np.testing.assert_allclose(new, jnp.tanh(carry @ W2), rtol=1e-6)  # float32
    np.testing.assert_allclose(total, carry.sum(), rtol=1e-6)
    np.testing.assert_allclose(taps["dot"], carry @ W2, rtol=1e-6)


def test_a_while_loop_has_a_condition_and_a_body():
    graph = trace(collatz, X)
    assert graph.open("while/body").input_names == ("carry[0]", "carry[1]")
    (count, x), _ = graph.open("while/body").run(np.int32(3), X)
    assert count == 4
    np.testing.assert_array_equal(x, jnp.sin(X))
    assert [bool(graph.open("while/condition").run(np.int32(0), x)[0][0]) for x in (X + 9, X - 9)] == [
        True,
        False,
    ]


def test_branches_are_opened_by_number_and_programs_in_programs_by_a_path():
    graph = trace(nested, X)
    assert graph.open("scan").input_names == ("carry", "x")
    assert layers(graph.open("scan/cond/branch_0")) == ["cos", "output"]
    assert layers(graph.open("scan/cond/branch_1")) == ["sin"]


@pytest.mark.parametrize(
    ("program", "path", "inside"),
    [
        ("checkpoint", "checkpoint", "dot"),
        ("custom_rules", "doubled_backward", "sin"),
        ("linen", "blocks/0/relu", "relu/max"),
    ],
)
def test_checkpoints_and_custom_derivatives_are_opened(program, path, inside):
    graph = trace(PROGRAMS[program].function, *PROGRAMS[program].args)
    assert inside in graph.open(path).names


def test_names_inside_are_the_same_in_every_trace():
    first, second = (trace(nested, X).open("scan/cond/branch_0") for _ in range(2))
    assert list(first.names) == list(second.names)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("scam", "nothing to open is called 'scam'.*such as scan"),
        ("scan/cond", r"'scan/cond' holds 2 programs.*'scan/cond/branch_0'.*'scan/cond/branch_1'"),
        ("scan/cond/branch_7", "holds 2 programs"),
        ("scan/reduce_sum", "nothing to open"),
    ],
)
def test_what_cannot_be_opened_is_told(path, message):
    with pytest.raises(InvalidInput, match=f"(?s){message}"):
        trace(nested, X).open(path)


def test_a_graph_with_nothing_inside_says_so():
    with pytest.raises(InvalidInput, match="this graph has none"):
        trace(jnp.sin, X).open("sin")
