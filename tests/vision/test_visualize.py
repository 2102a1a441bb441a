"""Drawing as a user sees it: pictures that excite their units, keys, networks of one's own, and bad requests."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import diffprog as dp
from diffprog.errors import InvalidInput
from diffprog.vision import recipes, transforms

QUICK = recipes.DEFAULT.replace(size=48, steps=24, redirect_steps=0)  # one program to compile, not two
SHIFTED = recipes.PIXEL.replace(transforms=(transforms.Shift(2.0),), redirect_steps=0)


class Small(linen.Module):
    """A network that knows nothing of us."""

    @linen.compact
    def __call__(self, images):
        x = linen.relu(linen.Conv(8, (5, 5), strides=(2, 2))(images - 0.5))
        x = linen.relu(linen.Conv(12, (3, 3))(x))
        return linen.Dense(7)(x.mean((1, 2)))


@pytest.fixture(scope="module")
def small():
    module = Small()
    params = module.init(jax.random.key(5), jnp.zeros((1, 32, 32, 3)))
    return lambda images: module.apply(params, images)


@pytest.fixture(scope="module")
def net():
    return dp.models.load("squeezenet")


@pytest.fixture(scope="module")
def nine(net):
    """The drawing that several tests look at: other keys, classes and numbers of pictures compile nothing."""
    return dp.visualize(net, net.logit(9), recipe=QUICK, key=3)


OBJECTIVES = {
    "logit": dp.logit(3),
    "channel": dp.channel("Conv_1", 4),
    "neuron": dp.neuron("Conv_1", 4),
    "neuron at": dp.neuron("Conv_0", 2, (3, 5)),
    "unit": dp.unit("Dense_0", 6),
    "layer": dp.layer("Conv_1"),
    "log probability": dp.log_probability(2),
    "sum": dp.channel("Conv_1", 4) + 0.5 * dp.channel("Conv_0", 1),
    "difference": dp.logit(3) - 2 * dp.logit(1),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_is_raised_on_a_network_of_ones_own(small, name):
    drawing = dp.visualize(small, OBJECTIVES[name], recipe=SHIFTED, size=32, steps=40)
    assert drawing.images.shape == (1, 32, 32, 3) and drawing.images.dtype == np.float32
    assert drawing.history.shape == (40, 1)
    assert (
        drawing.scores[0] > drawing.history[0, 0] and drawing.history[-5:].mean() > drawing.history[:5].mean()
    )


def test_an_nnx_module_is_drawn_from_without_editing_it():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.conv = nnx.Conv(3, 6, (3, 3), rngs=rngs)
            self.head = nnx.Linear(6, 4, rngs=rngs)

        def __call__(self, images):
            return self.head(nnx.relu(self.conv(images)).mean((1, 2)))

    drawing = dp.visualize(Net(nnx.Rngs(0)), dp.channel("conv", 2), recipe=SHIFTED, size=32, steps=40)
    assert drawing.scores[0] > drawing.history[0, 0]


def test_the_class_comes_first_for_the_network_it_was_drawn_with(net):
    classes = [985, 417]  # a daisy and a balloon come first by a wide margin, even in small pictures
    drawing = dp.visualize(net, [net.logit(c) for c in classes], recipe=QUICK.replace(size=128, steps=128))
    assert net(jnp.asarray(drawing.images)).argmax(-1).tolist() == classes


def test_same_key_same_picture_and_other_key_another(net, nine):
    again, other = (dp.visualize(net, net.logit(9), recipe=QUICK, key=k).images for k in (3, 4))
    assert (nine.images == again).all() and (nine.images != other).any()


def test_picture_i_of_several_is_picture_i_alone(net, nine):
    several = dp.visualize(net, net.logit(9), recipe=QUICK, n=3, key=1)
    assert np.abs(several.images[2] - nine.images[0]).max() <= 1e-5


def test_a_residual_network_is_drawn_through_many_shallower_ones():
    weights = jax.random.normal(jax.random.key(0), (2, 12, 12)) / 4

    def residual(images):
        x = images.reshape(len(images), 8, 8, 12)
        for one in weights:
            x = x + jax.nn.relu(x @ one)
        return x.mean((1, 2))

    whole = SHIFTED.replace(size=16, steps=24)
    wish = {"objective": dp.logit(3), "n": 3, "key": 1}
    for views in (1, 2):
        thinned = whole.replace(stochastic_depth=0.9, views=views)
        several = dp.visualize(residual, recipe=thinned, **wish)
        alone = dp.visualize(residual, recipe=thinned, **wish | {"n": 1, "key": 3})
        plain = dp.visualize(residual, recipe=whole.replace(views=views), **wish)
        assert np.abs(several.images[2] - alone.images[0]).max() <= 1e-5
        assert (several.scores > several.history[0]).all() and np.abs(
            several.images - plain.images
        ).max() > 0.01
        # What is seen on the way changes from step to step; the verdict is the whole network's.
        assert several.scores == pytest.approx(np.asarray(residual(several.images))[:, 3], rel=1e-4)


def test_several_objectives_of_one_form(net):
    together = dp.visualize(net, [net.logit(1), net.logit(2)], recipe=QUICK, n=2)
    alone = dp.visualize(net, net.logit(2), recipe=QUICK, n=2)
    assert together.images.shape[0] == 4
    assert (together.images[2:] == alone.images).all() and (together.scores[2:] == alone.scores).all()


def test_scores_say_what_the_network_says(net, nine):
    logits = jax.jit(net)(jnp.asarray(nine.images))
    assert nine.scores[0] == pytest.approx(float(logits[0, 9]), rel=1e-4)  # two compiled float32 programs
    assert nine.robust_scores[0] != nine.scores[0]


def test_a_dead_unit_is_woken_by_the_redirected_steps():
    def dead(images):  # no picture in [0, 1] near grey reaches it, and relu passes no gradient below zero
        return jax.nn.relu(images.mean((1, 2)) * 4 - 2.2)

    with pytest.raises(
        InvalidInput, match=r"stayed at 0 through all 40 steps.*ends at relu \(test_visualize"
    ):
        dp.visualize(dead, dp.logit(0), recipe=SHIFTED, size=32, steps=40)
    redirected = SHIFTED.replace(redirect_steps=16)
    woken = dp.visualize(dead, dp.logit(0), recipe=redirected, size=32, steps=40)
    assert woken.scores[0] > 0
    only_if_silent = redirected.replace(redirect_always=False)
    also = dp.visualize(dead, dp.logit(0), recipe=only_if_silent, size=32, steps=40)
    assert (also.images == woken.images).all()


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"n": 0}, "n=0"),
        ({"n": -2}, "n=-2"),
        ({"steps": 0}, "steps=0"),
        ({"size": -5}, "size=-5"),
        ({"size": 8}, "at least 31"),
        ({"objective": dp.channel("fire99", 0)}, "fire99"),
        ({"objective": dp.channel("fire5", 256)}, "channel 256 of fire5"),
        ({"objective": dp.neuron("fire5", 0, (99, 0))}, "row 99 of fire5"),
        ({"objective": dp.neuron("logits", 0, (1, 1))}, "position of 2 numbers in logits"),
        ({"objective": dp.logit(1000)}, "channel 1000 of output"),
        ({"objective": []}, "0 objectives"),
        ({"key": jax.random.split(jax.random.key(0), 3)}, "keys of shape"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_drawn(net, wish, message):
    wish = {"objective": net.logit(0), "recipe": recipes.DEFAULT, **wish}
    with pytest.raises(InvalidInput, match=message) as refused:
        dp.visualize(net, wish.pop("objective"), **wish)
    assert refused.value.expected and refused.value.remedy


@pytest.mark.parametrize("model", [lambda x: x.mean(), lambda x: (x, x), lambda x: x[0]])
def test_a_model_of_the_wrong_shape_is_refused(model):
    with pytest.raises(InvalidInput, match="model that returns"):
        dp.visualize(model, dp.logit(0), size=32, steps=2)
