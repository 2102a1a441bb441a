"""Scores, transfer and variety with networks that can be computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import diffprog as dp
from diffprog.errors import InvalidInput
from diffprog.vision import recipes, transforms
from diffprog.vision.measures import scores, transfer, variety, wanted_class
from diffprog.vision.measures.sight import DRAWS, PERCENTILE, as_seen

SIDE = 32
RNG = np.random.default_rng(0)
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
PATTERNS = np.stack(
    [np.exp(-8 * (ROWS**2 + COLUMNS**2)), np.sign(RNG.normal(size=(SIDE, SIDE)))]  # a blob, and pixel noise
)
PATTERNS -= PATTERNS.mean((1, 2), keepdims=True)
PATTERNS /= np.sqrt((PATTERNS**2).mean((1, 2), keepdims=True))
PICTURES = (0.5 + 0.1 * np.repeat(PATTERNS[..., None], 3, -1)).astype(np.float32)


def matched(images):
    """How like each of the two patterns a picture is, and how bright: [B, 3]."""
    patterns = np.concatenate([PATTERNS, np.ones((1, SIDE, SIDE))]).astype(np.float32)
    return jnp.einsum("bhwc,nhw->bn", images - 0.5, patterns) / (3 * SIDE**2)


matched.input_size = SIDE


def painted(images):
    """A network of one layer with a name, which is the picture."""
    with jax.named_scope("paint"):
        layer = jax.nn.relu(images)
    return layer.mean((1, 2))


def test_what_does_not_survive_a_view_is_found_out():
    found = scores(matched, [dp.logit(0), dp.logit(1)], PICTURES)
    np.testing.assert_allclose(found.plain, 0.1, atol=1e-4)  # both match exactly as they are; float32 sums
    assert found.mean[0] > 0.06  # a blob moved by 8 % and turned is still that blob
    assert found.mean[1] < 0.01  # noise moved by a pixel is other noise
    assert (found.low < found.mean).all()


def test_views_depend_on_the_key_alone_and_pictures_do_not_meet():
    both = scores(matched, [dp.logit(0), dp.logit(1)], PICTURES, key=3)
    alone = scores(matched, [dp.logit(1)], PICTURES[1:], key=jax.random.key(3))
    # The views' scores are the same to the last bit; a mean may add them up in another order.
    np.testing.assert_allclose([part[0] for part in alone], [part[1] for part in both], rtol=1e-13)
    other = scores(matched, [dp.logit(1)], PICTURES[1:], key=4)
    assert other.plain[0] == alone.plain[0] and abs(other.mean[0] - alone.mean[0]) > 1e-6


def test_the_percentile_is_that_of_the_views():
    flat = np.full((1, SIDE, SIDE, 3), 0.5, np.float32)
    found = scores(matched, [dp.logit(2)], flat)
    # Of a flat grey picture only brightness moves the mean, by U(-.1, .1); the edges that come into view are grey too.
    assert found.mean[0] == pytest.approx(
        0, abs=3 * 0.058 / np.sqrt(DRAWS)
    )  # three standard errors, and below
    assert found.low[0] == pytest.approx(-0.1 + 0.2 * PERCENTILE / 100, abs=3 * 0.2 * np.sqrt(0.0475 / DRAWS))


def test_pictures_that_are_compared_with_each_other_are_one_group():
    objective = dp.diversity("paint")
    found = scores(painted, [objective, objective], PICTURES, draws=2)
    expected = jax.jit(objective.together)({"paint": PICTURES})
    np.testing.assert_allclose(found.plain, expected, rtol=1e-5)  # the same sums in another order


def test_bad_questions_are_refused():
    with pytest.raises(InvalidInput, match="draws=0"):
        scores(matched, [dp.logit(0)], PICTURES[:1], draws=0)
    with pytest.raises(InvalidInput):
        scores(matched, [dp.logit(3)], PICTURES[:1], draws=1)
    with pytest.raises(InvalidInput):
        scores(painted, [dp.channel("pain", 0)], PICTURES[:1], draws=1)


def test_a_drawing_is_seen_as_it_was_drawn_and_a_photograph_by_its_middle():
    wide = np.zeros((16, 40, 3), np.float32)
    wide[:, 12:28] = 1.0
    np.testing.assert_allclose(as_seen(wide, None, 8), 1.0, rtol=1e-6)  # weights of sum 1, rounded
    small = recipes.Recipe(transforms=(transforms.Shift(3.0), transforms.Resize(24)))
    assert as_seen(PICTURES[0], small, None).shape == (24, 24, 3)
    assert as_seen(PICTURES[0], small.replace(transforms=()), None) == pytest.approx(PICTURES[0])
    assert as_seen(PICTURES[0], small, 8).shape == (8, 8, 3)
    glass = np.concatenate([wide, np.zeros((16, 40, 1), np.float32)], -1)
    np.testing.assert_allclose(as_seen(glass, None, 8), 0.5, rtol=1e-6)  # all transparent: grey


def test_transfer_is_rank_and_probability():
    logits = np.array([0.0, 3.0, 1.0, 2.0, 1.0], np.float32)
    judges = {"fixed": lambda images: jnp.tile(logits, (len(images), 1)), "matched": matched}
    found = transfer(judges, [PICTURES[0], PICTURES[0]], [2, 1][::-1])
    exact = np.exp(logits) / np.exp(logits).sum()
    assert [one.judge for one in found[0]] == ["fixed", "matched"]
    assert [found[n][0].rank for n in (0, 1)] == [
        1,
        3,
    ]  # 1 is behind nothing, 2 behind two, its equal not counted
    np.testing.assert_allclose([found[n][0].probability for n in (0, 1)], exact[[1, 2]], rtol=1e-5)
    assert [one.first for one in found[0]] == [1, 0] and found[0][0].top1 and not found[1][0].top1
    assert found[1][0].top5
    with pytest.raises(InvalidInput, match="class 5"):
        transfer(judges, [PICTURES[0]], [5])
    with pytest.raises(InvalidInput, match="not finite"):
        transfer({"broken": lambda images: jnp.full((1, 5), jnp.nan)}, [PICTURES[0]], [1])


def test_the_class_that_an_objective_asks_for():
    asked = {
        4: [
            dp.logit(4),
            dp.log_probability(4) + 2 * dp.logit(4),
            dp.logit(4) - dp.layer("a"),
            1 * dp.logit(4),
        ],
        None: [dp.channel("a", 4), dp.logit(4) + dp.logit(5), -1 * dp.logit(4), dp.layer("a")],
    }
    for expected, objectives in asked.items():
        assert [wanted_class(one) for one in objectives] == [expected] * 4


def test_variety_goes_from_the_same_to_nothing_in_common():
    red, green = (np.zeros((8, 8, 3), np.float32) for _ in range(2))
    red[..., 0], green[..., 1] = 1.0, 1.0
    assert variety(painted, np.stack([red, red]), layer="paint").value == pytest.approx(0, abs=1e-6)
    apart = variety(painted, np.stack([red, green, red]), objective=dp.channel("paint", 0))
    assert apart.value == pytest.approx(2 / 3, abs=1e-6)  # two of three pairs have nothing in common
    assert (apart.layer, apart.pictures) == ("paint", 3)
    assert variety(painted, np.stack([red, green])).layer == "paint"  # the one with positions
    for images, layer in ((red[None], "paint"), (np.stack([red, red]), "nowhere")):
        with pytest.raises(InvalidInput):
            variety(painted, images, layer=layer)
    with pytest.raises(InvalidInput, match="no layer has positions"):
        variety(lambda images: jnp.reshape(images, (len(images), -1)), np.stack([red, green]))
