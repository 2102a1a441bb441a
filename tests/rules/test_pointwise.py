"""Rectifiers: values and gradients on both sides of every kink and at it."""

import jax
import jax.numpy as jnp
import pytest

from diffprog import rules
from tests.rules.oracle import assert_same_gradients


@pytest.mark.parametrize("name", ["relu", "relu6"])
def test_equal_to_jax_on_and_around_the_kinks(x64, name):
    x = jnp.array([-2.0, -1e-9, 0.0, 1e-9, 3.0, 6.0 - 1e-9, 6.0, 6.0 + 1e-9, 8.0])
    assert_same_gradients(getattr(rules, name), getattr(jax.nn, name), x)
