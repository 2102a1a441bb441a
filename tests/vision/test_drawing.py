"""Saving: what a PNG carries, drawing it again, and files that are not ours."""

import dataclasses
import os

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import diffprog as dp
from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.vision import read_request, recipes

QUICK = recipes.DEFAULT.replace(size=40, steps=6, redirect_steps=0)


@pytest.fixture(scope="module")
def net():
    return dp.models.load("squeezenet")


def test_a_saved_picture_can_be_drawn_again(net, tmp_path):
    drawing = dp.visualize(
        net, net.logit(47) + 0.5 * dp.channel("fire5", 3), recipe=QUICK, key=5, title="two"
    )
    path = drawing.save(tmp_path / "two.png")
    request = read_request(path)
    assert (request.model, request.title, request.recipe) == ("squeezenet", "two", drawing.recipe)
    again = dp.redraw(path, net)
    assert (again.images == drawing.images).all()
    pixels = np.asarray(Image.open(path))
    assert np.abs(pixels / 255 - drawing.images[0]).max() <= 0.5 / 255 + 1e-6  # rounded to 8 bits


def test_several_pictures_make_a_contact_sheet(net, tmp_path):
    drawing = dp.visualize(net, [net.logit(1), net.logit(2)], recipe=QUICK.replace(steps=2), n=3)
    path = drawing.save(tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(path))
    assert sheet.shape == (2 * 44 + 4, 3 * 44 + 4, 3)
    assert np.abs(sheet[48:88, 4:44] / 255.0 - drawing.images[3]).max() <= 0.5 / 255 + 1e-6
    assert (dp.redraw(path, net).images == drawing.images).all()
    assert drawing._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("picture.jpg", InvalidInput),
        ("nowhere/picture.png", Unreachable),
        ("file.txt/picture.png", Unreachable),
    ],
)
def test_destinations_that_cannot_be_written(net, tmp_path, name, error):
    (tmp_path / "file.txt").write_text("a file, not a folder")
    drawing = dp.visualize(net, net.logit(1), recipe=QUICK.replace(steps=1))
    with pytest.raises(error):
        drawing.save(tmp_path / name)
    assert os.listdir(tmp_path) == ["file.txt"]


def test_other_files_are_refused(tmp_path):
    plain, text = tmp_path / "plain.png", tmp_path / "text.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(plain)
    text.write_text("not a picture")
    for path in (plain, text):
        with pytest.raises(BadFile, match="does not say how"):
            read_request(path)
    with pytest.raises(Unreachable):
        read_request(tmp_path / "missing.png")


def test_a_file_cannot_ask_for_days_of_work(net, tmp_path):
    drawing = dp.visualize(net, net.logit(1), recipe=QUICK.replace(steps=1))
    endless = dataclasses.replace(drawing, recipe=drawing.recipe.replace(steps=10**9))
    with pytest.raises(BadFile, match="steps=1000000000"):
        read_request(endless.save(tmp_path / "endless.png"))


def test_objectives_survive_the_way_to_a_dictionary():
    from diffprog.graph.objectives import objective_from_dict, objective_to_dict

    wish = 2 * dp.neuron("a", 3, (1, 2)) - dp.layer("b") * dp.channel("c", 0) + dp.log_probability(4)
    again = objective_from_dict(objective_to_dict(wish))
    assert again == wish
    values = {"a": jnp.ones((4, 4, 5)), "b": jnp.ones((2, 2, 2)), "c": jnp.ones(3), "output": jnp.zeros(8)}
    assert float(again(values)) == pytest.approx(2 - 1 - np.log(8), abs=1e-6)
