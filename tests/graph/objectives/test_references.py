"""Objectives made from a picture: they score the picture itself as the formulas say, and refuse what is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import diffprog as dp
from diffprog.errors import InvalidInput

KERNEL = jax.random.normal(jax.random.key(0), (3, 3, 3, 4)) * 0.3
PHOTO = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)


def net(images):
    with jax.named_scope("edges"):
        x = jax.nn.relu(jax.lax.conv_general_dilated(images, KERNEL, (2, 2), "SAME",
                                                     dimension_numbers=("NHWC", "HWIO", "NHWC")))  # fmt: skip
    with jax.named_scope("parts"):
        x = jnp.tanh(x)
    return x.mean((1, 2))


LAYERS = ["edges", "parts"]


def read(image):
    return {name: jnp.asarray(array) for name, array in dp.activations(net, image, LAYERS).items()}


def test_activations_are_those_of_the_network():
    found = dp.activations(net, PHOTO, ["edges", "output"])
    out, taps = dp.tap(net, "edges")(PHOTO[None])
    assert list(found) == ["edges", "output"] and found["edges"].shape == (4, 4, 4)
    # one compiled program against single operations: float32 rounding
    np.testing.assert_allclose(found["edges"], taps["edges"][0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["output"], out[0], rtol=1e-5, atol=1e-6)


def test_the_picture_itself_is_the_mark():
    exact = {"rtol": 1e-5, "atol": 1e-6}  # float32 rounding
    found = read(PHOTO)
    np.testing.assert_allclose(dp.caricature(net, PHOTO, LAYERS, power=3)(found), 1.0, **exact)
    np.testing.assert_allclose(dp.feature_inversion(net, PHOTO, LAYERS)(found), 0.0, **exact)
    np.testing.assert_allclose(dp.style(net, PHOTO, LAYERS)(found), 0.0, **exact)
    twice = {name: 2 * array for name, array in found.items()}
    np.testing.assert_allclose(dp.caricature(net, PHOTO, LAYERS, power=3)(twice), 2.0, **exact)
    np.testing.assert_allclose(dp.feature_inversion(net, PHOTO, "edges")(twice), -1.0, **exact)
    np.testing.assert_allclose(dp.style(net, PHOTO, "edges")(twice), -9.0, **exact)  # (4 G - G)^2 / G^2


def test_layers_count_alike_however_loud_they_are():
    found = read(PHOTO)
    both = dp.caricature(net, PHOTO, LAYERS, power=0)
    one = {"edges": 3 * found["edges"], "parts": found["parts"]}
    other = {"edges": found["edges"], "parts": 3 * found["parts"]}
    np.testing.assert_allclose(both(one), both(other), rtol=1e-5)


def test_style_does_not_mind_where_things_are():
    style, found = dp.style(net, PHOTO, "edges"), read(PHOTO)
    moved = {"edges": jnp.roll(found["edges"], (1, 2), (0, 1))}
    np.testing.assert_allclose(style(moved), 0.0, atol=1e-6)
    assert dp.feature_inversion(net, PHOTO, "edges")(moved) < -0.1
    assert not style.placed and dp.caricature(net, PHOTO, "edges").placed
    assert (dp.logit(1) + 2 * dp.feature_inversion(net, PHOTO, "edges")).placed


def test_accentuation_is_the_objective_less_the_way_from_the_photograph():
    found = read(1 - PHOTO)
    wish = dp.accentuation(dp.channel("parts", 1), net, PHOTO, "edges", weight=0.5)
    apart = dp.feature_inversion(net, PHOTO, "edges")(found)
    np.testing.assert_allclose(wish(found), dp.channel("parts", 1)(found) + 0.5 * apart, rtol=1e-5)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.float32),
        np.zeros((1, 8, 8, 3), np.float32),
        np.zeros((8, 8, 4), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.full((8, 8, 3), 255, np.float32),
        np.full((8, 8, 3), np.nan, np.float32),
        np.zeros((0, 8, 3), np.float32),
    ],
)
def test_pictures_of_another_form_are_refused(image):
    with pytest.raises(InvalidInput, match="a picture"):
        dp.caricature(net, image, "edges")


@pytest.mark.parametrize("layers", [[], (), [3]])
def test_no_layers_are_refused(layers):
    with pytest.raises(InvalidInput, match="the layers"):
        dp.style(net, PHOTO, layers)


def test_a_layer_that_is_not_there_is_named_with_its_neighbours():
    with pytest.raises(InvalidInput, match=r"(?s)'edgs'.*edges"):
        dp.caricature(net, PHOTO, "edgs")


def test_a_picture_that_excites_nothing_cannot_be_a_reference():
    with pytest.raises(InvalidInput, match=r"a reference for relu.*0 everywhere"):
        dp.caricature(lambda x: jax.nn.relu(x - 2).sum((1, 2)), PHOTO, "relu")


def test_a_photograph_of_another_size_is_refused_with_both_shapes():
    with pytest.raises(InvalidInput, match=r"(?s)\[4, 4, 4\] for edges.*\[8, 8, 4\].*same size"):
        dp.visualize(net, dp.caricature(net, PHOTO, "edges"), size=16, steps=1)
