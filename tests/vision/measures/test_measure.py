"""Drawings and photographs, measured from memory and from files; what cannot be known is None and said."""

import dataclasses
import json
import math

import jax
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import diffprog as dp
from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.machine import memory
from diffprog.vision import canvases, transforms
from diffprog.vision.measures import measure, repeated, scores, subjects, to_json
from diffprog.vision.sheet import laid_out, taken_apart
from tests.vision.sweeps.network import RECIPE, network

QUICK = RECIPE.replace(steps=2, canvas=canvases.Pixel(), transforms=(), redirect_steps=0)
FEW = 2  # views
PHOTO = np.random.default_rng(0).random((24, 44, 3)).astype(np.float32)


class Other:
    """A second network, which is the first."""

    input_size = 24

    def __call__(self, images):
        return jax.jit(network)(images)


JUDGES = {"other": Other()}


@pytest.fixture(scope="module")
def drawing():
    return dp.visualize(network, [dp.logit(3), dp.logit(5)], recipe=QUICK, n=2, key=4, title="two units")


@pytest.fixture(scope="module")
def path(drawing, tmp_path_factory):
    return drawing.save(tmp_path_factory.mktemp("saved") / "four.png")


def edited(path, to, change, keep=True):
    """The picture changed and saved with the metadata that it had, or those that `keep` makes of them."""
    with Image.open(path) as picture:
        pixels, text = np.array(picture), picture.info["diffprog"]
    info = PngImagePlugin.PngInfo()
    info.add_text("diffprog", text if keep is True else json.dumps(keep(json.loads(text))))
    Image.fromarray(change(pixels)).save(to, pnginfo=info)
    return to


def test_a_drawing_is_measured_as_it_was_drawn(drawing, path):
    rows = measure(drawing, model=network, judges=JUDGES, draws=FEW)
    np.testing.assert_allclose([row.score for row in rows], drawing.scores, rtol=1e-5)  # other sums
    assert [row.wanted for row in rows] == [3, 3, 5, 5]
    assert {(row.size, row.seen) for row in rows} == {((24, 24), (24, 24))}
    assert [row.variety.pictures for row in rows] == [2, 2, 2, 2]
    assert rows[0].variety == rows[1].variety != rows[2].variety
    assert all(row.transfer[0].judge == "other" and row.low <= row.robust for row in rows)
    read = measure(path, model=network, draws=FEW)
    # From the file, a pixel is off by up to half a level of 255.
    np.testing.assert_allclose([row.score for row in read], drawing.scores, rtol=0.05)
    assert [row.name for row in read] == [f"four.png #{n}" for n in (1, 2, 3, 4)]
    np.testing.assert_array_equal(
        [one.pixels for one in subjects(path)],
        np.round(drawing.images * 255).astype(np.uint8) / np.float32(255),
    )


def test_a_picture_is_drawn_again_and_compared(drawing, path, tmp_path):
    again = repeated(path, network)
    assert (again.difference, again.share, again.same) == (0, 0.0, True)
    assert again.seconds > 0 and (again.peak is None or again.peak > 1 << 20)

    def brighter(pixels):
        pixels[5, 6, 0] ^= 8
        return pixels

    other = edited(path, tmp_path / "edited.png", brighter)
    row = measure(other, model=network, draws=FEW, again=True)[0]
    assert (row.repeated.difference, row.repeated.same) == (8, False)
    assert row.repeated.share == pytest.approx(1 / np.prod(np.asarray(Image.open(path)).shape))
    unfinished = edited(path, tmp_path / "half.png", np.copy, lambda said: {**said, "stopped": "interrupted"})
    assert "did not come to its end" in measure(unfinished, model=network, draws=FEW, again=True)[0].notes[0]


def test_a_photograph_is_measured_for_what_can_be_measured():
    row = measure(PHOTO)[0]
    assert row.score is row.robust is row.low is row.seen is row.variety is row.wanted is None
    assert row.transfer == () and row.size == (24, 44)
    assert all(math.isfinite(value) for value in (row.slope, row.high, row.colors))
    asked = measure(PHOTO, model=network, objective=dp.logit(2), judges=JUDGES, size=24, draws=FEW)[0]
    expected = scores(network, [dp.logit(2)], PHOTO[None, :, 10:34], draws=FEW)
    assert (asked.score, asked.robust, asked.low) == pytest.approx([float(part[0]) for part in expected])
    assert asked.seen == (24, 24) and asked.transfer[0].rank >= 1 and asked.variety is None


def test_json_holds_everything_and_nothing_that_is_no_number(path):
    flat = np.full((12, 12, 3), 0.5, np.float32)
    rows = measure(flat, path, model=network, judges=JUDGES, draws=FEW)
    data = json.loads(to_json(rows))
    assert [one["name"] for one in data] == ["picture", *(f"four.png #{n}" for n in (1, 2, 3, 4))]
    assert data[0]["slope"] is None and data[0]["colors"] is None and "too small" in data[0]["notes"][0]
    assert data[1]["transfer"][0]["top5"] in (True, False) and data[1]["variety"]["pictures"] == 2


def test_what_a_file_says_is_not_believed_where_it_cannot_be(path, tmp_path):
    cases = {
        "another size": (lambda pixels: pixels[:-1], True),
        "not clear": (np.copy, lambda said: {**said, "scores": [1.0] * 99}),
        "cannot be read": (np.copy, lambda said: {**said, "objectives": [{"kind": "Secret"}]}),
        "damaged": (np.copy, lambda said: {**said, "recipe": 7}),
    }
    for number, (word, (change, keep)) in enumerate(cases.items()):
        row = measure(edited(path, tmp_path / f"{number}.png", change, keep), model=network)[0]
        assert word in row.notes[0] and row.score is None, word
        assert row.slope is not None


def test_a_recipe_of_one_s_own_is_said(drawing, tmp_path):
    own = dataclasses.replace(drawing, recipe=QUICK.replace(transforms=(lambda image, key: image,)))
    row = measure(own.save(tmp_path / "own.png"), model=network, size=24, draws=FEW)[0]
    assert "its recipe cannot be read" in row.notes[0] and row.score is not None


def test_transparent_drawings_are_seen_over_grey(drawing, tmp_path):
    recipe = QUICK.replace(canvas=canvases.Transparent(), transforms=(transforms.OnBackground(),))
    images = np.random.default_rng(0).random((4, 24, 24, 4)).astype(np.float32)
    clear = dataclasses.replace(drawing, recipe=recipe, images=images)
    seen = images[..., 3:] * images[..., :3] + (1 - images[..., 3:]) * 0.5
    expected = np.asarray(network(seen))[[0, 1, 2, 3], [3, 3, 5, 5]]
    for what in (clear, clear.save(tmp_path / "clear.png")):
        rows = measure(what, model=network, draws=FEW)
        np.testing.assert_allclose(
            [row.score for row in rows], expected, rtol=0.02
        )  # rounded to 8 bits, twice
        assert all(math.isfinite(row.colors) for row in rows)


def test_bad_pictures_are_refused(tmp_path):
    text = tmp_path / "text.png"
    text.write_text("Dear diary")
    for bad, error in (
        (text, BadFile),
        (tmp_path / "none.png", Unreachable),
        (np.ones((4, 4)), InvalidInput),
    ):
        with pytest.raises(error):
            measure(bad)
    with pytest.raises(InvalidInput, match="nothing to measure"):
        measure()
    with pytest.raises(BadFile):
        repeated(text, network)


@pytest.mark.parametrize(("count", "keys"), [(1, 1), (2, 2), (6, 3), (5, 5), (3, 1)])
def test_sheets_are_taken_apart(count, keys):
    pictures = np.random.default_rng(0).integers(0, 256, (count, 5, 7, 3), np.uint8)
    sheet = laid_out(pictures, keys)
    np.testing.assert_array_equal(taken_apart(sheet, count, keys, (5, 7)), pictures)
    assert taken_apart(sheet[1:], count, keys, (5, 7)) is None


def test_the_peak_is_watched_anew():
    peak = memory.watch_peak()
    before = peak()
    if before is None:
        pytest.skip("this system does not say how much memory was held")
    held = np.ones(40 << 17)  # 40 MiB
    grown = peak() - before
    del held
    assert 35 << 20 < grown < 60 << 20  # 40 MiB, beside what the interpreter takes and gives back meanwhile
    assert memory.watch_peak()() < before + (35 << 20)
