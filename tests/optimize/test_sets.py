"""Every set, by projection and by parameter: the nearest point, always inside, and there and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog.errors import InvalidInput
from diffprog.optimize import (
    Box,
    L2Ball,
    LInfBall,
    Simplex,
    Sphere,
    gradient_descent,
    nesterov,
    optimize,
    projected,
    reparameterized,
)

SETS = {
    "box": (Box(-0.5, 2.0), lambda x: (x >= -0.5).all() and (x <= 2.0).all()),
    "simplex": (Simplex(), lambda x: (x >= 0).all() and abs(x.sum() - 1) < 1e-12),
    "sphere": (Sphere(1.5), lambda x: abs(np.linalg.norm(x) - 1.5) < 1e-12),
    "L2 ball": (L2Ball(0.7, center=0.2), lambda x: np.linalg.norm(x - 0.2) < 0.7 + 1e-12),
    "L-infinity ball": (LInfBall(0.7, center=0.2), lambda x: np.abs(x - 0.2).max() < 0.7 + 1e-12),
}
every_set = pytest.mark.parametrize("name", SETS)
points = st.lists(st.floats(-50, 50), min_size=4, max_size=4).map(np.array)


@every_set
@settings(deadline=None)  # the first example compiles
@given(x=points, y=points)
def test_projection_is_inside_and_no_point_of_the_set_is_nearer(name, x, y):
    with jax.enable_x64(True):
        of, holds = SETS[name]
        nearest, other = np.asarray(of.project(jnp.asarray(x))), np.asarray(of.project(jnp.asarray(y)))
        assert holds(nearest) and holds(other)
        assert np.linalg.norm(x - nearest) <= np.linalg.norm(x - other) + 1e-9
        np.testing.assert_allclose(of.project(jnp.asarray(nearest)), nearest, atol=1e-12)


@every_set
@settings(deadline=None)
@given(u=points)
def test_the_parameter_maps_inside_and_back(name, u):
    with jax.enable_x64(True):
        of, holds = SETS[name]
        x = of.inside(
            jnp.asarray(u / 25)
        )  # within 2 of 0: farther out the maps saturate, which `outside` clips
        assert holds(np.asarray(x))
        np.testing.assert_allclose(
            of.inside(of.outside(x)), x, atol=1e-3
        )  # points near the border are pulled in


@every_set
@pytest.mark.parametrize("how", [projected, reparameterized])
def test_both_ways_find_the_minimum_of_the_set(name, how, x64):
    of, holds = SETS[name]
    goal = jnp.array([3.0, -0.4, 0.2, -2.0])
    run = optimize(
        lambda w: jnp.sum((w - goal) ** 2),
        jnp.array([0.3, 0.2, 0.3, 0.2]),
        gradient_descent(0.05) if how is projected else nesterov(0.3, 0.9),
        steps=3000,
        constraint=how(of),
    )
    assert holds(np.asarray(run.value))
    # The nearest point to the goal is its projection; the parameter only creeps up to a border.
    tolerance = 1e-9 if how is projected else 0.02
    np.testing.assert_allclose(run.value, of.project(goal), atol=tolerance)


def test_sets_of_single_leaves():
    run = optimize(
        lambda w: -jnp.sum(w["p"] * jnp.arange(3.0)) + (w["x"] - 2) ** 2,
        {"p": jnp.ones(3), "x": jnp.zeros(())},
        gradient_descent(0.25),
        steps=50,
        constraint=projected({"p": Simplex(), "x": None}),
    )
    assert run.value["p"].tolist() == [0.0, 0.0, 1.0] and run.value["x"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    "make",
    [lambda: Box(1.0, 0.0), lambda: Sphere(-1.0), lambda: L2Ball(0.0), lambda: LInfBall(float("inf"))],
)
def test_sets_that_are_empty_are_refused(make):
    with pytest.raises(InvalidInput, match="expected"):
        make()


def test_half_a_line_has_no_such_parameter():
    with pytest.raises(InvalidInput, match="two finite bounds"):
        Box(0.0, float("inf")).outside(jnp.ones(2))
