import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.graph import trace
from tests.graph.programs import LINEN, LINEN_PARAMS, PROGRAMS, W2, Program, X, affine, chain


def layer_names(function, *args):
    return tuple(layer.name for layer in trace(function, *args).layers)


def assert_same(got, expected):
    """Bitwise: the same operations in the same order, compiled by the same compiler."""
    jax.tree.map(np.testing.assert_array_equal, got, expected)


def total(tree):
    return sum(leaf.sum() for leaf in jax.tree.leaves(tree))


every_program = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)


@every_program
def test_run_gives_the_function_s_values(program: Program):
    graph = trace(program.function, *program.args)
    compiled = jax.jit(lambda *args: program.function(*args))
    assert_same(jax.jit(lambda *args: graph.run(*args)[0])(*program.args), compiled(*program.args))


@every_program
def test_run_gives_the_function_s_gradients(program: Program):
    graph = trace(program.function, *program.args)
    expected = jax.grad(lambda args: total(program.function(*args)))(program.args)
    got = jax.grad(lambda args: total(graph.run(*args)[0]))(program.args)
    assert any(leaf.any() for leaf in jax.tree.leaves(expected))
    # one rounding: cotangents of a value used twice may be added in another order
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), got, expected)


@every_program
def test_taps_are_the_values_computed_by_hand(program: Program):
    graph = trace(program.function, *program.args)
    _, taps = graph.run(*program.args, taps=[program.name])
    # rtol: a few roundings in float32, as the two programs need not order sums alike
    np.testing.assert_allclose(taps[program.name], program.by_hand(*program.args), rtol=1e-5, atol=1e-6)


@every_program
def test_every_name_can_be_tapped_and_has_the_listed_shape(program: Program):
    graph = trace(program.function, *program.args)
    _, taps = graph.run(*program.args, taps=list(graph.names))
    assert {name: (array.shape, array.dtype) for name, array in taps.items()} == {
        name: tuple(graph.values[number]) for name, number in graph.names.items()
    }
    assert {layer.name for layer in graph.layers} <= set(graph.names)
    assert all(taps[layer.name].shape == layer.shape for layer in graph.layers)


@every_program
def test_names_are_the_same_in_every_trace(program: Program):
    first, second = (trace(program.function, *program.args) for _ in range(2))
    assert list(first.names) == list(second.names)
    assert first.layers == second.layers


@every_program
def test_constants_can_be_arguments_of_a_compiled_step(program: Program):
    graph = trace(program.function, *program.args)
    step = jax.jit(lambda consts, args: graph.run(*args, taps=[program.name], consts=consts))
    out, taps = step(graph.consts, program.args)
    expected = graph.run(*program.args, taps=[program.name])
    # rtol: constants known to the compiler may be folded, which rounds differently
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), (out, taps), expected)
    if graph.consts:
        zeros = step([jnp.zeros_like(const) for const in graph.consts], program.args)
        assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (zeros, (out, taps))), strict=True))


@every_program
def test_a_graph_can_be_traced_again_with_the_same_scopes(program: Program):
    graph = trace(program.function, *program.args)
    again = trace(lambda *args: graph.run(*args)[0], *program.args)
    assert program.name in again.names


def test_custom_derivatives_are_kept():
    graph = trace(PROGRAMS["custom_rules"].function, jnp.float32(0.5))
    got = jax.grad(lambda x: graph.run(x)[0])(jnp.float32(0.5))
    # d cos(2 sin x) with its tangent tripled, and the sine's cotangent doubled
    expected = 6 * -np.sin(2 * np.sin(0.5)) * 2 * np.cos(0.5)
    np.testing.assert_allclose(got, expected, rtol=1e-6)  # float32


def test_a_constant_closed_over_twice_is_one_constant():
    graph = trace(lambda x: affine(affine(x)) @ W2, jnp.ones((2, 4)))
    assert len(graph.consts) == 1
    np.testing.assert_array_equal(graph.consts[0], W2)


def test_shapes_alone_are_enough_to_trace():
    graph = trace(chain, jax.ShapeDtypeStruct(X.shape, X.dtype))
    assert_same(graph.run(X)[0], chain(X))


def test_a_change_in_what_the_function_closes_over_is_seen():
    scale = [2.0]

    def function(x):
        return x * scale[0]

    before = trace(function, 1.0).run(1.0)[0]
    scale[0] = 3.0
    assert (before, trace(function, 1.0).run(1.0)[0]) == (2.0, 3.0)


def test_works_while_the_function_is_compiled_mapped_and_differentiated():
    def tapped(x):
        return trace(chain, x).run(x, taps="sin")[1]["sin"]

    assert_same(jax.jit(tapped)(X), jax.jit(jnp.sin)(X))
    assert_same(jax.vmap(tapped)(X), jax.vmap(jnp.sin)(X))
    assert_same(jax.vmap(jax.grad(lambda row: tapped(row).sum()))(X), jnp.cos(X))


def test_the_trace_of_a_mapped_function_has_the_same_names():
    assert layer_names(jax.vmap(PROGRAMS["branch_and_merge"].function), X) == (
        *("trunk", "left", "right"),
        *("mul", "add"),
    )


def test_an_argument_can_be_the_result():
    out, taps = trace(lambda x: (x, 2.0), 3.0).run(3.0, taps=["output/0", "output/1"])
    assert out == (3.0, 2.0)
    assert taps == {"output/0": 3.0, "output/1": 2.0}


def test_linen_parameters_as_arguments():
    graph = trace(LINEN.apply, LINEN_PARAMS, X)
    assert not graph.consts
    assert_same(graph.run(LINEN_PARAMS, X)[0], LINEN.apply(LINEN_PARAMS, X))
