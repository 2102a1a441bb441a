"""The watched sweep is jax.grad's, on every program of the table and on real networks; and it says what it did."""

import functools
import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog import rules
from diffprog.errors import InvalidInput
from diffprog.graph import backprop, trace
from diffprog.graph.sweeps.sweep import plan_sweep, sweep
from tests.graph.programs import LINEN, LINEN_PARAMS, NNX, PROGRAMS, Program, X

pytestmark = pytest.mark.usefixtures("x64")

# The sweep is compiled as one program and jax.grad as another, and the compiler may fuse and add differently.
MOST_RELATIVE = 1e-12


def wide(tree):
    """The same arguments in float64."""
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, np.float64)), tree)


def cost_of(function):
    """The sum of all results, under the names of the function's arguments."""

    @functools.wraps(function)
    def cost(*args):
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(function(*args)))

    return cost


def gradient(function, args):
    return jax.jit(jax.grad(function, tuple(range(len(args)))))(*args)


def differences(got, expected):
    """The largest difference in every leaf, relative to the largest entry there."""
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    pairs = zip(*(map(np.asarray, jax.tree.leaves(tree)) for tree in (got, expected)), strict=True)
    return [float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-300)) for a, b in pairs]


every_program = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)


@every_program
def test_the_sweep_is_jax_grad(program: Program):
    args, cost = wide(program.args), cost_of(program.function)
    steps = backprop(cost, *args)
    expected = gradient(cost, args)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected)) > 0.01
    assert max(differences(steps.gradients, expected)) <= MOST_RELATIVE
    np.testing.assert_allclose(steps.value, cost(*args), rtol=MOST_RELATIVE)


@every_program
def test_operation_by_operation_the_sweep_is_jax_grad_to_the_last_bit(program: Program):
    """Nothing is fused here. A tape adds the terms of a value with several uses in one order, ours, too."""
    args, cost = wide(program.args), cost_of(program.function)
    graph = trace(cost, *args)
    with jax.disable_jit():
        totals = sweep(graph, plan_sweep(graph), graph.leaves(*args)).totals
        expected = jax.grad(lambda *args: graph.run(*args)[0], tuple(range(len(args))))(*args)
    for i, leaf in zip(graph.inputs, jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(totals[i], leaf)


def test_a_module_s_arrays_are_parameters_wherever_it_keeps_them():
    for args, function in (((LINEN_PARAMS, X), LINEN.apply), ((NNX, X), lambda module, x: module(x))):
        args = wide(args)
        steps = backprop(cost_of(function), *args)
        assert max(differences(steps.gradients, gradient(cost_of(function), args))) <= MOST_RELATIVE
        assert [v.is_parameter for v in steps.variables] == [True] * (len(steps.variables) - 1) + [False]


def test_an_equinox_module_as_an_argument():
    """Its activation functions are leaves of the pytree, and have no gradient."""
    module = eqx.nn.MLP(5, 2, 4, 2, key=jax.random.key(0))
    x = wide(X[0])
    steps = backprop(cost_of(lambda module, x: module(x)), module, x)
    expected = eqx.filter_jit(eqx.filter_grad(lambda both: cost_of(lambda module, x: module(x))(*both)))(
        (module, x)
    )
    assert max(differences(steps.gradients, expected)) <= MOST_RELATIVE
    assert [v.name for v in steps.variables if v.is_parameter][:2] == [
        "module.layers[0].weight",
        "module.layers[0].bias",
    ]
    rebuilt = eqx.apply_updates(module, steps.gradients[0])
    assert rebuilt(x).shape == (2,)


def test_every_step_has_the_six_arrays_of_a_layer():
    W, x = jnp.array([[1.0, -3.0], [0.2, 1.0]]), jnp.array([1.0, 0.1])

    def cost(W, x):
        return jnp.sum(rules.tanh(rules.linear(x, W)))

    step = backprop(cost, W, x)["dot_general"]
    (x_in,), (parameter,), (x_out,) = step.x_in, step.parameters, step.x_out
    (g_out,), (g_in,), (g_W,) = step.g_out, step.g_in, step.g_parameters
    assert (x_in.name, parameter.name, x_out.name, g_out.name) == ("x", "W", "dot_general", "dot_general")
    # rtol: 1 - tanh^2 loses the digits that tanh shares with 1
    np.testing.assert_allclose(x_out.array, x @ W, rtol=1e-13)
    np.testing.assert_allclose(g_out.array, 1 - jnp.tanh(x @ W) ** 2, rtol=1e-13)
    np.testing.assert_allclose(g_in.array, W @ g_out.array, rtol=1e-13)
    np.testing.assert_allclose(g_W.array, jnp.outer(x, g_out.array), rtol=1e-13)
    assert step.rule == "dot_general"
    assert step.source.line == inspect.getsourcelines(cost)[1] + 1
    assert (step.operation, step.serves) == ("dot_general", 2)


def test_at_a_join_every_contribution_and_their_sum():
    def cost(x):
        h = jnp.tanh(x)
        return jnp.sum(jnp.sin(h) + h * h)

    x = jnp.array([0.3, -0.7])
    step = backprop(cost, x)["tanh"]
    h = jnp.tanh(x)
    terms = {term.consumer: term.array for term in step.contributions[0]}
    assert set(terms) == {"sin", "mul"} and len(step.contributions[0]) == 3  # h * h uses h twice
    np.testing.assert_allclose(terms["sin"], jnp.cos(h), rtol=1e-13)
    np.testing.assert_allclose(terms["mul"], h, rtol=1e-13)
    np.testing.assert_array_equal(step.g_out[0].array, sum(term.array for term in step.contributions[0]))


def test_a_shared_parameter_gets_the_sum_of_its_copies_gradients():
    x, W = jnp.array([0.5, -1.0, 2.0]), jax.random.normal(jax.random.key(0), (3, 3))

    def unshared(W1, W2, W3):
        return jnp.sum(jnp.tanh(W3 @ jnp.tanh(W2 @ jnp.tanh(W1 @ x))))

    shared = backprop(lambda W: unshared(W, W, W), W).variable("W")
    copies = gradient(unshared, (W, W, W))
    assert [term.consumer for term in shared.contributions] == ["dot_2", "dot_1", "dot"]
    for term, copy in zip(shared.contributions, reversed(copies), strict=True):
        np.testing.assert_allclose(term.array, copy, rtol=1e-14)  # fused differently: a rounding or two
    np.testing.assert_allclose(shared.gradient, sum(copies), rtol=1e-14)


@pytest.mark.parametrize("depth", [1, 2, 5, 10])
def test_products_are_linear_in_depth_and_without_reuse_quadratic(depth):
    def cost(params, x):
        for w in params:
            x = w * x  # each layer has two edges, one to its parameter and one to the layer before
        return x

    steps = backprop(cost, [jnp.float64(0.9)] * depth, jnp.float64(2.0))
    assert steps.products == 2 * depth
    # the parameter of layer l needs the product of depth - l + 1 factors, and x that of all
    assert steps.naive_products == depth * (depth + 1) // 2 + depth
    assert [step.serves for step in steps.steps] == list(range(depth + 1, 1, -1))


def test_nodes_that_no_argument_reaches_or_the_cost_does_not_need_are_skipped():
    def cost(x):
        constant = jnp.exp(jnp.arange(3.0))
        jnp.sin(x)
        return jnp.sum(x * constant)

    assert [step.name for step in backprop(cost, jnp.ones(3)).steps] == ["reduce_sum", "mul"]


def test_nothing_comes_back_through_what_has_no_derivative():
    """As in jax.grad: no zero is multiplied by the infinite slope of the square root."""

    def cost(x):
        return jnp.sum(jnp.round(jnp.sqrt(x)) + jax.lax.stop_gradient(x) + (x > 0) * x)

    steps = backprop(cost, jnp.zeros(2))
    np.testing.assert_array_equal(steps.gradients[0], gradient(cost, (jnp.zeros(2),))[0])
    assert steps["round/round"].g_in[0].array is None
    assert "sqrt" not in {step.name for step in steps.steps}


def test_integers_and_keys_have_no_gradient_and_unused_arguments_a_zero_one():
    def cost(table, index, key, unused):
        return jnp.sum(table[index] * jax.random.normal(key, (2,)))

    steps = backprop(cost, jnp.ones((4, 2)), 3, jax.random.key(0), jnp.ones(5))
    table, index, key, unused = steps.gradients
    np.testing.assert_array_equal(table, jax.grad(cost)(jnp.ones((4, 2)), 3, jax.random.key(0), jnp.ones(5)))
    assert index is None and key is None
    np.testing.assert_array_equal(unused, np.zeros(5))
    assert steps.variable("unused").contributions == ()


def test_an_argument_can_be_the_cost():
    steps = backprop(lambda x: x, 2.0)
    assert (steps.value, steps.gradients, steps.steps, steps.products) == (2.0, (1.0,), (), 0)


def three(a, b, c):
    return jnp.sum(a["W"] * b + a["bias"] + c)


THREE = ({"W": jnp.ones(2), "bias": jnp.ones(())}, jnp.ones(2), jnp.ones(2))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, {"a['W']", "a['bias']"}),
        (1, {"b"}),
        ("c", {"c"}),
        ("a", {"a['W']", "a['bias']"}),
        ("a['W']", {"a['W']"}),
        ("*['W']", {"a['W']"}),
        (["b", 2], {"b", "c"}),
    ],
)
def test_parameters_are_told_from_x_in(choice, expected):
    steps = backprop(three, *THREE, parameters=choice)
    assert {v.name for v in steps.variables if v.is_parameter} == expected
    assert steps.gradients[0]["W"].shape == (2,)  # whatever counts as a parameter, all have gradients


@pytest.mark.parametrize("choice", ["d", 3, -1, "a['w']"])
def test_parameters_that_are_no_arguments_are_refused(choice):
    with pytest.raises(InvalidInput, match=r"(?s)which is no argument.*a\['W'\]"):
        backprop(three, *THREE, parameters=choice)


def test_what_a_network_closes_over_are_its_parameters():
    W = jnp.ones((2, 2))
    step = backprop(lambda x: jnp.sum(x @ W), jnp.ones(2))["dot"]
    assert [flow.name for flow in step.x_in] == ["x"]
    assert [flow.name for flow in step.parameters] == ["consts[0]"]
    assert step.g_parameters[0].array is None


@pytest.mark.parametrize(
    ("function", "args", "said"),
    [
        (lambda x: x, (jnp.ones(2),), r"returns float32\[2\].*one real number.*jnp.sum"),
        (lambda x: (x, x), (1.0,), r"returns float64\[\], float64\[\]"),
        (lambda x: x.astype(int), (1.0,), r"returns int64\[\]"),
        (lambda x: None, (1.0,), "returns nothing"),
        (lambda x: x + 0j, (1.0,), r"returns complex128\[\]"),
        (lambda i: i * 2.0, (1,), "no argument with a gradient: i is int64.*astype"),
        (lambda: jnp.ones(()), (), "no argument with a gradient: there is none"),
    ],
)
def test_what_has_no_gradient_is_refused(function, args, said):
    with pytest.raises(InvalidInput, match="(?s)" + said):
        backprop(function, *args)


def test_a_loop_without_reverse_mode_is_named_with_its_line():
    def endless(x):
        return jax.lax.while_loop(lambda x: x < 100.0, lambda x: 2.0 * x, x)

    with pytest.raises(
        InvalidInput, match=r"(?s)while at test_backprop.py:\d+ .*endless.*, which cannot.*lax.scan"
    ):
        backprop(endless, 1.0)


def test_a_broken_rule_of_the_author_s_own_is_named():
    @jax.custom_vjp
    def broken(x):
        return 2.0 * x

    broken.defvjp(lambda x: (2.0 * x, None), lambda _, g: (g, g))
    with pytest.raises(
        InvalidInput, match=r"(?s)broken at test_backprop.py:\d+.*cannot be gone back through"
    ):
        backprop(lambda x: jnp.sum(broken(x)), jnp.ones(2))


def test_an_unknown_step_is_answered_with_the_nearest():
    with pytest.raises(InvalidInput, match="tanh"):
        backprop(lambda x: jnp.tanh(x), 1.0)["tahn"]


def test_the_table_has_small_arrays_as_they_are_and_large_ones_in_words():
    def cost(W, x):
        return jnp.sum(jax.nn.relu(W @ x))

    x = jnp.linspace(-1, 1, 100)
    text = str(backprop(cost, jnp.stack([x, -x]), x))
    lines = [line.split() for line in text.splitlines()]
    assert ["relu", "rule", "relu", "g_in", "=", "g_out", "[x_in", ">", "0]"] in lines
    assert ["g_in", "dot", "[1,", "0]"] in lines
    assert any(line[:3] == ["dJ/d", "W", "float64[2,"] and "50% zeros" in " ".join(line) for line in lines)
    assert text.endswith("3 steps back, 4 vector-Jacobian products; 6 without reuse, one argument at a time")


def test_the_table_has_every_term_of_a_sum():
    lines = [line.split() for line in str(backprop(lambda x: x * x, 3.0)).splitlines()]
    assert lines.count(["sum", "of", "from", "mul", "3"]) == 2
    assert ["gradient", "6"] in lines


def test_the_table_counts_what_is_not_finite():
    text = str(backprop(lambda x: jnp.sum(jnp.log(x)), jnp.zeros(100).at[0].set(1.0)))
    assert "99 not finite" in text


def test_the_table_survives_the_largest_numbers():
    text = str(backprop(lambda x: x[0], jnp.full(100, 1e300)))
    assert "float64[100]  norm 1e+301" in text
