"""Saving: what a PNG carries, drawing it again, and files that are not ours."""

import dataclasses
import os

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import diffprog as dp
from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.vision import canvases, read_request, recipes, transforms

pytestmark = pytest.mark.usefixtures("compiled_plainly")

QUICK = recipes.DEFAULT.replace(size=40, steps=6, redirect_steps=0)


def seen(images):
    """A network of any number of channels."""
    return jnp.tanh(4 * images - 2).mean((1, 2))


FEW = recipes.PIXEL.replace(size=40, steps=2)


@pytest.fixture(scope="module")
def one():
    """A drawing to be saved, or not."""
    return dp.visualize(seen, dp.logit(1), recipe=FEW)


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


def test_several_pictures_make_a_contact_sheet(tmp_path):
    drawing = dp.visualize(seen, [dp.logit(1), dp.logit(2)], recipe=FEW, n=3)
    path = drawing.save(tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(path))
    assert sheet.shape == (2 * 44 + 4, 3 * 44 + 4, 3)
    assert np.abs(sheet[48:88, 4:44] / 255.0 - drawing.images[3]).max() <= 0.5 / 255 + 1e-6
    assert (dp.redraw(path, seen).images == drawing.images).all()
    assert drawing._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("picture.jpg", InvalidInput),
        ("nowhere/picture.png", Unreachable),
        ("file.txt/picture.png", Unreachable),
    ],
)
def test_destinations_that_cannot_be_written(one, tmp_path, name, error):
    (tmp_path / "file.txt").write_text("a file, not a folder")
    with pytest.raises(error):
        one.save(tmp_path / name)
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


def test_a_file_cannot_ask_for_days_of_work(one, tmp_path):
    endless = dataclasses.replace(one, recipe=one.recipe.replace(steps=10**9))
    with pytest.raises(BadFile, match="steps=1000000000"):
        read_request(endless.save(tmp_path / "endless.png"))


def test_objectives_survive_the_way_to_a_dictionary():
    from diffprog.graph.objectives import objective_from_dict, objective_to_dict

    wish = 2 * dp.neuron("a", 3, (1, 2)) - dp.layer("b") * dp.channel("c", 0) + dp.log_probability(4)
    again = objective_from_dict(objective_to_dict(wish))
    assert again == wish
    values = {"a": jnp.ones((4, 4, 5)), "b": jnp.ones((2, 2, 2)), "c": jnp.ones(3), "output": jnp.zeros(8)}
    assert float(again(values)) == pytest.approx(2 - 1 - np.log(8), abs=1e-6)


BACKGROUND = transforms.OnBackground()
CANVASES = {
    "transparent": (
        recipes.PIXEL.replace(canvas=canvases.Transparent(), transforms=(BACKGROUND,)),
        4,
        "RGBA",
    ),
    "grey": (recipes.PIXEL.replace(canvas=canvases.Grey()), 3, "RGB"),
    "one channel": (recipes.PIXEL.replace(canvas=canvases.Pixel(channels=1)), 1, "RGB"),
    "phase": (recipes.PIXEL.replace(canvas=canvases.Phase()), 3, "RGB"),
    "painting network": (recipes.PIXEL.replace(canvas=canvases.CPPN(4, 2)), 3, "RGB"),
    "pyramid": (recipes.PIXEL.replace(canvas=canvases.Pyramid(levels=2)), 3, "RGB"),
    "shared": (recipes.PIXEL.replace(canvas=canvases.Shared(common=(canvases.Coarse(4),))), 3, "RGB"),
}


@pytest.mark.parametrize("name", CANVASES)
def test_every_canvas_is_drawn_saved_and_drawn_again(tmp_path, name):
    recipe, channels, mode = CANVASES[name]
    recipe = recipe.replace(size=(12, 20), steps=8)
    drawing = dp.visualize(seen, dp.logit(0), recipe=recipe, n=2, key=3)
    assert drawing.images.shape == (2, 12, 20, channels)
    assert drawing.history[-1].mean() > drawing.history[0].mean()
    path = drawing.save(tmp_path / "two.png")
    sheet = Image.open(path)
    assert sheet.mode == mode and sheet.size == (2 * 24 + 4, 16 + 4)  # two of 20 x 12 with margins of 4
    pixels = np.asarray(sheet)[4:16, 4:24] / 255
    assert (
        np.abs(pixels - drawing.images[0]).max() <= 0.5 / 255 + 1e-6
    )  # rounded to 8 bits; one channel repeats
    assert (dp.redraw(path, seen).images == drawing.images).all()


def test_transparent_pictures_need_a_background_to_be_seen_over():
    with pytest.raises(InvalidInput, match="no background"):
        dp.visualize(seen, dp.logit(0), recipe=recipes.PIXEL.replace(canvas=canvases.Transparent()), size=8)


def test_networks_of_other_channels_are_drawn_for_and_saved_as_numbers(tmp_path):
    recipe = recipes.PIXEL.replace(canvas=canvases.Fourier(channels=5), size=12, steps=4)
    drawing = dp.visualize(seen, dp.logit(4), recipe=recipe)
    assert drawing.images.shape == (1, 12, 12, 5) and drawing.scores[0] > drawing.history[0, 0]
    with pytest.raises(InvalidInput, match="5 channels to save"):
        drawing.save(tmp_path / "five.png")


def test_a_photograph_is_where_the_drawing_starts():
    photo = np.random.default_rng(0).random((12, 20, 3)).astype(np.float32)
    recipe = recipes.ACCENTUATION.of(photo).replace(
        transforms=(transforms.Crop(8, 0.5, 0.9),), views=3, steps=1
    )
    drawing = dp.visualize(seen, dp.logit(0), recipe=recipe)
    assert drawing.images.shape == (1, 12, 20, 3)
    # one step of 1 / 1280 in 720 unitary coefficients, which colours spread and the sigmoid divides by 4
    assert 0 < np.abs(drawing.images[0] - photo).mean() < 0.005
    with pytest.raises(InvalidInput, match="photograph of 12x20"):
        dp.visualize(seen, dp.logit(0), recipe=recipe, size=24)


def test_views_are_the_mean_over_draws_and_one_key_is_one_picture():
    crops = recipes.PIXEL.replace(
        canvas=canvases.Phase(), transforms=(transforms.ShrinkingCrop(8),), views=3, size=24, steps=6
    )
    two = dp.visualize(seen, dp.logit(1), recipe=crops, n=2, key=5)
    one = dp.visualize(seen, dp.logit(1), recipe=crops, key=6)
    np.testing.assert_allclose(two.images[1], one.images[0], atol=1e-5)  # the project's law, on one backend
    image = jnp.asarray(one.images[0])
    calm = seen(transforms.Crop(8).still(image)[None])[0, 1]
    assert one.scores[0] == pytest.approx(
        float(calm), abs=1e-5
    )  # judged whole, made as small as a crop is seen
    flat = crops.replace(canvas=canvases.Pixel(deviation=0.0), optimizer=recipes.GradientAscent(0.0))
    still = dp.visualize(seen, dp.logit(1), recipe=flat.replace(steps=2))
    np.testing.assert_allclose(still.history, 0.0, atol=1e-6)  # tanh(4 / 2 - 2), in all views
