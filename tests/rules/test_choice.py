"""Which formulation is used: measured ones where they were measured, the plain operation elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog import rules
from diffprog.rules import choice

NHWC = ("NHWC", "HWIO", "NHWC")
X = jax.random.normal(jax.random.key(0), (2, 6, 6, 4))
W = jax.random.normal(jax.random.key(1), (3, 3, 1, 4))

FAST = {
    "convolution": lambda x: rules.conv_general_dilated(
        x, W, (1, 1), "SAME", dimension_numbers=NHWC, feature_group_count=4
    ),
    "max pooling": lambda x: rules.max_pool(x, (2, 2), (2, 2)),
    "average pooling": lambda x: rules.avg_pool(x, (3, 3), (2, 2)),
    "resize": lambda x: rules.resize(x, (2, 9, 7, 4)),
    "linear": lambda x: rules.linear(x, jnp.ones((4, 3))),
}


def gradient(function):
    # A new function every time: JAX keeps what it traced, and would not ask for the backend again.
    return lambda x: jax.grad(lambda x: jnp.sum(jnp.sin(function(x))))(x)


@pytest.mark.parametrize("name", FAST)
def test_a_backend_without_measurements_runs_the_plain_operation(name, monkeypatch):
    here = gradient(FAST[name])
    assert "linear_map" in str(jax.make_jaxpr(here)(X))
    expected = here(X)
    monkeypatch.setattr(choice, "backend", lambda: "tpu")
    there = gradient(FAST[name])
    assert "linear_map" not in str(jax.make_jaxpr(there)(X))
    np.testing.assert_allclose(there(X), expected, rtol=1e-4, atol=1e-5)  # float32, sums in another order


def test_the_default_device_decides():
    assert choice.backend() == jax.default_backend()
    with jax.default_device(jax.devices("cpu")[0]):
        assert choice.backend() == "cpu"


def test_every_measured_backend_has_every_size_and_says_where_from():
    for found in choice.choices().values():
        assert found.machine and found.script and set(found.sizes) == set(choice.choices()["cpu"].sizes)
    assert choice.size("dense: shifted products below") > 0
