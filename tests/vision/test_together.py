"""Joint objectives drawn: the group is one drawing; and several units, directions or references are one program."""

from contextlib import contextmanager

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

import diffprog as dp
from diffprog.errors import InvalidInput
from diffprog.optimize.progress import silent
from diffprog.vision import read_request, recipes, transform
from diffprog.vision.canvases import Pixel
from diffprog.vision.parts import Job
from diffprog.vision.program import Program
from diffprog.vision.recipes import Adam, Recipe

pytestmark = pytest.mark.usefixtures("compiled_plainly")

KERNEL = jax.random.normal(jax.random.key(1), (5, 5, 3, 8)) * 0.2
PLAIN = Recipe(size=16, steps=4, redirect_steps=0, optimizer=Adam(0.1))
MOVED = PLAIN.replace(transforms=(transform.Shift(2.0),))


def net(images):
    with jax.named_scope("edges"):
        x = jax.nn.relu(jax.lax.conv_general_dilated(images - 0.5, KERNEL, (2, 2), "SAME",
                                                     dimension_numbers=("NHWC", "HWIO", "NHWC")))  # fmt: skip
    return x.mean((1, 2))


def grams(images):
    flat = np.asarray(dp.tap(net, "edges")(jnp.asarray(images))[1]["edges"]).reshape(len(images), -1, 8)
    found = np.einsum("npc,npd->ncd", flat, flat).reshape(len(images), -1)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_diversity_makes_the_pictures_of_a_group_differ():
    alike = dp.visualize(net, dp.channel("edges", 2), recipe=PLAIN.replace(steps=40), n=3)
    apart = dp.visualize(
        net, dp.channel("edges", 2) + 10 * dp.diversity("edges"), recipe=PLAIN.replace(steps=40), n=3
    )
    cosines = [(g @ g.T)[np.triu_indices(3, 1)].mean() for g in (grams(alike.images), grams(apart.images))]
    assert cosines[1] < cosines[0] - 0.02
    assert apart.images.shape == (3, 16, 16, 3) and apart.history.shape == (40, 3)


def test_the_scores_of_a_group_are_those_of_its_pictures():
    drawing = dp.visualize(net, dp.diversity("edges"), recipe=MOVED, n=3)
    cosines = grams(drawing.images) @ grams(drawing.images).T
    # float32: cosines of vectors with 64 entries
    np.testing.assert_allclose(drawing.scores, -(cosines.sum(1) - 1) / 2, rtol=1e-3, atol=1e-4)


def test_alignment_holds_an_interpolation_together():
    recipe = PLAIN.replace(steps=40)
    free = dp.visualize(net, dp.interpolate(dp.logit(0), dp.logit(5)), recipe=recipe, n=4)
    wish = dp.interpolate(dp.logit(0), dp.logit(5)) + 5 * dp.alignment("edges")
    held = dp.visualize(net, wish, recipe=recipe, n=4)
    jumps = [np.abs(np.diff(drawing.images, axis=0)).mean() for drawing in (free, held)]
    assert jumps[1] < jumps[0]
    logits = np.asarray(net(jnp.asarray(free.images)))
    assert logits[0, 0] > logits[-1, 0] and logits[-1, 5] > logits[0, 5]


def test_a_group_is_seen_through_the_same_transforms():
    """Three pictures that begin alike and want the same stay alike, which their own draws would not allow."""
    alike = jnp.stack([jax.random.key(3)] * 3)
    differing = jnp.stack([jax.random.key(3), jax.random.key(4), jax.random.key(5)])
    program = Program(net, [dp.alignment("edges")], MOVED, 3)
    images = jnp.stack([jax.random.uniform(jax.random.key(0), (16, 16, 3))] * 3)
    for keys, joint, same in ((alike, True, True), (differing, True, True), (differing, False, False)):
        seen = program._transformed(images, keys, joint=joint)
        assert bool((seen[0] == seen[1]).all()) == same


def test_a_group_is_drawn_again_from_its_file(tmp_path):
    wish = dp.channel("edges", 2) + 2 * dp.diversity("edges")
    drawing = dp.visualize(net, wish, recipe=MOVED, n=2)
    path = drawing.save(tmp_path / "group.png")
    assert (dp.redraw(path, net).images == drawing.images).all()


def test_several_objectives_are_a_group_each():
    wishes = [dp.channel("edges", i) + dp.diversity("edges") for i in (1, 2)]
    together = dp.visualize(net, wishes, recipe=MOVED, n=2)
    alone = dp.visualize(net, wishes[1], recipe=MOVED, n=2)
    assert (together.images[2:] == alone.images).all()


def test_one_picture_has_nothing_to_be_compared_with():
    with pytest.raises(InvalidInput, match="n=1"):
        dp.visualize(net, dp.logit(0) + dp.diversity("edges"), recipe=PLAIN)


@contextmanager
def compilations():
    """Counts the programs that XLA is asked for."""
    count = [0]
    listening = [True]

    def heard(event: str, seconds: float, **_: object) -> None:
        count[0] += listening[0] and event.endswith("backend_compile_duration")

    jax.monitoring.register_event_duration_secs_listener(heard)
    try:
        yield count
    finally:
        listening[0] = False  # there is no public way to take a listener off


VECTORS = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
PHOTOS = np.random.default_rng(1).random((4, 16, 16, 3)).astype(np.float32)
MANY = {
    "directions": [dp.direction("edges", v, i) for i, v in enumerate(VECTORS)],
    "caricatures": [dp.caricature(net, photo, "edges", i) for i, photo in enumerate(PHOTOS)],
    "groups": [dp.channel("edges", i) + i * dp.diversity("edges") for i in range(4)],
}


@pytest.mark.parametrize("name", MANY)
def test_a_batch_of_different_units_is_one_compiled_program(name):
    n, few = 2 if name == "groups" else 1, PLAIN.replace(steps=2, canvas=Pixel())
    dp.visualize(net, MANY[name][:1], recipe=few, n=n)  # what is compiled once a process: keys, stacking
    with compilations() as one:
        dp.visualize(net, MANY[name][:1], recipe=few, n=n)
    with compilations() as four:
        dp.visualize(net, MANY[name], recipe=few, n=n)
    assert one[0] >= 2 and four[0] == one[0]  # a step and a verdict, each compiled anew by every call


def test_a_program_draws_other_units_without_compiling():
    program = Program(net, [dp.channel("edges", 0)], MOVED)
    jobs = [Job(dp.channel("edges", i), jax.random.key(i)) for i in range(3)]
    program.draw(jobs[:1], silent)
    with compilations() as count:
        for job in jobs[1:]:
            program.draw([job], silent)
    assert count[0] == 0


def test_references_too_large_for_a_file_are_said_when_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("diffprog.vision.drawing.LARGEST_ARRAY", 100)
    drawing = dp.visualize(net, dp.caricature(net, PHOTOS[0], "edges"), recipe=PLAIN.replace(steps=1))
    path = drawing.save(tmp_path / "caricature.png")
    with pytest.raises(InvalidInput, match="too large to be saved with it"):
        read_request(path)


def test_a_caricature_is_drawn_with_small_moves_unless_a_recipe_says_otherwise():
    wish = dp.caricature(net, PHOTOS[0], "edges")
    drawing = dp.visualize(net, wish, size=16, steps=2)
    assert drawing.recipe.transforms == dp.vision.steady(recipes.DEFAULT).transforms
    assert dp.visualize(net, wish, recipe=MOVED).recipe == MOVED


def test_different_references_of_different_shapes_do_not_go_together():
    vectors = [dp.direction("edges", VECTORS[0]), dp.direction("edges", VECTORS[0][:4])]
    with pytest.raises(InvalidInput, match="2 objectives of 2 different forms"):
        dp.visualize(net, vectors, recipe=PLAIN)
