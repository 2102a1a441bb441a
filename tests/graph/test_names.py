"""How activations are called; see the docstring of diffprog/graph/names.py."""

import jax
import jax.numpy as jnp
import pytest

from diffprog.graph import trace
from tests.graph.programs import EQUINOX_NAMES, NNX_NAMES, PROGRAMS, W1, W2, X, affine


def layer_names(function, *args):
    return tuple(layer.name for layer in trace(function, *args).layers)


LISTINGS = {
    "chain": ("sin", "tanh", "exp"),
    "mlp": ("dot", "relu", "dot_1", "relu_1"),
    "branch_and_merge": ("trunk", "left", "right", "mul", "add"),
    "shared": ("dot", "dot_1", "tanh", "dot_2", "tanh_1"),
    "inner_jits": ("dot", "affine", "affine#2", "clip"),
    "scan": ("dot", "scan/0", "scan/1"),
    "custom_rules": ("doubled_backward", "tripled_tangent"),
    "cond": ("reduce_sum", "cond"),
    "checkpoint": ("checkpoint",),
    "linen": ("blocks/0/Dense_0", "blocks/0", "again", "again#2", "relu", "logits"),
    "nnx": NNX_NAMES,
    "equinox": EQUINOX_NAMES,
}


@pytest.mark.parametrize(("program", "expected"), LISTINGS.items())
def test_listing(program, expected):
    assert layer_names(PROGRAMS[program].function, *PROGRAMS[program].args) == expected


def test_every_program_has_its_listing_checked():
    assert set(PROGRAMS) == set(LISTINGS)


def scoped(x):
    with jax.named_scope("a"):
        with jax.named_scope("b"):
            x = jnp.sin(x)
        x = jnp.cos(x)
    y = jnp.tanh(x)
    with jax.named_scope("a"):
        return jnp.exp(y)


def test_a_scope_is_its_last_value_and_a_second_visit_is_numbered():
    graph = trace(scoped, 0.5)
    assert tuple(layer.name for layer in graph.layers) == ("a/b", "a", "tanh", "a#2")
    _, taps = graph.run(0.5, taps=["a", "a/b", "a/b/sin", "a/cos", "a#2"])
    assert taps["a"] == taps["a/cos"] == jnp.cos(jnp.sin(0.5))
    assert taps["a/b"] == taps["a/b/sin"] == jnp.sin(0.5)
    assert taps["a#2"] == jnp.exp(jnp.tanh(taps["a"]))


def test_a_scope_is_what_leaves_it_even_if_something_else_is_computed_last():
    def function(x):
        with jax.named_scope("norm"):
            y = jnp.sin(x)
            jnp.cos(x)
        return y * 2.0

    assert trace(function, 0.5).run(0.5, taps="norm")[1] == {"norm": jnp.sin(0.5)}


def test_a_compiled_function_counts_as_one_operation_or_is_opened():
    @jax.jit
    def wobble(x):
        return jnp.sin(x) * 2.0

    @jax.jit
    def block(x):
        return jax.nn.relu(affine(x @ W1))

    graph = trace(lambda x: wobble(wobble(block(x))) + 1.0, X)
    assert [layer.name for layer in graph.layers] == ["dot", "affine", "relu", "wobble", "wobble_1", "output"]
    assert {"wobble/sin", "wobble_1/sin", "wobble_1/mul", "block"} <= set(graph.names)
    assert graph.names["block"] == graph.names["relu"]


def test_compiling_a_function_does_not_change_its_layers():
    for program in (PROGRAMS["mlp"], PROGRAMS["linen"], PROGRAMS["nnx"]):
        compiled = jax.jit(lambda *args, function=program.function: function(*args))
        assert layer_names(compiled, *program.args) == layer_names(program.function, *program.args)


def test_operations_and_scopes_of_one_name_do_not_collide():
    def function(x):
        x = jnp.sin(x)
        with jax.named_scope("sin"):
            return jnp.cos(x)

    graph = trace(function, 0.5)
    assert graph.run(0.5, taps=["sin", "sin_1"])[1] == {"sin": jnp.cos(jnp.sin(0.5)), "sin_1": jnp.sin(0.5)}


def test_output_is_always_the_function_s_own_result():
    def function(x):
        with jax.named_scope("output"):
            x = jnp.sin(x)
        return jnp.cos(x)

    graph = trace(function, 0.5)
    out, taps = graph.run(0.5, taps=["output", "output#2"])
    assert (taps["output"], taps["output#2"]) == (out, jnp.sin(0.5))


def test_the_listing_leaves_out_plumbing_integers_and_what_does_not_depend_on_the_input():
    def function(x):
        table = jnp.sin(jnp.arange(3.0))
        index = jnp.argmax(x)
        return jnp.tanh(jnp.reshape(x, (3, 1))[:, 0] * 2.0 + table[0]) * index

    graph = trace(function, jnp.arange(3.0))
    assert [layer.name for layer in graph.layers] == ["tanh", "mul_1"]
    assert {"sin", "argmax", "mul"} <= set(graph.names)


@pytest.mark.parametrize(
    ("name", "operation"), [("blocks/0/Dense_0", "dot"), ("blocks/0", "relu"), ("logits", "dot")]
)
def test_a_scope_is_described_by_its_last_operation_of_note(name, operation):
    layers = {layer.name: layer for layer in trace(PROGRAMS["linen"].function, X).layers}
    assert layers[name].operation == operation


def test_gradients_can_be_traced():
    graph = trace(jax.grad(lambda x: jnp.sum(jnp.tanh(x @ W1 @ W2))), X)
    assert graph.run(X, taps="output")[1]["output"].shape == X.shape
