"""Which rule a node goes back by: the book's where there is one, and nobody's where the author wrote their own."""

import jax
import jax.numpy as jnp
import pytest

from diffprog import rules
from diffprog.graph import trace
from diffprog.graph.sweeps.formulas import formulas
from diffprog.graph.sweeps.typed import typed
from diffprog.rules import book
from tests.graph.programs import X, doubled_backward, tripled_tangent

IMAGES = jnp.ones((1, 8, 8, 4))


def rule_of(function, *args, node=-1):
    graph = trace(function, *args)
    found = graph.nodes[node]
    return formulas(found, tuple(graph.values[i] for i in found.inputs))


def conv(w, padding="SAME", **options):
    return lambda x: jax.lax.conv_general_dilated(
        x, w, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"), **options
    )


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (jax.nn.relu, "relu"),
        (rules.relu, "relu"),
        (jnp.tanh, "tanh"),
        (rules.tanh, "tanh"),
        (jnp.exp, "exp"),
        (jnp.square, "square"),
        (lambda x: x + x, "merge"),
        (lambda x: x @ x.T, "dot_general"),
        (lambda x: x**3, "power"),
        (rules.softmax, "softmax"),
        (rules.gelu, "gelu"),
        (lambda x: jnp.concatenate([x, x]), "concatenate"),
    ],
)
def test_the_book_s_rules_are_found(function, name):
    found = rule_of(function, X)
    assert found.rule == name
    record = book.find(name)
    assert (found.forward, found.backward) == (record.forward, record.backward)


@pytest.mark.parametrize(
    ("kernel", "options", "kind"),
    [
        ((1, 1, 4, 8), {}, "1 x 1"),
        ((3, 3, 4, 8), {}, "dense"),
        ((3, 3, 1, 4), {"feature_group_count": 4}, "depthwise"),
        ((3, 3, 2, 8), {"feature_group_count": 2}, "grouped"),
    ],
)
def test_convolutions_are_told_apart(kernel, options, kind):
    w = jnp.ones(kernel)
    assert rule_of(conv(w, **options), IMAGES).rule == f"convolution, {kind}"
    ours = lambda x: rules.conv_general_dilated(  # noqa: E731
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), **options
    )
    assert rule_of(ours, IMAGES).rule == f"convolution, {kind}"


def test_a_dilated_convolution_is_told_apart():
    dilated = conv(jnp.ones((3, 3, 4, 8)), [(1, 1), (1, 1)], lhs_dilation=(2, 2))
    assert rule_of(dilated, IMAGES).rule == "convolution, both dilated"


@pytest.mark.parametrize("function", [doubled_backward, tripled_tangent])
def test_a_rule_of_the_author_s_own_is_not_claimed(function):
    assert rule_of(function, X) == (f"custom: {function.__name__}", "", "")


def test_nor_is_one_that_is_called_as_ours():
    @jax.custom_vjp
    def relu(x):
        return jnp.maximum(x, 0)

    relu.defvjp(lambda x: (relu(x), None), lambda _, g: (g,))
    assert rule_of(relu, X) == ("custom: relu", "", "")


@pytest.mark.parametrize(
    ("function", "backward"),
    [
        (lambda x: jnp.ones_like(x) - x, "g_a = g_out, g_b = -g_out"),
        (lambda x: x * x, "g_a = g_out b, g_b = g_out a"),
        (lambda x: jnp.sin(x), "g_in = g_out cos x_in"),
        (lambda x: jax.lax.rsqrt(x), "g_in = -g_out x_out / (2 x_in)"),
        (lambda x: jnp.transpose(x), "g_in = g_out^T"),
        (lambda x: jnp.round(x), "g_in = 0"),
        (lambda x: jax.lax.stop_gradient(x), "g_in = 0"),
    ],
)
def test_plain_operations_have_formulas(function, backward):
    found = rule_of(function, X)
    assert found.rule.startswith("jax: ")
    assert typed(found.backward) == backward


def test_an_operation_that_nobody_described_has_no_formula():
    assert rule_of(lambda x: jax.lax.digamma(x), X) == ("jax: digamma", "", "")


@pytest.mark.parametrize("record", book.BOOK, ids=lambda record: record.name)
def test_every_formula_of_the_book_can_be_typed(record):
    for formula in (record.forward, record.backward):
        assert not set(typed(formula)) & set("\\{}")
