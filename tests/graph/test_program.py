import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.graph import trace
from tests.graph.programs import MLP_PARAMS, PROGRAMS, X, chain, mlp


def test_printing_a_graph_lists_its_layers():
    assert str(trace(chain, X)) == (
        "sin   float32  [3, 5]  sin\ntanh  float32  [3, 5]  tanh\nexp   float32  [3, 5]  exp"
    )
    assert repr(trace(chain, X)) == "<Graph of 3 operations, 3 layers>"


def test_match_finds_names_by_pattern_in_order():
    graph = trace(PROGRAMS["nnx"].function, X)
    assert graph.match("blocks/?/linear") == ("blocks/0/linear", "blocks/1/linear")
    assert graph.match("stem") == ("stem",)


@pytest.mark.parametrize(
    "ask", [lambda graph: graph.match("steem*"), lambda graph: graph.run(X, taps="steem")]
)
def test_an_unknown_name_is_answered_with_the_nearest_ones(ask):
    with pytest.raises(InvalidInput, match=r"(?s)'steem.*such as stem.*print\(graph\).*graph.match"):
        ask(trace(PROGRAMS["nnx"].function, X))


@pytest.mark.parametrize("args", [(X[:2],), (X.astype(int),), (X, X), ()])
def test_other_arguments_than_the_traced_ones_are_refused(args):
    with pytest.raises(InvalidInput, match=r"(?s)float32\[3, 5\].*trace the function again"):
        trace(chain, X).run(*args)


def test_other_constants_than_the_graph_s_are_refused():
    graph = trace(PROGRAMS["branch_and_merge"].function, X)
    with pytest.raises(InvalidInput, match=r"(?s)1 constants.*2 constants, as in graph.consts"):
        graph.run(X, consts=graph.consts[:1])


def test_numpy_arrays_and_numbers_are_arguments():
    np.testing.assert_array_equal(trace(chain, X).run(np.asarray(X, np.float32))[0], chain(X))
    assert trace(chain, 0.5).run(0.5)[0] == chain(0.5)


def test_work_that_nothing_needs_is_removed_by_the_compiler():
    x = jnp.ones((64, 64))
    graph = trace(lambda x: jnp.sin(x) @ x @ x @ x, x)

    def flops(function):
        return jax.jit(function).lower(x).compile().cost_analysis().get("flops", 0)

    tapped, whole = flops(lambda x: graph.run(x, taps="sin")[1]), flops(lambda x: graph.run(x)[0])
    assert tapped <= x.size < 3 * 2 * 64**3 <= whole


def test_gradients_reach_parameters_and_activations():
    graph = trace(mlp, MLP_PARAMS, X)
    gradient = jax.grad(lambda params: graph.run(params, X, taps="relu")[1]["relu"].sum())(MLP_PARAMS)
    assert gradient[0][0].any()
    assert not gradient[1][0].any()  # comes after the tap


def cost(params, x, *rest):
    hidden = jax.nn.relu(x @ params["W"])
    return jnp.sum(hidden) + rest[0]


COST_ARGS = ({"W": jnp.ones((3, 2))}, jnp.ones((4, 3)), jnp.ones(()))


def test_arguments_are_named_as_the_function_calls_them():
    graph = trace(cost, *COST_ARGS)
    assert graph.input_names == ("params['W']", "x", "rest[0]")
    assert graph.match("params['?']") == ("params['W']",)


def test_every_operation_says_its_line():
    sources = {node.operation: node.source for node in trace(cost, *COST_ARGS).nodes}
    first = inspect.getsourcelines(cost)[1]
    assert {sources["dot"].line, sources["relu"].line} == {first + 1}
    assert str(sources["add"]) == f"test_program.py:{first + 2} (cost)"


def test_a_replaced_value_is_gone_on_with():
    graph = trace(cost, *COST_ARGS)
    hidden = jnp.full((4, 2), 7.0)
    out, taps = graph.run(*COST_ARGS, replace={"relu": hidden}, taps=["relu", "dot"])
    assert out == 8 * 7.0 + 1
    assert (taps["relu"] == hidden).all() and (taps["dot"] == 3).all()
    slope = jax.grad(lambda h: graph.run(*COST_ARGS, replace={"relu": h})[0])(hidden)
    assert (slope == 1).all()


def test_a_replacement_of_another_shape_is_refused():
    graph = trace(cost, *COST_ARGS)
    with pytest.raises(InvalidInput, match=r"(?s)float32\[2\].*float32\[4, 2\]"):
        graph.run(*COST_ARGS, replace={"relu": jnp.ones(2)})
    with pytest.raises(InvalidInput, match=r"'relu' that is a list"):
        graph.run(*COST_ARGS, replace={"relu": [1.0, 2.0]})


def test_a_graph_without_names_says_so():
    with pytest.raises(InvalidInput, match="which has none"):
        trace(lambda: None).find("output")
