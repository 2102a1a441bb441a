"""Recipes: the published numbers, each with its source, and the way to a file and back."""

import dataclasses
import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import diffprog as dp
from diffprog.errors import InvalidInput
from diffprog.graph import overrides
from diffprog.vision import canvases, recipes, regularizers, transforms
from diffprog.vision.canvases import Fourier, Phase, PowerLaw
from diffprog.vision.recipes import Adam, Nadam, Recipe, parts
from diffprog.vision.transforms import (
    BlurBetween,
    Crop,
    CropOrPad,
    Jitter,
    Mirror,
    Noise,
    Pad,
    Resize,
    Rotate,
    Scale,
    ScaleBetween,
    ShrinkingCrop,
    Translate,
    UniformNoise,
    output_shape,
)

pytestmark = pytest.mark.usefixtures("compiled_plainly")

LUCID_SCALES = Scale((0.9, 0.92, 0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06, 1.08, 1.1))
LUCID_TURNS = Rotate((*range(-10, 11), 0, 0, 0, 0, 0))


# ---- the published numbers ----------------------------------------------------------------------------------


def test_lucid_has_the_constants_of_lucid():
    """Lucid 0.3.10: render.py (Adam .05, 512 steps, 128 px), param/spatial.py (sd .01, decay 1),
    transform.py standard_transforms, misc/redirected_relu_grad.py (16 steps)."""
    lucid = recipes.LUCID
    assert (lucid.size, lucid.steps, lucid.redirect_steps) == (128, 512, 16)
    assert lucid.canvas == Fourier(decay=1.0, deviation=0.01, decorrelate=True, softening=4.0)
    assert lucid.optimizer == Adam(0.05)
    assert lucid.redirect_always
    assert lucid.regularizers == () and lucid.class_probability == 0 and lucid.views == 1
    assert lucid.transforms == (Pad(12, 0.5), Jitter(8), LUCID_SCALES, LUCID_TURNS, Jitter(4))
    assert output_shape(lucid.transforms, (128, 128)) == (140, 140)


def test_caricature_has_the_constants_of_lucid_s_recipe():
    """Lucid: recipes/caricature.py: 512 steps of render_vis's Adam, standard transforms, crop_or_pad_to."""
    recipe = recipes.CARICATURE
    assert (recipe.size, recipe.steps, recipe.canvas, recipe.optimizer) == (224, 512, Fourier(), Adam(0.05))
    assert recipe.transforms == (*recipes.LUCID.transforms, CropOrPad(224, 224))
    assert output_shape(recipe.transforms, (224, 224)) == (224, 224)


def test_lucent_has_the_constants_of_lucent():
    """torch-lucent 0.1.8: optvis/render.py (Adam .05, 512, 128 px to 224), transform.py, param/spatial.py."""
    recipe = recipes.LUCENT
    assert (recipe.size, recipe.steps, recipe.canvas, recipe.optimizer) == (128, 512, Fourier(), Adam(0.05))
    lucent = (Pad(12, 0.5), Translate(8), LUCID_SCALES, LUCID_TURNS, Translate(4), Resize(224))
    assert recipe.transforms == lucent
    assert recipe.redirect_steps == 0 and output_shape(lucent, (128, 128)) == (224, 224)


def test_captum_has_the_constants_of_captum():
    """captum, branch optim-wip: optim/_core/optimization.py (lr .025), _param/image/images.py (randn / 50, no / 4),
    _param/image/transforms.py (five scales, jitter 16)."""
    recipe = recipes.CAPTUM
    assert (recipe.size, recipe.steps, recipe.optimizer) == (224, 512, Adam(0.025))
    assert recipe.canvas == Fourier(decay=1.0, deviation=1 / 50, softening=1.0)
    assert recipe.transforms == (Scale((1.0, 0.975, 1.025, 0.95, 1.05)), Pad(16, 0.5), Jitter(2 * 16))
    assert output_shape(recipe.transforms, (224, 224)) == (224, 224) and recipe.redirect_steps == 0


def test_xplique_has_the_constants_of_xplique():
    """Xplique 2.0.0: features_visualizations/optim.py (Adam .05, 256 steps, 512 px), preconditioning.py (decay .85),
    transformations.py generate_standard_transformations: u = 512 // 16; Keras's epsilon 1e-7."""
    recipe, u = recipes.XPLIQUE, 32
    assert (recipe.size, recipe.steps, recipe.optimizer) == (512, 256, Adam(0.05, epsilon=1e-7))
    assert recipe.canvas == Fourier(decay=0.85, deviation=0.01)
    jitters = [one.width for one in recipe.transforms if isinstance(one, Jitter)]
    assert jitters == [2 * u, 2 * u, 4 * u, 4 * u, 4 * u, u, u]
    others = [one for one in recipe.transforms if not isinstance(one, Jitter)]
    assert others == [
        *(Pad(4 * u, 0.0), ScaleBetween(0.92, 0.96), BlurBetween(1.0, 1.1), Mirror(), Resize(224)),
    ]


def test_maco_has_the_constants_of_xplique_s_maco():
    """Xplique 2.0.0: features_visualizations/maco.py: 512 px, 256 steps of Keras's Nadam(1.0), 32 crops about
    N(.5, .15) of side N(.5 to .05, .05) cut to [.05, 1], noise N(0, .08) + U(+-.04) for values in (-1, 1)."""
    recipe = recipes.MACO
    assert (recipe.size, recipe.steps, recipe.views) == (512, 256, 32)
    assert recipe.canvas == Phase(PowerLaw(1.5), deviation=1.0)
    assert recipe.optimizer == Nadam(1.0, decay=1.0, b1=0.9, b2=0.999, epsilon=1e-7)
    crop = ShrinkingCrop(224, low=0.05, high=1.0, centre=0.15, start=0.5, end=0.05, spread=0.05)
    assert recipe.transforms == (crop, Noise(0.08 / 2), UniformNoise(0.08 / 2))


def test_horama_has_the_constants_of_horama():
    """Horama 0.3.0: maco_fv.py: 1280 px, 1000 steps of torch's NAdam(1.0), 6 crops; common.py: sides drawn from .25 to
    .30 for a box_size of (.20, .25); noise .05 for values in (-2.5, 2.5)."""
    recipe = recipes.HORAMA
    assert (recipe.size, recipe.steps, recipe.views) == (1280, 1000, 6)
    assert recipe.canvas == Phase(PowerLaw(1.5))
    assert recipe.optimizer == Nadam(1.0, decay=0.004, epsilon=1e-8)
    low, high = 0.20, 0.25
    crop = Crop(224, low=high, high=round(2 * high - low, 2), centre=0.15)
    assert recipe.transforms == (crop, Noise(0.05 / 5), UniformNoise(0.05 / 5))


def test_accentuation_has_the_constants_of_horama():
    """Horama 0.3.0: feature_accentuation.py: NAdam(1.0) on raw coefficients of 1280 px, penalty 1 for a range of 5."""
    recipe = recipes.ACCENTUATION
    assert (recipe.steps, recipe.views, recipe.transforms) == (1000, 6, recipes.HORAMA.transforms)
    assert recipe.optimizer == Nadam(1.0 / 1280, decay=0.004)
    assert recipe.canvas == Fourier(decay=0.0, softening=1.0)
    assert recipe.regularizers == (regularizers.Likeness(25.0),)


def test_a_step_of_accentuation_is_a_step_of_one_in_raw_coefficients():
    photo = np.full((1280, 1280, 3), 0.5, np.float32)
    canvas = recipes.ACCENTUATION.canvas
    params = canvas.params_of(photo)
    moved = canvases.Sized(params.values.at[0, 0, 3, 5].add(1 / 1280), params.size)
    raw = np.fft.rfft2(np.asarray(canvas.to_channels(moved) - canvas.to_channels(params))[0])
    assert abs(raw[3, 5]) == pytest.approx(1.0, rel=1e-3)  # float32, a transform of 1.6 million numbers


def test_adam_methods_undo_a_constant_scale_of_the_gradient():
    """Why the backward-only scaling of Horama's accentuation needs no rule here."""
    rng = np.random.default_rng(0)
    scale = jnp.asarray(rng.uniform(1, 100, 6), jnp.float32)
    one, other = (walked(Nadam(0.1), rng_gradients(6), scale=s) for s in (1.0, scale))
    np.testing.assert_allclose(one, other, atol=1e-5)  # up to epsilon


# ---- optimizers ---------------------------------------------------------------------------------------------


def rng_gradients(size, steps=12):
    return np.random.default_rng(5).normal(size=(steps, size)).astype(np.float32)


def walked(optimizer, gradients, scale=1.0):
    method = optimizer()
    x = jnp.zeros(gradients.shape[1])
    state = method.init(x)
    for g in gradients:
        moves, state = method.update(scale * jnp.asarray(g), state, x)
        x = optax.apply_updates(x, moves)
    return x


def test_nadam_takes_the_steps_of_pytorch():
    torch = pytest.importorskip("torch")
    gradients = rng_gradients(5)
    x = torch.zeros(5, requires_grad=True)
    method = torch.optim.NAdam([x], lr=1.0)
    for g in gradients:
        x.grad = torch.from_numpy(g)
        method.step()
    np.testing.assert_allclose(walked(Nadam(1.0), gradients), x.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_nadam_takes_the_steps_of_keras():
    """The update of keras.optimizers.Nadam, in numpy: the momentum warms up with 0.96^t, epsilon is 1e-7."""
    gradients = rng_gradients(5).astype(np.float64)
    x, m, v, product = np.zeros(5), np.zeros(5), np.zeros(5), 1.0
    for t, g in enumerate(gradients, start=1):
        now, ahead = (0.9 * (1 - 0.5 * 0.96**k) for k in (t, t + 1))
        product *= now
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        m_hat = ahead * m / (1 - product * ahead) + (1 - now) * g / (1 - product)
        x -= m_hat / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)
    got = walked(Nadam(1.0, decay=1.0, epsilon=1e-7), gradients.astype(np.float32))
    np.testing.assert_allclose(got, x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("cooldown", "flat"), [(0.0, 8), (0.5, 4), (1.0, 0)])
def test_a_cooldown_ends_in_no_step_at_all(cooldown, flat):
    recipe = recipes.PIXEL.replace(optimizer=recipes.GradientAscent(0.5), steps=8, cooldown=cooldown)
    method = recipe.method()
    state, taken = method.init(jnp.zeros(())), []
    for _ in range(9):
        update, state = method.update(jnp.ones(()), state)
        taken.append(-float(update) / 0.5)
    falling = 0.5 + 0.5 * np.cos(np.pi * np.arange(9 - flat) / max(1, 8 - flat))
    np.testing.assert_allclose(taken, [*[1] * flat, *(falling if cooldown else [1])], atol=1e-6)  # float32


def test_the_nadams_differ():
    gradients = rng_gradients(5)
    walks = [walked(one, gradients) for one in (Nadam(1.0), Nadam(1.0, decay=1.0), lambda: optax.nadam(1.0))]
    for i, one in enumerate(walks):
        assert all(jnp.abs(one - other).max() > 0.05 for other in walks[i + 1 :])


# ---- parts and files ----------------------------------------------------------------------------------------

# One of every part, with every number another than its default: what a file forgets is found.
PARTS = [
    recipes.Adam(0.1, 0.8, 0.99, 1e-5),
    recipes.GradientAscent(0.5),
    recipes.Nadam(0.5, 1.0, 0.8, 0.99, 1e-5),
    recipes.AverageMaxPool(),
    recipes.SmoothMaxPool(),
    canvases.Pixel(0.1, True, 2, ((1.0, 0.0), (0.5, 0.5))),
    canvases.Fourier(0.5, 0.1, False, 2, ((1.0, 0.0), (0.5, 0.5)), 1.0),
    canvases.PowerLaw(1.0),
    canvases.Spectrum((0.1, 0.2), ((3.0, 1.0), (2.0, 1.0))),
    canvases.Phase(canvases.Spectrum((0.1,), ((1.0,),)), 0.5, False, 1, ((1.0,),)),
    canvases.Pyramid(2, 0.1, False, 2, ((1.0, 0.0), (0.5, 0.5))),
    canvases.Coarse(2, 0.1, False, 2, ((1.0, 0.0), (0.5, 0.5))),
    canvases.CPPN(5, 2, 1),
    canvases.Shared(canvases.Pixel(), (canvases.Coarse(2),), False, ((1.0,),)),
    canvases.Transparent(canvases.Pixel(), canvases.Pixel(channels=1)),
    canvases.Grey(canvases.Pixel(channels=1)),
    transforms.Pad(3, 0.1),
    transforms.Jitter(3),
    transforms.CropOrPad(3, 4, 0.1),
    transforms.Translate(3),
    transforms.Shift(2.0),
    transforms.Scale((0.5, 1.5)),
    transforms.ScaleBetween(0.5, 1.5),
    transforms.Rotate((1.0, 2.0)),
    transforms.RotateBetween(3.0),
    transforms.Mirror(),
    transforms.Fade(0.5),
    transforms.NormalizeGradient(),
    transforms.Noise(0.3),
    transforms.UniformNoise(0.3),
    transforms.ContrastBetween(0.2, 0.9),
    transforms.ColorJitter(0.2, 0.3, 0.4),
    transforms.BlurBetween(0.1, 0.2),
    transforms.Erase(0.2, 0.3, 0.4, 0.5),
    transforms.Crop(64, 0.1, 0.2, 0.3),
    transforms.ShrinkingCrop(64, 0.1, 0.9, 0.3, 0.4, 0.2, 0.1),
    transforms.Resize(64),
    transforms.OnBackground(0.1, 0.2),
    regularizers.TotalVariation(2.0),
    regularizers.L1(2.0, 0.1),
    regularizers.L2(2.0, 0.1),
    regularizers.LInfinity(2.0, 0.1),
    regularizers.PowerNorm(2.0, 3.0, 0.1),
    regularizers.Likeness(2.0),
    regularizers.Blur(2.0),
    regularizers.BlurStep(2.0),
    regularizers.HighFrequency(2.0, 0.1),
    regularizers.Boundary(2.0, 3, 0.1),
    regularizers.Opacity(2.0),
    regularizers.OpacityNorm(2.0),
    regularizers.OpacityBlur(2.0),
    regularizers.Balanced(regularizers.L1(2.0), 0.3),
]


def test_no_part_can_skip_the_table():
    rooms = (canvases, transforms, regularizers, recipes)
    found = {
        part
        for room in rooms
        for part in vars(room).values()
        if inspect.isclass(part) and dataclasses.is_dataclass(part)
    }
    rest = {part.__name__ for part in found - {type(one) for one in PARTS}}
    assert rest == {"Geometric", "Compose", "Photograph", "Latent", "Sized", "Recipe"}
    assert {type(one) for one in PARTS} == set(parts.PARTS.values())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_every_part_survives_the_way_to_a_file(part):
    assert parts.revived(json.loads(json.dumps(parts.plain(part)))) == part
    different = {f.name for f in dataclasses.fields(part) if getattr(part, f.name) == f.default}
    assert different <= {"image"}


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_to_json_and_back(name):
    recipe = recipes.RECIPES[name]
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_file_cannot_name_anything_but_parts_of_recipes():
    for name in ("system", "Override", "Recipe", "Photograph", "Latent"):
        data = recipes.DEFAULT.to_dict() | {"canvas": {"part": name, "command": "true"}}
        with pytest.raises(InvalidInput, match=f"part '{name}'"):
            Recipe.from_dict(data)


def test_a_file_cannot_ask_for_all_memory():
    for wish in ({"part": "CPPN", "hidden": 10**9}, {"part": "Pyramid", "levels": -(10**9)}):
        with pytest.raises(InvalidInput, match="whole numbers of at most 4096"):
            Recipe.from_dict(recipes.DEFAULT.to_dict() | {"canvas": wish})


def test_a_photograph_or_a_generator_is_named_and_not_drawn_from_a_file():
    photo = np.full((8, 9, 3), 0.5, np.float32)
    recipe = recipes.ACCENTUATION.of(photo)
    text = json.dumps(recipe.to_dict())
    assert "from a photograph of 8x9 pixels" in text and len(text) < 2000
    with pytest.raises(InvalidInput, match=r"(?s)photograph of 8x9.*recipe object"):
        Recipe.from_dict(json.loads(text))


def test_printing_reads_like_a_table():
    lines = str(recipes.LUCID).splitlines()
    assert "steps              512" in lines and len(lines) == 19
    assert "size               (64, 96)" in str(recipes.LUCID.replace(size=(64, 96))).splitlines()


@pytest.mark.parametrize("change", [{"steps": 0}, {"steps": -3}, {"size": 0}, {"size": -1}, {"steps": 1.5}])
def test_numbers_that_make_no_picture_are_refused(change):
    with pytest.raises(InvalidInput, match="whole number of at least 1"):
        recipes.DEFAULT.replace(**change)


def test_other_requests_that_make_no_sense_are_refused():
    with pytest.raises(InvalidInput, match="views=4 without transforms"):
        recipes.PIXEL.replace(views=4)
    with pytest.raises(InvalidInput, match="size="):
        recipes.PIXEL.replace(size=(4, 0))
    with pytest.raises(InvalidInput, match="a photograph for Phase"):
        recipes.MACO.of(np.zeros((8, 8, 3), np.float32))
    with pytest.raises(InvalidInput, match="branches left out at a rate of 1"):
        recipes.PIXEL.replace(stochastic_depth=1)
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(InvalidInput, match="gradient of branches"):
            recipes.PIXEL.replace(branch_gradient=share)
        with pytest.raises(InvalidInput, match="cooldown="):
            recipes.PIXEL.replace(cooldown=share)


def test_starting_from_a_photograph_sets_canvas_size_and_what_compares():
    photo = np.random.default_rng(0).random((8, 9, 3)).astype(np.float32)
    recipe = recipes.ACCENTUATION.of(photo)
    assert recipe.size == (8, 9) and recipe.canvas.size == (8, 9)
    assert (recipe.regularizers[0].image == photo).all()


# ---- what networks are asked --------------------------------------------------------------------------------


def test_a_network_with_statistics_is_asked_for_natural_pictures():
    bare = dp.models.load("squeezenet")
    assert recipes.default_for(bare) is recipes.DEFAULT
    assert recipes.default_for(dataclasses.replace(bare, statistics={"conv1": (0.0, 1.0)})) is recipes.NATURAL


def test_naturalness_needs_statistics():
    net = dp.models.load("squeezenet")
    with pytest.raises(InvalidInput, match=r"(?s)naturalness=200 for squeezenet.*recipes\.DEFAULT"):
        dp.visualize(net, net.logit(0), recipe=recipes.NATURAL, size=48, steps=1)


def test_overrides_of_a_recipe_are_those_of_the_graph_room():
    assert recipes.AverageMaxPool()() is overrides.average_max_pool
    assert recipes.SmoothMaxPool()() is overrides.smooth_max_pool


def test_an_override_changes_the_way_and_not_the_score():
    def pooled(images):  # the maximum over 4 x 4 windows, of the red channel
        tiles = images[..., 0].reshape(-1, 4, 4, 4, 4)
        return (
            jax.lax.reduce_window(images, -jnp.inf, jax.lax.max, (1, 4, 4, 1), (1, 4, 4, 1), "VALID").mean(
                (1, 2)
            )
            + 0 * tiles.mean((1, 2, 3, 4))[:, None]
        )

    plain = recipes.PIXEL.replace(size=16, steps=1)
    smooth = plain.replace(overrides=(recipes.AverageMaxPool(),))
    first, other = (dp.visualize(pooled, dp.logit(0), recipe=one) for one in (plain, smooth))
    assert (first.history == other.history).all()
    start = plain.canvas.init(jax.random.key(0), 16)
    moved = [
        np.abs(d.images[0] - np.asarray(plain.canvas.to_image(start)))[..., 0] > 1e-3 for d in (first, other)
    ]
    assert moved[0].sum() == 16 and moved[1].sum() == 256  # one winner a window, or all of its pixels
