"""A network as a function of pictures: what it accepts, what it refuses, how it behaves under JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.models import load
from diffprog.models.loading import _load
from tests.models.pictures import noise

pytestmark = pytest.mark.usefixtures("compiled_plainly")


@pytest.fixture(scope="module")
def net():
    return load("squeezenet")


def test_it_maps_pictures_to_logits(net):
    assert net(noise(64, 80)).shape == (2, 1000)
    assert net(noise(64, 80)).dtype == jnp.float32


def test_the_smallest_pictures_are_used_and_smaller_ones_refused(net):
    assert np.isfinite(net(noise(net.min_size))).all()
    with pytest.raises(InvalidInput, match=f"at least {net.min_size} x {net.min_size}"):
        net(noise(net.min_size - 1, 64))
    with pytest.raises(InvalidInput, match="pictures of 64 x 30"):
        net(noise(64, net.min_size - 1))


@pytest.mark.parametrize(
    "images, remedy",
    [
        (np.zeros((64, 64, 3), np.float32), "images[None]"),
        (np.zeros((1, 3, 64, 64), np.float32), "transpose(0, 2, 3, 1)"),
        (np.zeros((1, 64, 64, 4), np.float32), "images[..., :3]"),
        (np.zeros((1, 64, 64), np.float32), "repeat(3, -1)"),
        (np.zeros((64,), np.float32), "reshaping"),
        (np.zeros((1, 64, 64, 3), np.uint8), "/ 255"),
        (np.zeros((1, 64, 64, 3), np.float16), "astype('float32')"),
    ],
)
def test_other_arrays_are_refused_with_a_remedy(net, images, remedy):
    with pytest.raises(InvalidInput) as caught:
        net(images)
    assert remedy in caught.value.remedy
    assert "float32[B, H, W, 3]" in caught.value.expected


def test_the_parameters_are_an_argument_of_apply(net):
    zeros = jax.tree.map(jnp.zeros_like, net.params)
    np.testing.assert_array_equal(net.apply(zeros, noise(64)), 0.0)


def test_a_picture_does_not_depend_on_its_batch(net):
    images = noise(64)
    # The same sums in another order, over about thirty layers of float32.
    np.testing.assert_allclose(net(images)[1:], net(images[1:]), rtol=1e-4, atol=1e-4)


def test_it_compiles_differentiates_and_maps(net):
    images = noise(48)
    gradient = jax.jit(jax.grad(lambda x: net(x)[:, 285].sum()))(images)
    assert gradient.shape == images.shape
    assert float(jnp.abs(gradient).max()) > 0
    mapped = jax.vmap(lambda image: net(image[None])[0])(images)
    np.testing.assert_allclose(mapped, net(images), rtol=1e-4, atol=1e-4)  # other order of the same sums


def test_it_keeps_to_strict_promotion_of_dtypes(net):
    with jax.numpy_dtype_promotion("strict"):
        assert net(noise(48)).dtype == jnp.float32


def test_networks_are_equal_by_identity_and_print_without_their_weights(net):
    assert hash(net) != hash(_load.__wrapped__("squeezenet"))
    assert repr(net) == "Network(name='squeezenet', title='SqueezeNet 1.1', input_size=224, min_size=31)"


def test_it_knows_its_classes(net):
    assert net.class_index("Chameleon") == 47
    assert net.label(47) == "African chameleon, Chamaeleo chamaeleon"
    with pytest.raises(InvalidInput, match="from 0 to 999"):
        net.label(1000)


def test_a_network_that_is_first_loaded_inside_a_traced_function_keeps_no_tracers():
    _load.cache_clear()
    jax.jit(lambda x: load("squeezenet")(x))(noise(48))
    leaves = jax.tree.leaves(load("squeezenet").params)
    assert not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
    assert load("squeezenet")(noise(48)).shape[1:] == (1000,)
