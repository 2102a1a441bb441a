"""Attribution: backward and forward mode say the same, by closed form, in float64, and on a real network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import data

import diffprog as dp
from diffprog import rules
from diffprog.errors import InvalidInput

RANDOM = np.random.default_rng(0)
KERNEL, HEAD = RANDOM.standard_normal((3, 3, 3, 4)), RANDOM.standard_normal((4, 6))
PHOTO = RANDOM.random((9, 9, 3))


def net(images):
    """A convolution, a pool and a head, of this package's rules."""
    kernel, head = jnp.asarray(KERNEL, images.dtype), jnp.asarray(HEAD, images.dtype)
    with jax.named_scope("edges"):
        x = rules.relu(rules.conv_general_dilated(images, kernel, (1, 1), "SAME",
                                                  dimension_numbers=("NHWC", "HWIO", "NHWC")))  # fmt: skip
    with jax.named_scope("pool"):
        x = rules.max_pool(x, (2, 2), strides=(2, 2), padding="VALID")
    return rules.sigmoid(x).mean((1, 2)) @ head


def linear(images):
    with jax.named_scope("hidden"):
        x = jax.nn.relu(images - 0.5)
    return x.sum((1, 2)) @ jnp.asarray(HEAD[:3], images.dtype)


EXACT = {"rtol": 1e-9, "atol": 1e-12}  # float64, a hundred terms of size one


def test_behind_the_layer_all_is_linear_and_contributions_add_up_to_the_score(x64):
    found = dp.attribution(linear, PHOTO, dp.logit(2), "hidden")
    hidden = np.maximum(PHOTO - 0.5, 0)
    np.testing.assert_allclose(found.values, hidden * HEAD[:3, 2], **EXACT)
    np.testing.assert_allclose(found.total, found.score, **EXACT)
    np.testing.assert_allclose(found.channels, (hidden * HEAD[:3, 2]).sum((0, 1)), **EXACT)
    np.testing.assert_allclose(found.positions, (hidden @ HEAD[:3, 2]), **EXACT)
    assert found.most(1)[0][0] == int(found.channels.argmax())


@pytest.mark.parametrize("layer", ["edges", "pool"])
def test_forward_mode_is_backward_mode_read_along_the_other_side(layer, x64):
    positions, channels = (dp.influence(net, PHOTO, layer, parts) for parts in ("positions", "channels"))
    assert positions.shape == (*((9, 9) if layer == "edges" else (4, 4)), 6) and channels.shape == (4, 6)
    for index in (1, 4):
        found = dp.attribution(net, PHOTO, dp.logit(index), layer)
        np.testing.assert_allclose(positions[..., index], found.positions, **EXACT)
        np.testing.assert_allclose(channels[..., index], found.channels, **EXACT)


def test_the_push_along_the_whole_activation_is_the_total_and_the_slope_of_scaling_it(x64):
    edges = dp.activations(net, PHOTO, "edges")["edges"]
    whole = dp.influence(net, PHOTO, "edges", edges[None])[0]
    for index in (1, 4):
        total = dp.attribution(net, PHOTO, dp.logit(index), "edges").total
        np.testing.assert_allclose(whole[index], total, **EXACT)
    graph, step = dp.trace(net, PHOTO[None]), 1e-5

    @jax.jit
    def scaled(factor):
        return graph.run(PHOTO[None], replace={"edges": edges[None] * factor})[0][0]

    up, down = scaled(1 + step), scaled(1 - step)
    # Central differences: step^2 of the third derivative and 1e-16 / step of rounding.
    np.testing.assert_allclose(whole, (up - down) / (2 * step), rtol=1e-7, atol=1e-9)


def test_an_inner_layer_can_be_what_is_asked_about(x64):
    to_pool = dp.influence(net, PHOTO, "edges", "channels", to="pool")
    pool = dp.activations(net, PHOTO, "pool")["pool"]
    assert to_pool.shape == (4, 4, 4, 4)
    for channel in range(4):  # a pool hands on its own channel, and nothing of the others
        np.testing.assert_allclose(to_pool[channel][..., channel], pool[..., channel], **EXACT)
        assert not np.delete(to_pool[channel], channel, -1).any()


def test_on_a_real_network_and_photograph():
    net, layer = dp.models.load("squeezenet"), "pool5"
    photo = data.chelsea()[20:280:4, 100:360:4].astype(np.float32) / 255  # a cat's face, 65 x 65
    cat = net.class_index("Egyptian cat")
    found = dp.attribution(net, photo, net.logit(cat), layer)
    channels = dp.influence(net, photo, layer, "channels")
    # float32: contributions of some 0.01 to 10, summed over some positions in another order
    np.testing.assert_allclose(
        channels[:, cat], found.channels, rtol=2e-3, atol=2e-4 * np.abs(channels).max()
    )
    logits = jax.jit(net)(jnp.asarray(photo)[None])[0]
    assert found.score == pytest.approx(float(logits[cat]), rel=1e-4)


def test_squeezenet_in_double_precision(x64):
    from diffprog.models.squeezenet import SqueezeNet

    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), dp.models.load("squeezenet").params)
    photo = data.chelsea()[20:280:4, 100:360:4] / 255

    def model(images):
        return SqueezeNet().apply({"params": params}, images)

    positions = dp.influence(model, photo, "fire9", "positions")
    found = dp.attribution(model, photo, dp.logit(285), "fire9")
    assert positions.dtype == np.float64
    np.testing.assert_allclose(positions[..., 285], found.positions, rtol=1e-9, atol=1e-9)


def test_the_weighted_objective_points_to_what_spoke_for_the_class():
    wish = dp.attribution_weighted(linear, PHOTO.astype(np.float32), dp.logit(2), "hidden")
    found = dp.attribution(linear, PHOTO.astype(np.float32), dp.logit(2), "hidden").channels
    np.testing.assert_allclose(wish.weights, found / np.linalg.norm(found), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dp.attribution(net, PHOTO, dp.logit(9), "edges"), "channel 9 of output"),
        (lambda: dp.attribution(net, PHOTO, dp.logit(0), "edgs"), "'edgs'"),
        (lambda: dp.attribution(net, PHOTO, dp.diversity("pool"), "edges"), "compares pictures"),
        (lambda: dp.attribution(net, PHOTO[0], dp.logit(0), "edges"), "a picture"),
        (lambda: dp.influence(net, PHOTO, "edges", "rows"), "parts 'rows'"),
        (lambda: dp.influence(net, PHOTO, "edges", np.ones((2, 3))), "parts of shape"),
        (lambda: dp.influence(net, PHOTO, "edges", to="pol"), "'pol'"),
        (lambda: dp.attribution_weighted(net, PHOTO, dp.channel("edges", 0), "pool"), "0 everywhere"),
    ],
)
def test_bad_requests_are_refused(call, message):
    with pytest.raises(InvalidInput, match=message) as refused:
        call()
    assert refused.value.expected and refused.value.remedy
