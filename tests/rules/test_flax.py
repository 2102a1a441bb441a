"""Flax layers take the rules in place of JAX's operations: the same values and gradients, linen and nnx."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from diffprog import rules

# float32: sums of at most 400 products in another order. bfloat16: 8 bits of fraction.
TOLERANCE = {"float32": 1e-5, "bfloat16": 3e-2}

LAYERS = {
    "dense": {"features": 8, "kernel_size": (3, 3)},
    "strided": {"features": 8, "kernel_size": (5, 5), "strides": 2},
    "pointwise": {"features": 8, "kernel_size": (1, 1)},
    "depthwise": {"features": 8, "kernel_size": (3, 3), "strides": 2, "feature_group_count": 8},
    "multiplied": {"features": 16, "kernel_size": (3, 3), "feature_group_count": 8},
    "grouped": {"features": 8, "kernel_size": (3, 3), "feature_group_count": 2},
    "dilated": {"features": 8, "kernel_size": (3, 3), "kernel_dilation": 2},
    "circular": {"features": 8, "kernel_size": (3, 3), "padding": "CIRCULAR"},
}


def assert_close(got, want, dtype):
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert one.dtype == other.dtype
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        assert np.linalg.norm(one - other) <= TOLERANCE[dtype] * np.linalg.norm(other)


def outcome(apply, params, x):
    return jax.jit(
        jax.value_and_grad(lambda p, x: jnp.sum(jnp.sin(apply(p, x).astype(jnp.float32))), (0, 1))
    )(params, x)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("layer", LAYERS)
def test_linen_convolutions(layer, dtype):
    x = jax.random.normal(jax.random.key(0), (2, 9, 10, 8))
    plain = nn.Conv(**LAYERS[layer], dtype=dtype)
    ruled = nn.Conv(**LAYERS[layer], dtype=dtype, conv_general_dilated=rules.conv_general_dilated)
    params = plain.init(jax.random.key(1), x)
    assert_close(outcome(ruled.apply, params, x), outcome(plain.apply, params, x), dtype)


def test_nnx_convolutions():
    x = jax.random.normal(jax.random.key(0), (2, 9, 10, 8))
    settings = {"kernel_size": (3, 3), "strides": 2, "feature_group_count": 8}
    plain, ruled = (
        nnx.Conv(8, 8, **settings, rngs=nnx.Rngs(0), conv_general_dilated=operation)
        for operation in (jax.lax.conv_general_dilated, rules.conv_general_dilated)
    )

    def apply(layer):
        graph, state = nnx.split(layer)
        return outcome(lambda state, x: nnx.merge(graph, state)(x), state, x)

    assert_close(apply(ruled), apply(plain), "float32")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dense_layers(dtype):
    x = jax.random.normal(jax.random.key(0), (2, 7, 12))
    plain, ruled = nn.Dense(5, dtype=dtype), nn.Dense(5, dtype=dtype, dot_general=rules.dot_general)
    params = plain.init(jax.random.key(1), x)
    assert_close(outcome(ruled.apply, params, x), outcome(plain.apply, params, x), dtype)
