"""Naturalness: 0 for the statistics that are remembered, less for all others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.graph.objectives import naturalness, objective_from_dict, objective_to_dict

MEAN, DEVIATION = np.array([1.0, -2.0], np.float32), np.array([0.5, 3.0], np.float32)
SCORE = naturalness({"conv": (MEAN, DEVIATION)})


def natural(key):
    """[9, 9, 2] with exactly the remembered statistics."""
    values = np.array(jax.random.normal(key, (9, 9, 2)))
    values = (values - values.mean((0, 1))) / values.std((0, 1))
    return jnp.asarray(values * DEVIATION + MEAN)


def test_it_is_zero_for_natural_statistics_and_falls_with_the_distance():
    values = natural(jax.random.key(0))
    np.testing.assert_allclose(SCORE({"conv": values}), 0.0, atol=1e-5)
    np.testing.assert_allclose(SCORE({"conv": values + DEVIATION}), -1.0, rtol=1e-4)  # one deviation off
    doubled = (values - MEAN) * 2 + MEAN
    np.testing.assert_allclose(SCORE({"conv": doubled}), -1.0, rtol=1e-4)


def test_layers_count_alike():
    both = naturalness({"a": (MEAN, DEVIATION), "b": (MEAN, DEVIATION)})
    values = natural(jax.random.key(1))
    np.testing.assert_allclose(both({"a": values, "b": values + DEVIATION}), -0.5, rtol=1e-4)


def test_a_constant_channel_has_a_finite_gradient():
    slope = jax.grad(lambda values: SCORE({"conv": values}))(jnp.zeros((4, 4, 2)))
    assert jnp.isfinite(slope).all()


def test_it_is_an_objective_like_others_and_can_be_written_down():
    wish = 2 * SCORE
    assert wish.layers == {"conv"}
    again = objective_from_dict(objective_to_dict(wish))
    values = natural(jax.random.key(2)) + 1
    assert again({"conv": values}) == wish({"conv": values})


@pytest.mark.parametrize(
    "statistics",
    [
        {},
        {"conv": (MEAN, np.zeros(2, np.float32))},
        {"conv": (MEAN, np.array([np.nan, 1.0], np.float32))},
    ],
)
def test_statistics_that_measure_nothing_are_refused(statistics):
    with pytest.raises(InvalidInput):
        naturalness(statistics)


def test_statistics_of_another_layer_are_refused():
    with pytest.raises(InvalidInput, match="each of its 3 channels"):
        SCORE.check({"conv": (9, 9, 3)})
