"""Dreams: gradients put together from tiles, the loop of 2015, keys, interruptions, guides, and bad requests."""

import errno
import json
import os
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import diffprog as dp
from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.vision.dreams.guide import Match
from diffprog.vision.dreams.recipe import DEEPDREAM, DEFAULT, DreamRecipe
from diffprog.vision.dreams.scales import normalized, resized
from diffprog.vision.dreams.tiles import Tiles, line, weights
from diffprog.vision.picture_files import read_settings
from tests.vision.interruption import interrupted_at

pytestmark = pytest.mark.usefixtures("compiled_plainly")

SMALL = DreamRecipe(tile=24, overlap=8, jitter=4, bands=1, octaves=2, steps=3)


def photograph(height=40, width=30, seed=0):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def near_sighted(images):
    """Two convolutions of stride 1: a pixel of the result depends on pixels up to 2 away."""
    x = images - 0.5
    for kernel in KERNELS:
        x = jnp.tanh(jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=NHWC))
    with jax.named_scope("features"):
        x = x * 1.0
    return x.mean((1, 2))


NHWC = ("NHWC", "HWIO", "NHWC")
KERNELS = [
    np.random.default_rng(n).normal(size=(3, 3, i, 5)).astype(np.float32) for n, i in enumerate((3, 5))
]
FEATURES = dp.layer("features")


@pytest.fixture(scope="module")
def net():
    return dp.models.load("squeezenet")


def quiet(note):
    pytest.fail(f"said: {note}")


# ---- tiles --------------------------------------------------------------------------------------------------


@given(
    length=st.integers(1, 400), tile=st.integers(8, 96), part=st.floats(0, 0.5), jitter=st.integers(0, 40),
    place=st.floats(0, 1),
)  # fmt: skip
def test_the_weights_of_all_tiles_add_up_to_one_at_every_pixel(length, tile, part, jitter, place):
    overlap = int(part * tile)
    found = line(length, tile, overlap, jitter)
    total = np.zeros(found.tiles * found.stride + overlap)
    for number in range(found.tiles):
        start = number * found.stride
        one = weights(tile, overlap, number == 0, number == found.tiles - 1)
        assert one.min() >= 0
        total[start : start + tile] += one
    start = int(place * found.room)
    np.testing.assert_allclose(total[start : start + length], 1.0, atol=1e-6)  # sums of two float32
    assert found.room >= 2 * jitter
    assert (
        found.tiles == 1 or (found.tiles - 1) * found.stride + overlap < length + 2 * jitter
    )  # no tile too many


@pytest.mark.parametrize("shape", [(40, 30), (24, 70), (97, 5), (3, 3)])
def test_the_gradient_from_tiles_is_the_gradient_of_the_whole(shape):
    """Where the edge of a tile is out of sight.

    The gradient at a pixel is made of values up to 2 away, and these are made of pixels up to 4 away: the outer
    quarter of an overlap of 16.
    """
    recipe, image = SMALL.replace(tile=32, overlap=16), photograph(*shape)
    tiles = Tiles(near_sighted, FEATURES, recipe)
    found, score = tiles.gradient(image, (0.5, 0.5))

    frame = [(6, 6)] * 2  # wider than that
    whole = np.pad(image, (*frame, (0, 0)), mode="symmetric")
    graph = dp.trace(near_sighted, whole[None])

    def mean_square(picture):
        return FEATURES(graph.run(picture[None], taps=["features"])[1])

    expected = jax.jit(jax.grad(mean_square))(whole)[6:-6, 6:-6]
    # Objectives are means over what is seen, so a gradient is that much larger in a smaller picture.
    per_pixel = found * recipe.tile**2, np.asarray(expected) * whole.shape[0] * whole.shape[1]
    np.testing.assert_allclose(*per_pixel, atol=2e-5 * np.abs(per_pixel[1]).max())  # sums in another order
    assert score > 0


def test_the_gradient_of_a_mean_is_the_same_everywhere():
    found, score = Tiles(lambda images: images.mean((1, 2)), dp.channel("output", 1), SMALL).gradient(
        np.full((50, 60, 3), 0.25, np.float32), (0.3, 0.9)
    )
    expected = np.zeros((50, 60, 3))
    expected[..., 1] = 1 / 24**2
    np.testing.assert_allclose(found, expected, rtol=1e-6)  # weights round to float32
    assert score == pytest.approx(0.25)


def compilations(run):
    """How many programs are compiled in a run."""
    counted, heard = [], [True]

    def listen(event, seconds, **_):
        if heard[0] and event == "/jax/core/compile/backend_compile_duration":
            counted.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    run()
    heard[0] = False
    return len(counted)


def peak_of_arrays(run):
    """The most bytes of JAX arrays that are alive at once, looked at after every tile."""
    most = [0]

    class Watching:
        def __init__(self, total):
            self.total = total

        def __enter__(self):
            return self.told

        def __exit__(self, *error):
            pass

        def told(self, done, report):
            most[0] = max(most[0], sum(array.nbytes for array in jax.live_arrays()))

    run(Watching)
    return most[0]


def test_one_program_serves_all_sizes_and_their_memory_does_not_grow():
    def run(shape, octaves, progress=None):
        recipe = SMALL.replace(octaves=octaves, steps=2)
        return dp.dream(
            near_sighted, photograph(*shape), FEATURES, recipe=recipe, progress=progress, announce=quiet
        )

    run((16, 16), 1)  # what JAX compiles once for all, such as drawing random numbers
    small, large = compilations(lambda: run((20, 20), 1)), compilations(lambda: run((150, 170), 6))
    assert small >= 1
    assert large == small
    before = [peak_of_arrays(lambda p, s=s: run(s, 2, p)) for s in ((20, 20), (200, 210))]
    assert before[1] <= before[0]


def test_a_random_shift_leaves_no_seam():
    """A model that answers to nothing but the middle of its tile: without shifts most pixels would never move."""

    def tunnel(images):
        return images[:, 11:13, 11:13].mean((1, 2))

    recipe = DreamRecipe(tile=24, overlap=0, jitter=12, bands=1, octaves=1, steps=400, step_size=0.001)
    grey = np.full((30, 30, 3), 0.5, np.float32)
    moved = dp.dream(tunnel, grey, dp.channel("output", 0), recipe=recipe).image[..., 0] > 0.5
    still = recipe.replace(jitter=0, steps=1)
    assert moved.mean() > 0.8
    assert (dp.dream(tunnel, grey, dp.channel("output", 0), recipe=still).image[..., 0] > 0.5).mean() < 0.05


# ---- the loop -----------------------------------------------------------------------------------------------


def test_the_constants_are_those_of_the_notebook():
    """google/deepdream, dream.ipynb (2015): deepdream(iter_n=10, octave_n=4, octave_scale=1.4),

    make_step(step_size=1.5, jitter=32, clip=True), all for pixels from 0 to 255.
    """
    notebook = {"octaves": 4, "octave_scale": 1.4, "steps": 10, "step_size": 1.5 / 255, "jitter": 32}
    assert notebook.items() <= DEEPDREAM.to_dict().items()
    assert DEEPDREAM.bands == 1  # x += step_size / |g|.mean() * g, and no more
    assert DEEPDREAM.shapes((300, 451), 224) == [(109, 164), (153, 230), (214, 322), (300, 451)]


def test_the_loop_is_that_of_the_notebook():
    """Written once more in a few lines, for a photograph that fits into one tile that never moves."""
    recipe = DreamRecipe(tile=24, overlap=0, jitter=0, bands=1, octaves=1, steps=4, step_size=0.05)
    photo = photograph(24, 24)
    graph = dp.trace(near_sighted, photo[None])
    gradient = jax.jit(jax.grad(lambda x: FEATURES(graph.run(x[None], taps=["features"])[1])))
    x = jnp.asarray(photo)
    for _ in range(4):
        g = gradient(x)
        x = jnp.clip(x + 0.05 / jnp.abs(g).mean() * g, 0, 1)
    dreamt = dp.dream(near_sighted, photo, FEATURES, recipe=recipe, announce=quiet)
    np.testing.assert_allclose(dreamt.image, x, atol=1e-4)  # four steps of float32, compiled differently
    assert (np.diff(dreamt.scores) > 0).all()


def test_what_was_dreamt_at_a_small_scale_is_carried_to_the_next():
    """Two octaves by hand: the difference to the photograph is enlarged and added to the photograph."""
    photo, recipe = photograph(40, 30), SMALL.replace(octave_scale=2.0, steps=1)
    small = resized(photo, (20, 15))
    first = dp.dream(near_sighted, small, FEATURES, recipe=recipe.replace(octaves=1), announce=quiet)
    carried = np.clip(photo + resized(first.image - small, (40, 30)), 0, 1)
    both = dp.dream(near_sighted, photo, FEATURES, recipe=recipe, announce=quiet)
    move = both.image - carried
    inside = (both.image > 0) & (both.image < 1)
    tiles = Tiles(near_sighted, FEATURES, recipe)
    shift = jax.random.uniform(jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 1), 0), (2,))
    gradient, _ = tiles.gradient(carried, np.asarray(shift))
    expected = normalized(gradient) * recipe.step_size
    np.testing.assert_allclose(move[inside], expected[inside], atol=1e-6)  # float32 near 1


def test_bands_make_all_frequencies_equally_strong():
    rows = np.arange(64, dtype=np.float32)
    fine, coarse = np.cos(np.pi * rows), 0.01 * np.cos(2 * np.pi * rows / 64)
    gradient = np.broadcast_to((fine + coarse)[:, None, None], (64, 64, 3))

    def share(picture):
        spectrum = np.abs(np.fft.rfft(picture[:, 5, 0]))
        return spectrum[1] / spectrum[32]

    assert share(normalized(gradient)) == pytest.approx(share(gradient))
    assert share(normalized(gradient, 4)) > 20 * share(gradient)
    for bands in (1, 2, 4, 9):
        assert np.abs(normalized(gradient, bands)).mean() == pytest.approx(1, rel=1e-5)
        assert not normalized(np.zeros((5, 4, 3), np.float32), bands).any()


def test_resizing_keeps_ramps_and_takes_parts():
    ramp = np.linspace(-1, 3, 40, dtype=np.float32)[:, None, None] * np.ones((1, 7, 2), np.float32)
    half = resized(ramp, (20, 7))
    np.testing.assert_allclose(
        half[2:-2], (ramp[0::2] + ramp[1::2])[2:-2] / 2, atol=1e-5
    )  # linear, but for the ends
    np.testing.assert_array_equal(resized(ramp, (10, 3), (2, 5, 5, 15)), ramp[5:15, 2:5])


def test_same_key_same_picture_and_other_key_another(net):
    photo = photograph(50, 60)
    few = DreamRecipe(tile=48, overlap=16, octaves=2, steps=2)
    dreams = [
        dp.dream(net, photo, dp.layer("fire3"), recipe=few, key=k).image for k in (3, 3, 4, jax.random.key(3))
    ]
    assert (dreams[0] == dreams[1]).all() and (dreams[0] == dreams[3]).all()
    assert (dreams[0] != dreams[2]).any()


@pytest.mark.parametrize(
    "name", ["squeezenet", pytest.param("efficientnet-lite0", marks=pytest.mark.network)]
)
def test_a_real_network_sees_more_of_what_it_saw(name):
    net = dp.models.load(name)
    layer = {"squeezenet": "fire5", "efficientnet-lite0": "blocks/6"}[name]
    y, x = np.mgrid[:96, :96].astype(np.float32) / 95
    photo = np.stack([x, y, 0.5 + 0.4 * np.sin(20 * x * y)], -1)
    dreamt = dp.dream(net, photo, dp.layer(layer), octaves=1, announce=quiet)
    assert dreamt.scores[-1] > 1.5 * dreamt.scores[0]
    assert dreamt.image.shape == photo.shape and dreamt.image.dtype == np.float32
    assert dreamt.image.min() >= 0 and dreamt.image.max() <= 1
    assert 0.005 < np.abs(dreamt.image - photo).mean() < 0.2  # it changed, and is still the photograph


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1), (2, 3)])
def test_photographs_smaller_than_the_network_are_dreamt(net, shape):
    dreamt = dp.dream(net, np.full((*shape, 3), 0.4, np.float32), dp.layer("fire3"), octaves=3, steps=1)
    assert dreamt.image.shape == (*shape, 3)
    assert np.isfinite(dreamt.image).all() and (dreamt.image != 0.4).any()


def test_a_photograph_is_shrunk_on_request_and_that_is_said():
    said = []
    dreamt = dp.dream(near_sighted, photograph(60, 30), FEATURES, recipe=SMALL, size=40, announce=said.append)
    assert dreamt.image.shape == (40, 20, 3)
    assert said == ["the photograph: 30 x 60 pixels, shrunk to 20 x 40"]
    assert dreamt.notes == ("30 x 60 pixels, shrunk to 20 x 40",)
    assert dp.dream(near_sighted, photograph(9, 8), FEATURES, recipe=SMALL, size=40).image.shape == (9, 8, 3)


def test_a_path_is_a_photograph(tmp_path):
    Image.fromarray(np.zeros((9, 7), np.uint8)).save(tmp_path / "dark.png")
    said = []
    dreamt = dp.dream(near_sighted, tmp_path / "dark.png", FEATURES, recipe=SMALL, announce=said.append)
    assert dreamt.image.shape == (9, 7, 3) and dreamt.photo == "dark.png"
    assert said == ["dark.png: grey; red, green and blue are the same"]
    with pytest.raises(Unreachable):
        dp.dream(near_sighted, tmp_path / "none.png", FEATURES)


# ---- interruptions and what has no gradient -----------------------------------------------------------------


def test_ctrl_c_returns_what_there_is():
    photo = photograph(40, 30)
    whole = dp.dream(near_sighted, photo, FEATURES, recipe=SMALL)
    tiles = Tiles(near_sighted, FEATURES, SMALL)
    first, second = (tiles.count(shape) for shape in SMALL.shapes((40, 30), 24))
    for tile in range(1, 3 * (first + second) + 1):
        dreamt = dp.dream(near_sighted, photo, FEATURES, recipe=SMALL, progress=interrupted_at(tile))
        taken = (tile - 1) // first if tile <= 3 * first else 3 + (tile - 1 - 3 * first) // second
        assert dreamt.stopped == "interrupted"
        assert len(dreamt.scores) == taken
        np.testing.assert_array_equal(dreamt.scores, whole.scores[:taken])
        assert dreamt.image.shape == photo.shape and np.isfinite(dreamt.image).all()
        assert (dreamt.image == photo).all() == (taken == 0)


ENDLESS = """
import numpy as np, diffprog as dp
class Telling:
    def __init__(self, total): pass
    def __enter__(self): return lambda done, report: print(done, flush=True)
    def __exit__(self, *error): pass
grey = np.full((9, 9, 3), 0.5, np.float32)
mean = lambda images: images.mean((1, 2))
dp.dream(mean, grey, dp.channel("output", 0), steps=10**9, octaves=1, progress=Telling).save("dream.png")
"""


def test_a_killed_dream_leaves_no_file(tmp_path):
    command = [sys.executable, "-c", ENDLESS]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert [running.stdout.readline() for _ in range(3)] == ["1\n", "2\n", "3\n"]
        finally:
            running.kill()
    assert running.returncode == -signal.SIGKILL
    assert not list(tmp_path.iterdir())


def test_progress_counts_tiles_to_the_end():
    told = []

    class Listening:
        def __init__(self, total):
            self.total = total

        def __enter__(self):
            return lambda done, report: told.append((done, self.total, float(report)))

        def __exit__(self, *error):
            pass

    dp.dream(near_sighted, photograph(), FEATURES, recipe=SMALL, progress=Listening)
    assert [done for done, _, _ in told] == list(range(1, told[0][1] + 1))
    dp.dream(near_sighted, photograph(), FEATURES, recipe=SMALL, progress=True)  # the bar that people see


def test_a_gradient_that_is_zero_everywhere_is_said():
    def off(images):
        return jax.nn.relu(images.mean((1, 2)) - 2.0)

    with pytest.raises(InvalidInput, match="exactly 0 everywhere") as refused:
        dp.dream(off, photograph(), dp.channel("output", 0), recipe=SMALL)
    assert "layer" in refused.value.remedy


def test_octaves_without_a_gradient_are_said():
    def only_fine(images):  # answers to detail that the smaller octave does not have
        rough = jnp.abs(jnp.diff(images, axis=1)).mean((1, 2))
        return jax.nn.relu(rough - 0.45)

    photo = np.zeros((40, 40, 3), np.float32)
    photo[::2] = 1.0
    said = []
    recipe = DreamRecipe(tile=24, overlap=0, jitter=0, octaves=2, octave_scale=2.0, steps=3)
    dreamt = dp.dream(only_fine, photo * 0.98, dp.channel("output", 0), recipe=recipe, announce=said.append)
    assert (
        said
        == list(dreamt.notes)
        == ["the gradient was 0 everywhere at octave 1 of 2, where nothing was changed"]
    )
    assert len(dreamt.scores) == 2 + 3  # the first octave is given up after two steps


def test_a_gradient_that_is_not_finite_ends_the_dream():
    def root(images):
        return jnp.sqrt(images.mean((1, 2)) - 0.5)

    dreamt = dp.dream(root, photograph() * 0.1, dp.channel("output", 0), recipe=SMALL)
    assert dreamt.stopped == "not finite"
    np.testing.assert_array_equal(dreamt.image, photograph() * np.float32(0.1))


# ---- guides -------------------------------------------------------------------------------------------------


def test_the_score_of_a_guide_and_its_gradient():
    features = jnp.array([[1.0, 0.0], [0.0, 2.0], [-1.0, -1.0]])
    values = jnp.array([[[3.0, 1.0], [0.5, 1.0]], [[-2.0, -3.0], [0.0, 0.1]]])
    match = Match("a", features)
    score, gradient = jax.value_and_grad(lambda v: match({"a": v}))(values)
    assert float(score) == pytest.approx((3 + 2 + 5 + 0.2) / 4)
    best = jnp.array([[[1.0, 0.0], [0.0, 2.0]], [[-1.0, -1.0], [0.0, 2.0]]])  # by dot product
    np.testing.assert_allclose(gradient, best / 4)


def test_a_guide_pulls_the_photograph_its_way(net):
    stripes = np.zeros((90, 120, 3), np.float32)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = 1.0
    match = dp.guided(net, "fire3", stripes, tile=64, announce=quiet)
    photo = np.full((64, 64, 3), 0.5, np.float32) + 0.1 * (photograph(64, 64) - 0.5)
    recipe = DreamRecipe(tile=64, octaves=1, overlap=16, jitter=8)
    dreamt = dp.dream(net, photo, match, recipe=recipe)

    def upright(image):  # how much more it changes from column to column than from row to row
        return np.abs(np.diff(image, axis=1)).mean() / np.abs(np.diff(image, axis=0)).mean()

    plain = dp.dream(net, photo, dp.layer("fire3"), recipe=recipe)
    assert dreamt.scores[-1] > dreamt.scores[0]
    assert upright(dreamt.image) > 1.2 > upright(plain.image)
    assert repr(match) == "Match(name='fire3', features=[225, 128])"


def test_a_guide_with_many_positions_is_thinned_and_that_is_said():
    said = []
    match = dp.guided(near_sighted, "features", photograph(80, 90), tile=40, announce=said.append)
    assert match.features.shape == (800, 5)
    assert said == ["the guide: one in 2 of its 1,600 positions in features is compared"]


@pytest.mark.parametrize("layer", ["feature", "output"])
def test_a_layer_that_cannot_guide_is_refused(layer):
    with pytest.raises(InvalidInput, match=layer) as refused:
        dp.guided(near_sighted, layer, photograph(), tile=16)
    assert refused.value.remedy


def test_a_guide_for_another_layer_is_refused():
    with pytest.raises(InvalidInput, match="128 channels"):
        dp.dream(near_sighted, photograph(), Match("features", np.zeros((4, 128), np.float32)))


# ---- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dream.png", "dream.JPG"])
def test_a_saved_dream_says_how_it_was_made(tmp_path, name):
    dreamt = dp.dream(near_sighted, photograph(), FEATURES, recipe=SMALL, key=7)
    path = dreamt.save(tmp_path / name)
    settings = read_settings(path)
    assert settings == json.loads(json.dumps(dreamt.settings()))
    assert DreamRecipe(**settings["recipe"]) == SMALL
    assert settings["objective"] == "Layer(name='features')" and settings["key"] == [0, 7]
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    rounding = 0.5 / 255 + 1e-6 if name.endswith("png") else 0.2  # JPEG blurs noise
    assert np.abs(pixels / 255 - dreamt.image).max() <= rounding
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert dreamt._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(("name", "error"), [("a.bmp", InvalidInput), ("no/a.png", Unreachable)])
def test_destinations_that_cannot_be_written(tmp_path, name, error):
    with pytest.raises(error):
        dp.dream(near_sighted, photograph(5, 5), FEATURES, recipe=SMALL).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    dreamt = dp.dream(near_sighted, photograph(5, 5), FEATURES, recipe=SMALL)
    (tmp_path / "a.png").write_text("before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unreachable, match="No space left"):
        dreamt.save(tmp_path / "a.png")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_other_files_say_nothing(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "plain.jpg", comment=b"by hand")
    (tmp_path / "text.png").write_text("no picture")
    for name in ("plain.jpg", "text.png"):
        with pytest.raises(BadFile, match="does not say"):
            read_settings(tmp_path / name)
    with pytest.raises(Unreachable):
        read_settings(tmp_path / "none.png")


# ---- bad requests -------------------------------------------------------------------------------------------

BAD = {
    "layer": ({"objective": dp.layer("fire55")}, "fire5"),
    "channel": ({"objective": dp.channel("fire5", 256)}, "0 to 255"),
    "a name": ({"objective": "fire5"}, r"layer\('fire5'\)"),
    "no objective": ({"objective": None}, "layer"),
    "steps": ({"steps": 0}, "steps"),
    "octaves": ({"octaves": 0}, "octaves"),
    "too many octaves": ({"octaves": 1000}, "1 to 32"),
    "step size": ({"step_size": -1.0}, "0 to 1"),
    "step size nan": ({"step_size": float("nan")}, "0 to 1"),
    "size": ({"size": 0}, "at least 1"),
    "key": ({"key": "seed"}, "PRNG key"),
    "keys": ({"key": jax.random.split(jax.random.key(0), 2)}, "PRNG key"),
    "photo": ({"photo": np.zeros((4, 4, 4))}, r"\[H, W, 3\]"),
    "small tile": ({"recipe": DEFAULT.replace(tile=30, overlap=4)}, "at least 31"),
    "overlap": ({"recipe": DEFAULT.replace(tile=60, overlap=31)}, "at least 62"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_are_refused_before_anything_is_dreamt(net, name):
    wish, message = BAD[name]
    request = {"photo": photograph(), "objective": dp.layer("fire5"), "progress": interrupted_at(0), **wish}
    with pytest.raises(InvalidInput, match=message) as refused:
        dp.dream(net, request.pop("photo"), request.pop("objective"), **request)
    assert refused.value.expected and refused.value.remedy


@pytest.mark.parametrize(
    "change",
    [{"octave_scale": 1.0}, {"octave_scale": "big"}, {"surround": "black"}, {"jitter": -1}, {"bands": 0}, {"tile": 0},
     {"steps": 2.5}, {"overlap": -1}, {"steps": True}],
)  # fmt: skip
def test_bad_recipes_are_refused(change):
    with pytest.raises(InvalidInput, match=next(iter(change))):
        DEFAULT.replace(**change)


def test_a_recipe_reads_like_a_table():
    lines = str(DEEPDREAM).splitlines()
    assert lines[0].split() == ["octaves", "4"] and "surround       wrap" in lines


@pytest.mark.parametrize("shape", [(1, 1), (10, 3000), (3000, 4000), (224, 224)])
def test_octaves_end_with_the_photograph_and_begin_with_a_tile(shape):
    shapes = DEFAULT.shapes(shape, 224)
    assert shapes[-1] == shape
    assert min(map(min, shapes)) >= 1
    assert len(shapes) == 1 or 157 <= max(shapes[0]) <= 1.4 * 224
