"""Guidance on small stand-ins: it finds what the words say, alone or in company, interrupted or resumed."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.guide import guide, invert, judged, read_manifest
from diffprog.guide.augments import WHOLE, Windows
from diffprog.guide.generators import as_generator, canvas, function
from diffprog.guide.methods import Adam
from diffprog.guide.priors import Clamp, Free, Sphere
from diffprog.guide.program import Program
from diffprog.guide.scorers import Scorer
from diffprog.guide.views import whole as seen_whole
from diffprog.optimize import Checkpoint
from diffprog.vision.canvases import Fourier, Pixel
from tests.guide import toys

pytestmark = pytest.mark.usefixtures("compiled_plainly")

SMALL = {"generator": toys.GENERATOR, "scorer": toys.SCORER, "augment": Windows(count=4, noise=0.0)}
QUICK = {**SMALL, "n": 3, "steps": 20, "screen": 4, "key": 5}


@pytest.fixture(scope="module")
def red():
    """The run that most tests look at."""
    return guide("red", **QUICK)


@pytest.fixture(scope="module")
def red_and_blue():
    return guide(["red", "blue"], **QUICK)


def interrupted_at(step):
    """A callback during which Ctrl-C is pressed."""

    def callback(done, value, report):
        if done >= step:
            raise KeyboardInterrupt

    return callback


def test_every_member_comes_nearer_to_the_words(red):
    assert red.images.shape == (3, 8, 8, 3) and red.stopped == "finished"
    assert (red.scores >= red.start_scores).all() and red.scores.max() > 0.9
    assert np.argmax(red.images[red.best].mean((0, 1))) == 0


def test_a_negative_prompt_goes_the_other_way():
    made = guide("red:-1", **QUICK)
    assert np.argmin(made.images[made.best].mean((0, 1))) == 0


def test_a_picture_is_a_prompt():
    blue = np.zeros((5, 5, 3), np.float32) + np.array([0.1, 0.1, 0.9], np.float32)
    made = guide(blue, **QUICK)
    assert np.argmax(made.images[made.best].mean((0, 1))) == 2
    assert made.manifest()["prompts"] == ["<a picture>"] * 3


def test_a_member_is_the_one_its_key_gives_alone(red_and_blue):
    together = red_and_blue
    alone = guide("blue", **{**QUICK, "n": 1, "key": 6})
    # Members are computed one by one by the same program, so nothing differs but the batch's outer loop.
    np.testing.assert_allclose(together.images[4], alone.images[0], atol=1e-6)
    assert together.keys[4] == alone.keys[0] and str(together.prompts[4]) == "blue"


def test_the_same_key_gives_the_same_bits(red):
    np.testing.assert_array_equal(guide("red", **QUICK).latents, red.latents)


def test_the_best_is_by_the_score_without_augmentation(red):
    # Of all latents looked at, and of the last and the average besides, none scores higher.
    assert (red.scores >= red.history["plain"].max(0) - 1e-6).all()
    np.testing.assert_allclose(red.start_scores, red.history["plain"][0], rtol=1e-5)


def test_screening_begins_with_the_best_of_many_draws():
    few, many = (guide("red", **{**QUICK, "screen": screen}).start_scores for screen in (1, 64))
    assert (many >= few - 1e-6).all() and many.mean() > few.mean() + 0.2


def test_chunks_of_views_have_the_gradient_of_all_at_once():
    parts = [Program(toys.GENERATOR, toys.SCORER, Windows(count=4), Free(), chunks) for chunks in (1, 2, 4)]
    key, z = jax.random.key(1), jax.random.normal(jax.random.key(2), (6,))
    target = jax.tree.map(lambda leaf: leaf[0], _targets())

    @jax.jit
    def gradients(z):
        def seen(z, program):
            return program.under_views(program.image(z, program.consts), key, target, program.consts)

        return [jax.grad(seen)(z, program) for program in parts]

    at_once, *chunked = gradients(z)
    for found in chunked:
        np.testing.assert_allclose(found, at_once, rtol=1e-4, atol=1e-6)  # order of sums


def test_recomputing_the_generator_changes_nothing(red):
    again = guide("red", **QUICK, remat=True).latents
    np.testing.assert_allclose(red.latents, again, rtol=1e-5, atol=1e-6)


def _targets():
    from diffprog.guide.prompts import prompt
    from diffprog.guide.targets import targets

    return targets([prompt("red")], toys.SCORER)


def test_an_interrupted_run_returns_what_there_is_and_goes_on_bit_for_bit(red, tmp_path):
    kept, whole = Checkpoint(tmp_path / "run.safetensors", every=4), red
    half = guide("red", **QUICK, checkpoint=kept, callback=interrupted_at(7))
    assert (
        half.stopped == "interrupted" and len(half.history["plain"]) == 7 and np.isfinite(half.scores).all()
    )
    resumed = guide("red", **QUICK, checkpoint=kept)
    np.testing.assert_array_equal(resumed.latents, whole.latents)
    np.testing.assert_array_equal(resumed.history["augmented"], whole.history["augmented"])


def test_a_checkpoint_of_another_prompt_is_refused(tmp_path):
    kept = Checkpoint(tmp_path / "run.safetensors")
    guide("red", **QUICK, checkpoint=kept, callback=interrupted_at(2))
    with pytest.raises(BadFile, match="another problem"):
        guide("blue", **QUICK, checkpoint=kept)


def broken_beyond(limit):
    """A scorer that is not a number for pictures whose mean red is above a limit."""

    def look(pictures):
        red = pictures.mean((1, 2))[:, :1]
        return jnp.where(red > limit, jnp.nan, toys.look(pictures))

    return Scorer("broken", toys.SEEN, look, toys.read)


def test_a_member_whose_score_is_not_finite_keeps_its_last_good_latent_and_the_others_go_on():
    settings = {**QUICK, "augment": WHOLE}  # windows of a picture are redder than the picture
    whole = guide("red", **settings)
    reds = whole.images.mean((1, 2))[:, 0]
    limit = np.sort(reds)[:2].mean()  # the least red alone stays below
    made = guide("red", **{**settings, "scorer": broken_beyond(limit)})
    assert np.isfinite(made.images).all() and np.isfinite(made.scores).all()
    assert made.stopped == "finished" and "2 of 3 members stopped" in made.why
    spared = int(np.argmin(reds))
    np.testing.assert_allclose(made.images[spared], whole.images[spared], atol=1e-6)


def test_a_run_stops_when_no_member_goes_on():
    made = guide("red", **{**QUICK, "n": 1, "scorer": broken_beyond(0.62), "steps": 60})
    assert made.stopped == "not finite" and np.isfinite(made.scores).all()
    assert len(made.history["plain"]) < 60


def test_a_score_that_is_never_finite_is_refused():
    with pytest.raises(InvalidInput, match="nan at the start"):
        guide("red", **{**QUICK, "scorer": broken_beyond(-1.0)})


def test_the_running_average_is_returned_where_it_is_better():
    """Steps that leap to and fro about the best have a better mean than any of them."""
    leaping = {**QUICK, "method": optax.sgd(40.0), "augment": WHOLE, "steps": 40}
    plain, averaged = (guide("red", **leaping, ema=ema).scores.mean() for ema in (0.0, 0.9))
    assert averaged >= plain


@pytest.mark.parametrize("prior, holds", [
    (Clamp(0.5), lambda z: np.abs(z).max() <= 0.5 + 1e-6),
    (Sphere(), lambda z: np.allclose(np.linalg.norm(z, axis=-1), np.sqrt(6), rtol=1e-5)),
])  # fmt: skip
def test_projections_hold_at_every_latent_returned(prior, holds):
    made = guide("red", **{**QUICK, "ema": 0.0}, prior=prior)
    assert holds(made.latents)


def test_any_pytree_can_be_the_latent():
    def draw(key):
        a, b = jax.random.split(key)
        return {"z": jax.random.normal(a, (6,)), "brightness": 0.1 * jax.random.normal(b, ())}

    def images(latent):
        return jnp.clip(toys.images(latent["z"]) + latent["brightness"][:, None, None, None], 0, 1)

    made = guide("green", **{**QUICK, "generator": function(images, draw)})
    assert made.scores.mean() > made.start_scores.mean()
    assert made.latents["brightness"].shape == (3,)


def test_canvases_are_generators():
    made = guide("blue", **{**QUICK, "generator": canvas(Fourier(), 16), "method": Adam(0.2)})
    assert np.argmax(made.images[made.best].mean((0, 1))) == 2


def test_a_start_is_gone_on_from(red):
    second = guide("red", **QUICK, start=red.latents)
    np.testing.assert_allclose(second.start_scores, red.scores, rtol=1e-4)
    with pytest.raises(InvalidInput, match="a start of shape"):
        guide("red", **QUICK, start=red.latents[:2])


def test_the_sheet_carries_its_manifest_and_the_gif_all_steps(tmp_path):
    made = guide(["red", "blue"], **QUICK, trajectory=True)
    path = made.save(tmp_path / "sheet.png")
    manifest = read_manifest(path)
    assert manifest["prompts"] == ["red"] * 3 + ["blue"] * 3 and manifest["method"] == repr(Adam(0.05))
    assert manifest["scores"] == [round(float(score), 5) for score in made.scores]
    with Image.open(path) as picture:
        assert picture.size == (
            3 * 132 + 4,
            2 * 132 + 4,
        )  # a row of three for every prompt, enlarged 16 times
    assert made.frames.shape == (20, 6, 8, 8, 3)
    with Image.open(made.save_gif(tmp_path / "path.gif")) as film:
        assert film.n_frames == 20


def test_bad_files_and_paths_are_refused(red, tmp_path):
    with pytest.raises(InvalidInput, match="trajectory"):
        red.save_gif(tmp_path / "a.gif")
    with pytest.raises(InvalidInput, match=r"ends in \.png"):
        red.save(tmp_path / "a.jpg")
    with pytest.raises(Unreachable):
        read_manifest(tmp_path / "none.png")
    Image.new("RGB", (2, 2)).save(tmp_path / "other.png")
    with pytest.raises(BadFile, match="how it was made"):
        read_manifest(tmp_path / "other.png")


@pytest.mark.parametrize(
    "change, said",
    [
        *(
            ({"n": 0}, "n=0"),
            ({"steps": 0}, "steps=0"),
            ({"screen": True}, "screen=True"),
            ({"chunks": 3}, "chunks=3"),
        ),
        *(
            ({"ema": 1.0}, "ema"),
            ({"generator": object()}, "generator"),
            ({"scorer": object()}, "image_features"),
        ),
        ({"method": "adam"}, "optax transformation"),
        ({"generator": dataclasses.replace(toys.GENERATOR, images=lambda z: z)}, "makes"),
    ],
)
def test_bad_input_is_refused(change, said):
    with pytest.raises(InvalidInput, match=said):
        guide("red", **{**QUICK, **change})


def test_generators_are_recognized():
    assert as_generator(Fourier).name == "fourier-64"
    assert as_generator(toys.GENERATOR) is toys.GENERATOR


def test_inversion_finds_a_latent_of_a_picture_that_the_generator_made():
    z = jax.random.normal(jax.random.key(9), (1, 6))
    found = invert(toys.GENERATOR, toys.images(z)[0], n=3, steps=200, progress=True)
    assert found.error < 1e-4 and found.decibels > 40
    assert found.history.shape == (200, 3) and (found.history[-1] < found.history[0]).all()
    np.testing.assert_allclose(found.latent, z[0], atol=0.1)  # the map is injective: six numbers, 192 pixels


def test_inversion_by_likeness_and_its_bad_input():
    blue = np.zeros((8, 8, 3), np.float32) + np.array([0.2, 0.2, 0.8], np.float32)
    plain, liked = (
        invert(toys.GENERATOR, blue, n=2, steps=60, scorer=scorer, weight=1.0).image.mean((0, 1))
        for scorer in (None, toys.SCORER)
    )
    assert toys.SCORER.similarity(liked - 0.5, blue[0, 0] - 0.5) >= toys.SCORER.similarity(
        plain - 0.5, blue[0, 0] - 0.5
    )
    with pytest.raises(InvalidInput, match="to invert"):
        invert(toys.GENERATOR, "blue")


JUDGE = Scorer("corner", toys.SEEN, lambda x: x[:, :6, :6].mean((1, 2)) - 0.5, toys.read)


def test_a_judge_that_had_no_part_prefers_the_guided_to_chance(red_and_blue):
    verdicts = judged(red_and_blue, generator=toys.GENERATOR, scorer=toys.SCORER, judge=JUDGE)
    assert [one.prompt for one in verdicts] == ["red", "blue"]
    for one in verdicts:
        assert one.draws == 3 * (20 + 4)
        assert one.guided.shape == one.random.shape == one.started.shape == (3,)
        assert (np.diff(one.own_random) <= 0).all()
        assert ("prefers" in str(one)) == one.prefers
    own = toys.SCORER.look(seen_whole(jnp.asarray(verdicts[0].random_images), toys.SEEN))
    np.testing.assert_allclose(
        toys.SCORER.similarity(own, jnp.array([1.0, 0, 0])), verdicts[0].own_random, atol=1e-4
    )


def test_an_adversarial_picture_has_a_gap():
    """A scorer of single pixels is raised by a pattern that no shifted view keeps."""
    pattern = jnp.asarray(list(itertools.islice(itertools.cycle([1.0, -1.0]), 15 * 15 * 3))).reshape(
        15, 15, 3
    )
    fussy = Scorer(
        "fussy", 15, lambda x: jnp.sum(x * pattern, (1, 2, 3))[:, None] * jnp.ones(3) + 0.01, toys.read
    )
    settings = {**QUICK, "generator": canvas(Pixel(), 15), "scorer": fussy, "method": Adam(0.5), "steps": 30}
    fussy = dataclasses.replace(fussy, similarity=lambda a, b: jnp.sum(a * b, -1))
    made = guide("red", **{**settings, "scorer": fussy, "augment": WHOLE})
    views = Program(canvas(Pixel(), 15), fussy, Windows(count=8, least=0.6), Free())
    target = jax.tree.map(lambda leaf: leaf[0], views_target(fussy))
    robust = jax.jit(views.under_views)(made.images[0], jax.random.key(0), target, views.consts)
    assert robust < made.scores[0] / 4


def views_target(scorer):
    from diffprog.guide.prompts import prompt
    from diffprog.guide.targets import targets

    return targets([prompt("red")], scorer)


def test_the_scorer_cannot_judge_itself(red):
    with pytest.raises(InvalidInput, match="which is the scorer"):
        judged(red, generator=toys.GENERATOR, scorer=toys.SCORER, judge=toys.SCORER)
