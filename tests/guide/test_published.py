"""Published generators, small and seeded, guided from end to end: scores rise, priors hold, a picture is inverted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.guide import generators, guide, invert
from diffprog.guide.augments import WHOLE
from diffprog.guide.generators import checked
from diffprog.guide.methods import Adam
from diffprog.guide.priors import Clamp, Few, Moments, parts
from diffprog.models import gans
from diffprog.vision.canvases import CPPN
from tests.guide import toys
from tests.models.gans.conftest import compile_fast as compile_fast
from tests.models.gans.tiny import SMALLEST, saved

QUICK = {"scorer": toys.SCORER, "augment": WHOLE, "n": 2, "steps": 12, "screen": 1, "key": 3}


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gans")
    return {kind: gans.load(saved(folder, kind, sizes), kind) for kind, sizes in SMALLEST.items()}


def raised(generator):
    """Guided to blue pictures, and the score of every member has risen."""
    made = guide("blue", generator=generator, **QUICK)
    assert made.stopped == "finished"
    assert (made.scores > made.start_scores).all(), (made.start_scores, made.scores)
    return made


def test_biggan_is_guided_by_z_and_classes(nets):
    made = raised(generators.biggan(nets["biggan"], 0.6))
    z, classes = made.latents["z"], made.latents["classes"]
    assert made.settings["prior"] == repr(parts(z=Clamp(2.0))) and np.abs(z).max() <= 2
    # The two programs take sums in another order.
    np.testing.assert_allclose(
        made.images, nets["biggan"].at(0.6)(0.6 * z, jax.nn.softmax(3 * classes)), atol=1e-5
    )


def test_vqgan_is_guided_by_its_grid_and_keeps_to_the_codebooks_range(nets):
    made = raised(generators.vqgan(nets["vqgan"], (4, 6)))
    least, greatest = map(np.asarray, nets["vqgan"].bounds)
    assert made.images.shape[1:3] == (4, 6) and made.latents.shape == (2, 2, 3, 6)
    assert (made.latents >= least - 1e-6).all() and (made.latents <= greatest + 1e-6).all()
    assert made.settings["method"] == repr(Adam(0.1)) and "the codebook" in made.settings["prior"]


def test_stylegan2_is_guided_by_a_style_for_every_layer(nets):
    made = raised(generators.stylegan2(nets["stylegan2"], "w+"))
    assert made.latents.shape == (2, 4, 8)
    assert (np.ptp(made.latents, axis=1) > 0).any()  # they began as one style, and moved apart


def test_a_cppn_is_guided_by_its_weights(nets):
    made = raised(generators.canvas(CPPN(hidden=4, layers=1), 8))
    assert made.settings["method"] == repr(Adam(0.005))


@pytest.mark.parametrize(
    "make, shapes",
    [
        (lambda nets: generators.bigsleep(nets["biggan"]), {"z": (2, 6), "classes": (2, 5)}),
        (lambda nets: generators.stylegan2(nets["stylegan2"], "z"), (7,)),
        (lambda nets: generators.stylegan2(nets["stylegan2"]), (8,)),
    ],
    ids=["bigsleep", "z", "w"],
)
def test_the_other_variables_make_pictures_too(make, shapes, nets):
    generator = make(nets)
    latent = jax.eval_shape(generator.draw, jax.random.key(0))
    assert jax.tree.map(lambda leaf: leaf.shape, latent) == shapes
    size = nets["biggan" if isinstance(shapes, dict) else "stylegan2"].size
    assert checked(generator, jax.random.key(0)) == (size, size)


def test_bigsleeps_classes_have_their_own_probabilities(nets):
    generator = generators.bigsleep(nets["biggan"])
    latents = jax.jit(jax.vmap(generator.draw))(jax.random.split(jax.random.key(0), 400))
    classes = np.asarray(latents["classes"])
    # Of 4000 draws, the mean is known to 0.3 / 63 and the deviation to 0.3 / 89: both to four of these.
    assert abs(classes.mean() + 3.9) < 0.02 and abs(classes.std() - 0.3) < 0.014
    assert generator.prior == parts(z=Moments(0.01), classes=Few(0.01))


def test_networks_are_generators_with_their_defaults(nets):
    for kind, name in (("biggan", "biggan-deep"), ("vqgan", "vqgan, 256x256"), ("stylegan2", "stylegan2, w")):
        assert generators.as_generator(nets[kind]).name == name
    own = generators.as_generator(nets["biggan"])
    assert own is generators.biggan(nets["biggan"])  # so that a second prompt compiles nothing anew


def test_inversion_finds_the_latent_of_a_picture_that_stylegan2_made(nets):
    generator = generators.stylegan2(nets["stylegan2"], "z")
    z = jax.random.normal(jax.random.key(9), (1, 7))
    found = invert(generator, generator.images(z)[0], n=3, steps=120)
    assert found.decibels > 30 and found.error < 0.05 * found.history[0].min()


def test_spaces_and_parts_that_are_not_there_are_refused(nets):
    with pytest.raises(InvalidInput, match=r"space='x'"):
        generators.stylegan2(nets["stylegan2"], "x")
    with pytest.raises(InvalidInput, match="multiples of 2"):
        generators.vqgan(nets["vqgan"], 7)
    with pytest.raises(InvalidInput, match="'classes' of a latent that has 'z'"):
        parts(classes=Few()).penalty({"z": jnp.zeros(3)})
    with pytest.raises(InvalidInput, match="no parts, but a "):
        parts(z=Moments()).project(jnp.zeros(3))
