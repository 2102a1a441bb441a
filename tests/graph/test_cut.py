import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import diffprog as dp
from diffprog.errors import InvalidInput
from diffprog.graph import cut, override, overrides, trace
from tests.graph.programs import PROGRAMS, Program, X


def network(params, x):
    with jax.named_scope("hidden"):
        h = jnp.tanh(x @ params["W"] + params["b"])
    with jax.named_scope("code"):
        z = jnp.sin(h)
    y = z @ params["V"]
    return {"y": y, "J": jnp.mean((y - 1.0) ** 2)}


PARAMS = {"W": X.T @ X / 40, "b": jnp.full(5, 0.1), "V": X.T / 2}
ARGS = (PARAMS, X)
EDGES = ["params['W']", "x", "hidden", "code", "params*", ["x", "params['b']"], ["hidden", "params['V']"]]


@pytest.mark.parametrize("edges", EDGES, ids=str)
def test_the_same_call_optimizes_any_edge(edges):
    problem = cut(network, edges, cost="output/0", args=ARGS)
    run = dp.optimize(problem, problem.start, optax.adam(0.05), steps=20, args=(problem.held,))
    assert run.stopped == "finished"
    assert run.history[0] == pytest.approx(float(network(*ARGS)["J"]), rel=1e-6)  # float32
    assert run.history[-1] < 0.9 * run.history[0]


def by_hand(name, array):
    """The cost with one value given, written out."""
    p = PARAMS | ({name[8:-2]: array} if name.startswith("params") else {})
    x = array if name == "x" else X
    h = array if name == "hidden" else jnp.tanh(x @ p["W"] + p["b"])
    z = array if name == "code" else jnp.sin(h)
    return jnp.mean((z @ p["V"] - 1.0) ** 2)


@pytest.mark.parametrize("name", ["params['W']", "params['b']", "params['V']", "x", "hidden", "code"])
def test_cost_and_gradient_are_those_of_the_function_written_out(name):
    problem = cut(network, name, cost="output/0", args=ARGS)
    value, slope = jax.value_and_grad(problem)(problem.start)
    expected, expected_slope = jax.value_and_grad(by_hand, argnums=1)(name, problem.start[name])
    # rtol: float32, sums in the same order up to fusion
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(slope[name], expected_slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_the_inputs_of_every_program_can_be_cut(program: Program):
    graph = trace(program.function, *program.args)
    total = lambda out: sum(leaf.sum() for leaf in jax.tree.leaves(out))  # noqa: E731
    problem = cut(graph, graph.input_names, cost=total, args=program.args)
    got = jax.tree.leaves(jax.grad(problem)(problem.start))
    expected = jax.grad(lambda args: total(program.function(*args)))(program.args)
    for a, b in zip(got, jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)  # float32, one rounding


def test_a_function_of_activations_is_a_cost():
    problem = cut(network, "x", cost=lambda h, z: -(h[0, 1] + z.sum()), of=["hidden", "code"], args=ARGS)
    h = jnp.tanh(X @ PARAMS["W"] + PARAMS["b"])
    np.testing.assert_allclose(problem(problem.start), -(h[0, 1] + jnp.sin(h).sum()), rtol=1e-6)  # float32


def test_a_function_of_the_result_is_a_cost_with_a_record():
    problem = cut(network, "x", cost=lambda out: (out["J"] ** 2, out["y"]), args=ARGS)
    run = dp.optimize(problem, problem.start, optax.sgd(0.1), steps=2)
    assert run.records.shape == (2, 3, 3)


def test_what_comes_before_an_edge_is_not_computed():
    x = jnp.ones((64, 64))
    problem = cut(lambda x: (jnp.sin(x @ x @ x)).sum(), "sin", args=(x,))
    flops = jax.jit(problem).lower(problem.start).compile().cost_analysis().get("flops", 0)
    assert flops < 2 * 64**3


def test_values_need_the_edges_names():
    problem = cut(network, "x", cost="output/0", args=ARGS)
    with pytest.raises(InvalidInput, match=r"(?s)'y'.*'x'.*problem.start"):
        problem({"y": X})
    with pytest.raises(InvalidInput, match=r"(?s)float32\[2, 5\].*float32\[3, 5\]"):
        problem({"x": X[:2]})


def stepped(x):
    return jnp.sum(jnp.round(x) ** 2), jnp.argmax(x), jnp.sum(x)


BAD = {
    "an unknown edge": (network, ARGS, "hiden", {"cost": "output/0"}, "hidden"),
    "an unknown pattern": (network, ARGS, "parms*", {"cost": "output/0"}, "params"),
    "an unknown cost": (network, ARGS, "x", {"cost": "loss"}, "no activation is called 'loss'"),
    "a cost that is not scalar": (network, ARGS, "x", {"cost": "code"}, r"\[3, 5\].*cost=lambda h: h.sum"),
    "a cost that is several": (network, ARGS, "x", {"cost": "output*"}, "2 values.*one scalar"),
    "a result that is several": (network, ARGS, "x", {}, "no activation is called 'output'"),
    "a cost function that is not scalar": (
        network,
        ARGS,
        "x",
        {"cost": lambda o: o["y"]},
        r"float32\[3, 3\]",
    ),
    "a cost function of many numbers": (
        network,
        ARGS,
        "x",
        {"cost": lambda o: [o["J"]] * 3},
        "no single number",
    ),
    "an edge after the cost": (
        network,
        ARGS,
        "code",
        {"cost": lambda h: h.sum(), "of": "hidden"},
        "does not depend",
    ),
    "an edge that the cost ignores": (
        network,
        ARGS,
        "x",
        {"cost": lambda o: 0 * jnp.ones(())},
        "does not depend",
    ),
    "an edge behind another": (
        network,
        ARGS,
        ["x", "code"],
        {"cost": "output/0"},
        "other edges that are cut",
    ),
    "only through a step": (
        stepped,
        (X,),
        "x",
        {"cost": "output/0"},
        "only through 'round.*straight_through",
    ),
    "an edge of integers": (stepped, (X,), "argmax", {"cost": "output/0"}, "integers"),
    "no edge": (network, ARGS, [], {"cost": "output/0"}, "no edge"),
}


@pytest.mark.parametrize(("function", "args", "edges", "options", "message"), BAD.values(), ids=BAD)
def test_bad_cuts_are_refused_in_words(function, args, edges, options, message):
    with pytest.raises(InvalidInput, match=f"(?s){message}"):
        cut(function, edges, args=args, **options)


def test_an_overridden_step_can_be_optimized_through():
    quantized = override(lambda x: jnp.sum((jnp.round(x) - 3.0) ** 2), {"round": overrides.straight_through})
    problem = cut(quantized, "x", args=(jnp.zeros(3),))
    run = dp.optimize(problem, problem.start, optax.sgd(0.2), steps=30)
    assert run.history[-1] == 0
