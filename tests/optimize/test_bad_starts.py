"""Starts that nothing can be done from are refused in words; those with a None in them are ordinary pytrees."""

import jax.numpy as jnp
import pytest

from diffprog.errors import InvalidInput
from diffprog.optimize import Box, gradient_descent, optimize, projected

STEP = gradient_descent(0.25)


def square(w):
    return w["a"] ** 2


def test_none_is_a_part_without_leaves():
    start = {"a": jnp.array(2.0), "b": None, "c": [None, {}]}
    assert optimize(square, start, STEP, steps=1).value == {**start, "a": 1.0}
    for mask in (True, {"a": True, "b": None, "c": [None, {}]}):
        assert optimize(square, start, STEP, steps=1, mask=mask).value["a"] == 1.0
    for sets in (Box(1.5, 3.0), {"a": Box(1.5, 3.0), "b": None, "c": None}):
        held = optimize(square, start, STEP, steps=3, constraint=projected(sets))
        assert held.value == {**start, "a": 1.5}


@pytest.mark.parametrize(
    ("start", "says"),
    [
        ({}, "an empty pytree"),
        ({"a": None}, "an empty pytree"),
        ({"a": jnp.zeros((0, 3))}, "without a single number"),
        ({"a": 1.0, "b": "x"}, r"start\['b'\] of type <class 'str'>"),
        ({"a": 1.0, "b": 2}, r"start\['b'\] of type int32"),
    ],
)
def test_starts_without_numbers_to_move_are_refused(start, says):
    with pytest.raises(InvalidInput, match=says):
        optimize(square, start, STEP, steps=1)


def test_a_population_without_a_good_start_is_refused():
    cost = lambda w: jnp.sum(jnp.log(w))  # noqa: E731
    with pytest.raises(InvalidInput, match="nan at the start"):
        optimize(cost, -jnp.ones((3, 2)), STEP, steps=2, population=True)
    run = optimize(cost, jnp.array([[-1.0], [1.0]]), gradient_descent(0.01), steps=2, population=True)
    assert run.population.best == 1


def test_a_second_start_of_another_shape_is_looked_at_too():
    cost = lambda w: jnp.sum(w * jnp.ones(2))  # noqa: E731
    optimize(cost, jnp.zeros(2), STEP, steps=1)
    with pytest.raises(InvalidInput, match="fails on the start"):
        optimize(cost, jnp.zeros(3), STEP, steps=1)
