"""Networks as they are, random and trained, are not accused."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog import models
from diffprog.graph import diagnose


class Mlp(nn.Module):
    sizes: tuple[int, ...]
    activation: str

    @nn.compact
    def __call__(self, x):
        for size in self.sizes:
            x = getattr(nn, self.activation)(nn.Dense(size)(x))
        return nn.Dense(3)(x)


@pytest.mark.thorough
@settings(max_examples=4, deadline=None)
@given(
    sizes=st.lists(st.integers(16, 48), min_size=1, max_size=3),
    activation=st.sampled_from(["relu", "tanh", "gelu", "silu", "sigmoid", "softplus", "leaky_relu"]),
    batch=st.integers(4, 16),
    seed=st.integers(0, 2**31 - 1),
)
def test_healthy_random_networks_are_not_accused(sizes, activation, batch, seed) -> None:
    keys = jax.random.split(jax.random.key(seed), 2)
    network = Mlp(tuple(sizes), activation)
    x = jax.random.normal(keys[0], (batch, 12))
    params = network.init(keys[1], x)
    labels = jnp.arange(batch) % 3

    def cost(params, x):
        scores = jax.nn.log_softmax(network.apply(params, x))
        return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], axis=1))

    diagnosis = diagnose(cost, params, x, products=3)  # an estimate, as the eigenvalues are here too
    assert diagnosis.healthy, diagnosis


def test_a_real_network_is_not_accused() -> None:
    net = models.load("squeezenet")
    images = jax.random.uniform(jax.random.key(0), (1, 64, 64, 3))
    diagnosis = diagnose(lambda images: -net(images)[0, 47], images, products=2)
    assert diagnosis.healthy, diagnosis
    assert all(f.node.startswith(("conv", "fire")) for f in diagnosis.findings)  # layers, by their names
