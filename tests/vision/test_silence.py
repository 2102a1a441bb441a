"""Objectives without a gradient, and pictures without memory: said in words, before or in place of a grey picture."""

import jax
import jax.numpy as jnp
import pytest

import diffprog as dp
from diffprog.errors import InvalidInput
from diffprog.machine import memory
from diffprog.vision.recipes import DEFAULT, Recipe

pytestmark = pytest.mark.usefixtures("compiled_plainly")

QUICK = Recipe(size=16, steps=3, redirect_steps=0)


def rounded(images):
    with jax.named_scope("codes"):
        return jnp.round(images * 8).mean((1, 2))


def chosen(images):
    return jax.nn.one_hot(images.mean((1, 2)).argmax(-1), 3)


def stopped(images):
    return jax.lax.stop_gradient(images).mean((1, 2))


def constant(images):
    return jnp.ones((len(images), 3))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (rounded, r"round is a step.*At codes/round/round, test_silence\.py:\d+ \(rounded\)"),
        (chosen, r"argmax gives an index.*test_silence\.py:\d+ \(chosen\)"),
        (stopped, r"stop_gradient stops the gradient.*test_silence\.py:\d+ \(stopped\)"),
        (constant, "does not depend on pictures"),
    ],
)
@pytest.mark.parametrize("recipe", [QUICK, DEFAULT.replace(size=16, steps=3)], ids=["bare", "default"])
def test_a_gradient_that_is_zero_whatever_the_picture(model, message, recipe):
    with pytest.raises(InvalidInput, match=message) as refused:
        dp.visualize(model, dp.logit(1), recipe=recipe)
    assert refused.value.expected and refused.value.remedy


def test_a_path_around_the_step_is_enough():
    drawing = dp.visualize(lambda x: (jnp.round(x) + x).mean((1, 2)), dp.logit(1), recipe=QUICK)
    assert drawing.scores[0] > drawing.history[0, 0]


def test_a_group_without_a_gradient():
    with pytest.raises(InvalidInput, match="round is a step"):
        dp.visualize(rounded, dp.logit(0) + dp.diversity("codes/round"), recipe=QUICK, n=2)


def test_a_unit_that_is_off_for_all_that_was_tried_is_named():
    def dead(images):
        return jax.nn.relu(images.mean((1, 2)) - 5)

    with pytest.raises(
        InvalidInput, match=r"at 0 through all 40 steps.*relu \(test_silence\.py:\d+"
    ) as refused:
        dp.visualize(dead, dp.logit(1), recipe=QUICK.replace(steps=40), n=2)
    assert "redirect_steps" in refused.value.remedy
    assert dp.visualize(dead, dp.logit(1), recipe=QUICK).scores[0] == 0  # three steps prove nothing


def test_one_unit_that_is_off_does_not_cost_the_others_their_pictures():
    def half_dead(images):
        return jax.nn.relu(images.mean((1, 2)) - jnp.array([0.0, 5.0, 0.0]))

    drawing = dp.visualize(half_dead, [dp.logit(0), dp.logit(1)], recipe=QUICK.replace(steps=40))
    assert drawing.scores[0] > 0 and drawing.scores[1] == 0


def test_a_score_that_stands_still_with_a_gradient_is_no_silence():
    drawing = dp.visualize(
        lambda x: 1e4 + 1e-6 * x.mean((1, 2)), dp.logit(0), recipe=QUICK.replace(steps=40)
    )  # below float32's steps
    assert (drawing.history == 1e4).all()


def test_a_canvas_that_does_not_fit_is_refused_before_it_is_drawn(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: 2 << 20)
    with pytest.raises(
        InvalidInput, match=r"(?s)256x256 pixels, which takes \d+ MiB.*at most 2 MiB"
    ) as refused:
        dp.visualize(lambda x: x.mean((1, 2)), dp.logit(0), recipe=QUICK.replace(size=256))
    assert refused.value.remedy.startswith("size=") and int(refused.value.remedy[5:]) < 256


def test_where_free_memory_is_unknown_nothing_is_claimed(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: None)
    assert dp.visualize(lambda x: x.mean((1, 2)), dp.logit(0), recipe=QUICK).stopped == "finished"
