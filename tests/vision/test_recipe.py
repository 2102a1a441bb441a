"""Recipes: the published numbers, and the way to a file and back."""

import dataclasses
import json

import pytest

import diffprog as dp
from diffprog.errors import InvalidInput
from diffprog.vision import recipes
from diffprog.vision.canvas import Fourier
from diffprog.vision.recipe import Adam, Recipe
from diffprog.vision.transform import Jitter, Pad, Rotate, Scale, output_shape


def test_lucid_has_the_constants_of_lucid():
    """Lucid 0.3.10: render.py (Adam .05, 512 steps, 128 px), param/spatial.py (sd .01, decay 1),
    transform.py standard_transforms, misc/redirected_relu_grad.py (16 steps)."""
    lucid = recipes.LUCID
    assert (lucid.size, lucid.steps, lucid.redirect_steps) == (128, 512, 16)
    assert lucid.canvas == Fourier(decay=1.0, deviation=0.01, decorrelate=True)
    assert lucid.optimizer == Adam(0.05)
    assert lucid.redirect_always
    assert lucid.regularizers == () and lucid.class_probability == 0
    pad, jitter, scale, rotate, last = lucid.transforms
    assert pad == Pad(12, 0.5) and jitter == Jitter(8) and last == Jitter(4)
    assert scale == Scale((0.9, 0.92, 0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06, 1.08, 1.1))
    assert rotate == Rotate((*range(-10, 11), 0, 0, 0, 0, 0))
    assert output_shape(lucid.transforms, (128, 128)) == (140, 140)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_to_json_and_back(name):
    recipe = recipes.RECIPES[name]
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_file_cannot_name_anything_but_parts_of_recipes():
    data = recipes.DEFAULT.to_dict() | {"canvas": {"part": "system", "command": "true"}}
    with pytest.raises(InvalidInput, match="part 'system'"):
        Recipe.from_dict(data)


def test_printing_reads_like_a_table():
    lines = str(recipes.LUCID).splitlines()
    assert "steps              512" in lines and len(lines) == 14


@pytest.mark.parametrize("change", [{"steps": 0}, {"steps": -3}, {"size": 0}, {"size": -1}, {"steps": 1.5}])
def test_numbers_that_make_no_picture_are_refused(change):
    with pytest.raises(InvalidInput, match="whole number of at least 1"):
        recipes.DEFAULT.replace(**change)


def test_a_network_with_statistics_is_asked_for_natural_pictures():
    bare = dp.models.load("squeezenet")
    assert recipes.default_for(bare) is recipes.DEFAULT
    assert recipes.default_for(dataclasses.replace(bare, statistics={"conv1": (0.0, 1.0)})) is recipes.NATURAL


def test_naturalness_needs_statistics():
    net = dp.models.load("squeezenet")
    with pytest.raises(InvalidInput, match=r"(?s)naturalness=200 for squeezenet.*recipes\.DEFAULT"):
        dp.visualize(net, net.logit(0), recipe=recipes.NATURAL, size=48, steps=1)
