"""The kept sweep against `jax.grad` and `jax.vjp`, and the structure it runs on, on every program of the table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.graph import trace
from diffprog.graph.diagnosis.observe import observe
from diffprog.graph.diagnosis.reach import ancestors, descendants, reach
from tests.graph.programs import PROGRAMS, Program


def total(tree):
    return sum(leaf.sum() for leaf in jax.tree.leaves(tree))


every_program = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)


@every_program
def test_it_ends_in_jax_s_gradient(program: Program) -> None:
    def cost(*args):
        return total(program.function(*args))

    graph = trace(cost, *program.args)
    seen = observe(graph, program.args, reach(graph).active)
    expected = jax.grad(lambda args: cost(*args))(program.args)
    for i, g in zip(graph.inputs, jax.tree.leaves(expected), strict=True):
        # float32: a few roundings, as cotangents of a value used twice may be added in another order
        np.testing.assert_allclose(seen.cotangents[i], g, rtol=1e-5, atol=1e-6)


@every_program
def test_contributions_add_up_to_the_cotangent(program: Program) -> None:
    graph = trace(lambda *args: total(program.function(*args)), *program.args)
    seen = observe(graph, program.args, reach(graph).active)
    for i in seen.cotangents.keys() - set(graph.outputs):
        terms = [g for (n, k), g in seen.sent.items() if graph.nodes[n].inputs[k] == i]
        np.testing.assert_allclose(sum(terms), seen.cotangents[i], rtol=1e-5, atol=1e-6)


@every_program
def test_values_are_the_function_s(program: Program) -> None:
    graph = trace(lambda *args: total(program.function(*args)), *program.args)
    seen = observe(graph, program.args, frozenset())
    expected, taps = graph.run(*program.args, taps=[program.name])
    np.testing.assert_allclose(seen.values[graph.outputs[0]], expected, rtol=1e-5)
    np.testing.assert_allclose(
        seen.values[graph.names[program.name]], taps[program.name], rtol=1e-5, atol=1e-6
    )
    assert not seen.cotangents


CUTS = {
    "round": (jnp.round, "round"),
    "sign": (jnp.sign, "sign"),
    "floor": (jnp.floor, "floor"),
    "ceil": (jnp.ceil, "ceil"),
    "greater": (lambda x: (x > 0).astype(x.dtype), "gt"),
    "integers": (lambda x: x.astype(int).astype(x.dtype), "convert_element_type"),
    "argmax": (lambda x: jnp.argmax(x) * 1.0, "argmax"),
    "argsort": (lambda x: jnp.argsort(x) * 1.0, "sort"),
    "stopped": (jax.lax.stop_gradient, "stop_gradient"),
    "in a branch": (lambda x: jax.lax.cond(x[0] > 0, jnp.round, jnp.sign, x), "cond"),
}


@pytest.mark.parametrize(("operation", "name"), CUTS.values(), ids=CUTS)
def test_what_cuts_a_gradient_is_found_and_a_path_around_it_too(operation, name) -> None:
    x = jnp.array([0.2, 1.7])
    found = reach(trace(lambda x: jnp.sum(operation(jnp.sin(x))), x))
    assert name in [node.primitive for node in next(iter(found.cuts.values()))]
    assert not reach(trace(lambda x: jnp.sum(operation(jnp.sin(x)) + x), x)).cuts


def test_ancestors_and_descendants() -> None:
    graph = trace(lambda x, y: (jnp.sin(x) + 1.0, jnp.cos(y)), 1.0, 2.0)
    x, y = graph.inputs
    first, second = graph.outputs
    assert {x, first} <= ancestors(graph, [first]) and y not in ancestors(graph, [first])
    assert {y, second} <= descendants(graph, [y]) and first not in descendants(graph, [y])
