"""Published generators, small and seeded, guided from end to end: scores rise, priors hold, a picture is inverted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.guide import generators, guide, invert
from diffprog.guide.augments import WHOLE
from diffprog.guide.generators import Generator, checked
from diffprog.guide.methods import Adam
from diffprog.guide.priors import Clamp, Few, Moments, parts
from diffprog.guide.scorers import Scorer
from diffprog.guide.similarity import inner
from diffprog.models import gans
from diffprog.models.gans.parts import grown
from diffprog.vision.canvases import CPPN
from tests.models.gans.tiny import SMALLEST, saved

pytestmark = pytest.mark.usefixtures("compiled_plainly")

SIDE = 8


def strips(pictures):
    """The mean colour of each of four strips, as far as it lies from grey, of length one half: [B, 4 * 3]."""
    colours = pictures.reshape(len(pictures), pictures.shape[1], 4, -1, 3).mean((1, 3)) - 0.5
    return (colours / jnp.linalg.norm(colours, axis=-1, keepdims=True)).reshape(len(pictures), -1) / 2


def blues(sentences):
    return jnp.tile(jnp.array([0.0, 0.0, 0.5]), (len(sentences), 4))


STRIPS = Scorer("strips", 4 * SIDE, strips, blues, inner)  # the mean of four cosines, one for each generator


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gans")
    return {kind: gans.load(saved(folder, kind, sizes), kind) for kind, sizes in SMALLEST.items()}


@pytest.fixture(scope="module")
def each(nets):
    """A generator of every kind."""
    return {
        "biggan": generators.biggan(nets["biggan"], 0.6),
        "cppn": generators.canvas(CPPN(hidden=4, layers=1), SIDE),
        "stylegan2": generators.stylegan2(nets["stylegan2"], "w+"),
        "vqgan": generators.vqgan(nets["vqgan"], SIDE),
    }


def beside_each_other(each):
    """One generator of all their pictures, enlarged to the same height, so that one run guides them all."""

    def draw(key):
        return {name: one.draw(jax.random.fold_in(key, i)) for i, (name, one) in enumerate(each.items())}

    def images(latents):
        pictures = [one.images(latents[name]) for name, one in each.items()]
        return jnp.concatenate([grown(x) if x.shape[1] < SIDE else x for x in pictures], 2)

    prior = parts(**{name: one.prior for name, one in each.items() if one.prior is not None})
    return Generator("all", draw, images, prior=prior, method=Adam(0.1))


def test_all_are_guided_from_end_to_end_and_their_priors_hold(each, nets):
    generator = beside_each_other(each)
    made = guide("blue", generator=generator, scorer=STRIPS, augment=WHOLE, n=2, steps=15, screen=1, key=3)
    assert made.stopped == "finished" and made.images.shape == (2, SIDE, 4 * SIDE, 3)
    assert (made.scores > made.start_scores).all()
    before, after = (
        strips(np.asarray(x)).reshape(2, 4, 3)[:, :, 2] for x in (made.start_images, made.images)
    )
    assert (after > before).all(), (before, after)  # of every generator in every member
    assert made.settings["method"] == repr(Adam(0.1)) and made.settings["prior"] == repr(generator.prior)

    z, grid = made.latents["biggan"]["z"], made.latents["vqgan"]
    least, greatest = map(np.asarray, nets["vqgan"].bounds)
    assert np.abs(z).max() <= 2 and (grid >= least - 1e-6).all() and (grid <= greatest + 1e-6).all()
    styles = made.latents["stylegan2"]  # of every layer, which began as one
    assert styles.shape == (2, 4, 8) and (np.ptp(styles, axis=1) > 0).any()
    # Two programs take sums in another order.
    classes = jax.nn.softmax(3 * made.latents["biggan"]["classes"])
    np.testing.assert_allclose(
        made.images[:, ::2, :SIDE:2], nets["biggan"].at(0.6)(0.6 * z, classes), atol=1e-5
    )


def test_each_has_a_prior_and_a_method_of_its_own(each):
    assert each["biggan"].prior == parts(z=Clamp(2.0)) and each["biggan"].method is None
    assert "the codebook" in repr(each["vqgan"].prior) and each["vqgan"].method == Adam(0.1)
    assert each["stylegan2"].prior is None and each["stylegan2"].method == Adam(0.1)
    assert each["cppn"].method == Adam(0.005)


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
    classes = np.asarray(generator.draw(jax.random.key(0))["classes"])
    assert abs(classes.mean() + 3.9) < 4 * 0.3 / np.sqrt(classes.size)  # four deviations of a mean
    assert generator.prior == parts(z=Moments(0.01), classes=Few(0.01))


def test_networks_are_generators_with_their_defaults(nets):
    for kind, name in (("biggan", "biggan-deep"), ("vqgan", "vqgan, 256x256"), ("stylegan2", "stylegan2, w")):
        assert generators.as_generator(nets[kind]).name == name
    own = generators.as_generator(nets["biggan"])
    assert own is generators.biggan(nets["biggan"])  # so that a second prompt compiles nothing anew


def test_inversion_finds_the_latent_of_a_picture_that_stylegan2_made(nets):
    generator = generators.stylegan2(nets["stylegan2"], "z")
    z = np.random.default_rng(9).standard_normal((1, 7)).astype(np.float32)
    found = invert(generator, generator.images(z)[0], n=3, steps=250)
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
