"""Regularizers: one table that all of them pass, and closed forms on pictures simple enough to know them."""

import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import diffprog as dp
from diffprog.errors import InvalidInput
from diffprog.vision import recipes
from diffprog.vision import regularizers as r

pytestmark = pytest.mark.usefixtures("compiled_plainly")

RAMP = jnp.linspace(0, 1, 11)[:, None, None] * jnp.ones((11, 11, 3))
BOARD = jnp.asarray((np.indices((8, 8)).sum(0) % 2)[..., None] * np.ones(3), jnp.float32)
GREY = jnp.full((8, 8, 3), 0.5)


def with_opacity(image, opacity):
    return jnp.concatenate([image, jnp.broadcast_to(opacity, (*image.shape[:2], 1))], -1)


TABLE = {
    "total variation": (r.TotalVariation(), 3),
    "l1": (r.L1(), 3),
    "l2": (r.L2(), 3),
    "l infinity": (r.LInfinity(), 3),
    "power norm": (r.PowerNorm(), 3),
    "likeness": (r.Likeness().of(np.zeros((8, 8, 3), np.float32)), 3),
    "blur": (r.Blur(), 3),
    "blur step": (r.BlurStep(), 3),
    "high frequency": (r.HighFrequency(), 3),
    "boundary": (r.Boundary(width=2), 3),
    "opacity": (r.Opacity(), 4),
    "opacity norm": (r.OpacityNorm(), 4),
    "opacity blur": (r.OpacityBlur(), 4),
    "balanced": (r.Balanced(r.TotalVariation()), 3),
}
every_regularizer = pytest.mark.parametrize("name", TABLE)


def test_the_table_has_every_regularizer_of_the_room():
    rooms = {name: part for name, part in vars(r).items() if inspect.isclass(part)}
    found = {name for name, part in rooms.items() if dataclasses.is_dataclass(part)}
    assert found == {type(one).__name__ for one, _ in TABLE.values()}


@every_regularizer
def test_gradients_are_finite_everywhere_even_on_flat_grey(name):
    one, channels = TABLE[name]
    both = jax.jit(jax.value_and_grad(one))
    for image in (GREY, BOARD):
        value, gradient = both(with_opacity(image, 0.0) if channels == 4 else image)
        assert np.isfinite(value) and np.isfinite(gradient).all()


@every_regularizer
def test_a_penalty_is_at_least_nothing_and_its_weight_multiplies_it(name):
    one, channels = TABLE[name]
    image = jax.random.uniform(jax.random.key(0), (8, 8, channels))
    value = float(jax.jit(one)(image))
    assert value > 0
    if name != "balanced":
        twice = dataclasses.replace(one, weight=2 * one.weight)
        assert float(jax.jit(twice)(image)) == pytest.approx(2 * value, rel=1e-6)


@pytest.mark.parametrize(
    ("one", "image", "expected"),
    [
        (r.TotalVariation(), RAMP, 0.1),
        (r.TotalVariation(3.0), BOARD, 6.0),
        (r.L1(2.0), BOARD, 1.0),
        (r.L1(level=0.0), GREY, 0.5),
        (r.L2(), BOARD, 0.5),
        (r.LInfinity(), RAMP, 0.5),
        (r.LInfinity(level=0.0), RAMP, 1.0),
        (r.PowerNorm(power=6.0), BOARD, 0.5),
        (r.PowerNorm(power=2.0, level=0.0), BOARD, np.sqrt(0.5)),
        (r.Likeness(2.0).of(np.zeros((8, 8, 3), np.float32)), BOARD, 1.0),
        (r.Blur(), GREY, 0.0),
        (r.BlurStep(), GREY, 0.0),
        (r.HighFrequency(), BOARD, 1.0),
        (r.Boundary(width=2), GREY, 0.0),
        (r.Boundary(width=2, level=0.0), GREY, 0.8 * 0.25),
        (r.Opacity(), with_opacity(BOARD, 0.25), 0.25),
        (r.OpacityNorm(), with_opacity(BOARD, BOARD[..., :1]), np.sqrt(0.5)),
        (r.OpacityBlur(), with_opacity(BOARD, 0.5), 0.0),
    ],
    ids=str,
)
def test_closed_forms(one, image, expected):
    assert float(jax.jit(one)(image)) == pytest.approx(expected, abs=1e-4)  # L2 has 1e-6 under its root


def test_blurring_a_chessboard_costs_more_than_blurring_what_is_smooth():
    blur = jax.jit(r.Blur())
    assert blur(BOARD) > 100 * blur(RAMP)
    wave = np.cos(2 * np.pi * np.arange(16) / 16)[:, None, None] * np.ones(
        (16, 12, 3)
    )  # one period a picture
    wave = jnp.asarray(wave, jnp.float32)
    assert jax.jit(r.HighFrequency())(wave) < 1e-6


def test_a_plain_step_on_the_blur_is_blurring():
    image = jax.random.uniform(jax.random.key(0), (7, 6, 3))
    stepped = jax.jit(lambda image: image - 0.3 * image.size * jax.grad(r.BlurStep())(image))(image)
    blurred = jax.jit(lambda image: 0.7 * image + 0.3 * r.detail.blurred(image))(image)
    np.testing.assert_allclose(stepped, blurred, atol=1e-6)


def test_the_inside_of_a_frame_is_free():
    inside = GREY.at[3:5, 3:5].set(1.0)
    assert float(r.Boundary(width=2)(inside)) == pytest.approx(0, abs=1e-7)
    assert r.Boundary(width=2)(GREY.at[0, 0].set(1.0)) > 0


def test_a_high_power_looks_at_the_largest_and_does_not_overflow():
    image = jax.random.uniform(jax.random.key(0), (16, 16, 3))
    high = float(r.PowerNorm(power=200.0)(image))
    assert high == pytest.approx(float(r.LInfinity()(image)), rel=0.07)  # (1 / 768)^(1 / 200) = .967


def test_opacity_is_asked_of_transparent_pictures_only():
    for one in (r.Opacity(), r.OpacityNorm(), r.OpacityBlur()):
        with pytest.raises(InvalidInput, match="whose opacity is asked for"):
            one(GREY)


def test_likeness_needs_a_photograph_of_the_same_shape():
    with pytest.raises(InvalidInput, match="no photograph"):
        r.Likeness()(GREY)
    with pytest.raises(InvalidInput, match=r"one of \(4, 4, 3\)"):
        r.Likeness().of(np.zeros((4, 4, 3), np.float32))(GREY)


# ---- balancing ----------------------------------------------------------------------------------------------


def loud(factor):
    return lambda images: factor * jnp.tanh(4 * images - 2).mean((1, 2))[:, :2]


def balanced(share):
    part = r.Balanced(r.TotalVariation(), share)
    return recipes.PIXEL.replace(regularizers=(part,), size=16, steps=3)


def test_a_balanced_regularizer_pulls_its_share_of_what_the_objective_pulls():
    from diffprog.vision.balance import weights
    from diffprog.vision.program import Program

    for factor in (1.0, 50.0):
        recipe = balanced(0.25)
        program = Program(loud(factor), [dp.logit(0)], recipe)
        keys = jax.random.key(3)[None]
        params, args = program.start(keys), program.arguments([dp.logit(0)])
        cost = program._cost(program.seen)
        found = weights(recipe, cost, params, keys, args)

        @jax.jit
        def pull(weight, cost=cost, keys=keys, args=args, params=params):
            weight = jnp.full((1, 1), weight)
            return jax.grad(lambda params: cost(params, keys, *args[:-1], weight, 0.0)[0])(params)

        objective, both = np.asarray(pull(0.0)), np.asarray(pull(float(found[0, 0])))
        share = np.abs(both - objective).sum() / np.abs(objective).sum()
        assert float(share) == pytest.approx(0.25, rel=1e-3)  # a difference of float32 gradients


def test_loud_and_quiet_units_are_balanced_alike_and_picture_by_picture():
    quiet, noisy = (dp.visualize(loud(f), dp.logit(0), recipe=balanced(0.5), n=2) for f in (1.0, 64.0))
    np.testing.assert_allclose(quiet.images, noisy.images, atol=1e-5)  # Adam sees the ratio of gradients only
    alone = dp.visualize(loud(1.0), dp.logit(0), recipe=balanced(0.5), key=1)
    np.testing.assert_allclose(alone.images[0], quiet.images[1], atol=1e-6)


def test_what_does_not_pull_at_the_start_cannot_be_balanced():
    recipe = recipes.PIXEL.of(np.full((16, 16, 3), 0.25, np.float32)).replace(
        regularizers=(r.Balanced(r.BlurStep()),), steps=2
    )
    with pytest.raises(InvalidInput, match="does not pull at the start"):
        dp.visualize(loud(1.0), dp.logit(0), recipe=recipe)
    with pytest.raises(InvalidInput, match="share=0"):
        r.Balanced(r.L1(), 0)
