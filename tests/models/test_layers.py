"""The named convolution against lax's own convolution, and its place in the names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.models.layers import Convolution

pytestmark = pytest.mark.usefixtures("compiled_plainly")


@pytest.mark.parametrize("depthwise, groups, features", [(False, 1, 5), (True, 4, 4)])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_it_is_convolution_plus_bias_then_activation(depthwise, groups, features, padding, stride):
    key = jax.random.key(0)
    x = jax.random.normal(key, (2, 9, 8, 4))
    layer = Convolution(features, 3, stride, padding, depthwise, activation=jnp.tanh)
    params = layer.init(key, x)["params"] | {"bias": jnp.arange(1.0, features + 1)}

    plain = jax.lax.conv_general_dilated(
        x,
        params["kernel"],
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )

    got = layer.apply({"params": params}, x)
    # Both sum at most 36 products in float32, possibly in another order.
    np.testing.assert_allclose(got, jnp.tanh(plain + params["bias"]), atol=1e-6)


def test_without_activation_it_is_linear():
    x = jax.random.normal(jax.random.key(1), (1, 4, 4, 2))
    layer = Convolution(3, activation=None)
    params = layer.init(jax.random.key(2), x)
    # Scaling by a power of two is exact in floating point.
    np.testing.assert_array_equal(layer.apply(params, 2 * x), 2 * layer.apply(params, x))
