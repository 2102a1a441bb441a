"""Every objective against its twin in NumPy, its gradient against differences, and the algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import diffprog as dp
from diffprog.errors import InvalidInput
from tests.graph.objectives.table import JOINT, SHAPES, TABLE

# float64: sums of at most a few hundred terms of size one, rounded at 1e-16 each
TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def values(seed: int = 0, count: int | None = None) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    lead = () if count is None else (count,)
    return {name: random.standard_normal(lead + shape) for name, shape in SHAPES.items()}


def on_device(found):
    return {name: jnp.asarray(array) for name, array in found.items()}  # float64 under `x64`, else float32


@pytest.mark.parametrize("name", TABLE)
def test_the_score_is_the_formula(name, x64):
    found = values()
    score = jax.jit(TABLE[name].objective)(on_device(found))
    np.testing.assert_allclose(score, TABLE[name].twin(found), **TIGHT)


@pytest.mark.parametrize("name", TABLE)
def test_a_picture_of_a_group_has_the_score_it_has_alone(name, x64):
    found = values(count=3)
    together = jax.jit(TABLE[name].objective.together)(on_device(found))
    alone = [TABLE[name].twin({layer: array[i] for layer, array in found.items()}) for i in range(3)]
    np.testing.assert_allclose(together, alone, **TIGHT)


@pytest.mark.parametrize("name", JOINT)
@pytest.mark.parametrize("count", [2, 6])
def test_the_scores_of_a_group_are_the_formula(name, count, x64):
    found, (objective, twin) = values(1, count), JOINT[name]
    assert objective.joint
    np.testing.assert_allclose(
        jax.jit(objective.together)(on_device(found)), [twin(found, i) for i in range(count)], **TIGHT
    )


@pytest.mark.parametrize("name", [*TABLE, *JOINT])
def test_the_gradient_is_that_of_differences(name, x64):
    group = name in JOINT
    objective = (JOINT if group else TABLE)[name].objective
    found = on_device(values(2, 3 if group else None))

    @jax.jit
    @jax.value_and_grad
    def score(found):
        return jnp.sum(objective.together(found) if group else objective(found))

    way, step = values(7, 3 if group else None), 1e-5
    ahead, behind = (
        score({layer: found[layer] + sign * step * way[layer] for layer in found})[0] for sign in (1, -1)
    )
    gradient = score(found)[1]
    slope = sum(np.vdot(gradient[layer], way[layer]) for layer in found)
    # Central differences: the third derivative times step^2, and 1e-16 / step of rounding, both near 1e-10.
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", [*TABLE, *JOINT])
def test_the_gradient_is_finite_where_nothing_is_active(name):
    group = name in JOINT
    objective = (JOINT if group else TABLE)[name].objective
    found = {layer: np.zeros((3, *shape) if group else shape, np.float32) for layer, shape in SHAPES.items()}
    gradient = jax.jit(jax.grad(lambda v: jnp.sum(objective.together(v) if group else objective(v))))(found)
    assert all(np.isfinite(leaf).all() for leaf in gradient.values())


@pytest.mark.parametrize("name", [name for name, entry in TABLE.items() if entry.refused])
def test_what_the_layer_does_not_have_is_refused(name):
    TABLE[name].objective.check(SHAPES)
    with pytest.raises(InvalidInput) as refused:
        TABLE[name].refused.check(SHAPES)
    assert refused.value.expected and refused.value.remedy


@pytest.mark.parametrize("name", ["diversity", "alignment", "interpolate"])
def test_a_comparison_of_one_picture_is_refused(name):
    with pytest.raises(InvalidInput, match=f"{name} of one picture"):
        JOINT[name].objective(on_device(values()))
    with pytest.raises(InvalidInput, match=f"{name} of one picture"):
        JOINT[name].objective.together(on_device(values(0, 1)))


def test_several_objectives_on_one_axis_score_as_each_alone(x64):
    """Directions and powers are data: the objectives of a batch are one pytree with longer leaves."""
    found = values(3, 2)
    both = [dp.direction("map", np.eye(5)[0], 2), dp.direction("map", -np.ones(5), 0.5)]
    assert jax.tree.structure(both[0]) == jax.tree.structure(both[1])
    stacked = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *both)
    scores = jax.vmap(lambda one, found: one(found))(stacked, on_device(found))
    for i, one in enumerate(both):
        alone = one(on_device({layer: array[i] for layer, array in found.items()}))
        np.testing.assert_allclose(scores[i], alone, **TIGHT)


def test_objectives_with_arrays_are_equal_only_to_themselves():
    one, other = dp.direction("map", [1.0, 2.0]), dp.direction("map", [2.0, 1.0])
    assert one == one and one != other
    assert dp.channel("map", 1) == dp.channel("map", 1) != dp.channel("map", 2)


WEIGHTS = st.floats(-3, 3, width=32)


@settings(deadline=None, max_examples=30)  # the first call compiles
@given(WEIGHTS, WEIGHTS, st.permutations(["channel", "layer", "direction"]))
def test_weights_mean_what_they_say_in_any_order(first, second, order):
    found = on_device(values())
    a, b, c = (TABLE[name].objective for name in order)
    plain = first * a(found) + second * b(found) - c(found)
    for written in (first * a + second * b - c, -c + b * second + a * first, second * b + (first * a - c)):
        np.testing.assert_allclose(written(found), plain, rtol=1e-4, atol=1e-4)  # float32, terms of size 10
    np.testing.assert_allclose(((a + first) * (b - second))(found), (a(found) + first) * (b(found) - second),
                               rtol=1e-4, atol=1e-4)  # fmt: skip


def test_writing_an_objective_changes_none_of_its_parts():
    part = dp.channel("map", 1)
    before = part(on_device(values()))
    _ = 3 * part - part * 2 + (-part)
    assert part(on_device(values())) == before and part == dp.channel("map", 1)


@pytest.mark.parametrize("vector", [[], [0.0, 0.0], [np.nan, 1.0], [np.inf], "abc", [[1.0], [1.0, 2.0]]])
def test_vectors_that_point_nowhere_are_refused(vector):
    for factory in (dp.direction, dp.direction_neuron, dp.activation_weights):
        with pytest.raises(InvalidInput):
            factory("map", vector)


@pytest.mark.parametrize("power", [-1, float("nan"), float("inf"), "2", True])
def test_powers_that_are_none_are_refused(power):
    with pytest.raises(InvalidInput, match="power="):
        dp.direction("map", [1.0], power)


@pytest.mark.parametrize("decay", [0, -2.0, float("nan"), "2"])
def test_decays_that_are_none_are_refused(decay):
    with pytest.raises(InvalidInput, match="decay="):
        dp.alignment("map", decay)


def test_only_numbers_and_objectives_combine():
    with pytest.raises(InvalidInput, match="combined with str"):
        dp.channel("map", 1) + "5"
