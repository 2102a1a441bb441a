"""Scorers: classifier, ConSE and embeddings by their formulas; targets of several terms; what does not fit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.guide import scorers
from diffprog.guide.prompts import prompt
from diffprog.guide.targets import score, targets
from diffprog.models import load
from diffprog.models.network import Network
from tests.guide.toys import SCORER

pytestmark = pytest.mark.usefixtures("compiled_plainly")

LABELS = ("red, crimson", "green", "blue", "grey")


def small_network():
    """A classifier of four colours."""
    matrix = jnp.array([[4.0, 0, 0, 1], [0, 4, 0, 1], [0, 0, 4, 1]])
    return Network("small", "Small", 16, 1, LABELS, lambda p, x: x.mean((1, 2)) @ p, matrix)


def sentences(words):
    """Three numbers of a sentence that depend on its letters; not of length one, and alike on the whole."""
    codes = [np.array([sum(map(ord, word)) % 7, len(word), word.count("e")], np.float32) for word in words]
    return jnp.asarray(np.stack(codes)) + 5.0


def pictures():
    return jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))


def scored(scorer, text, images):
    target = jax.tree.map(lambda leaf: leaf[0], targets([prompt(text)], scorer))
    return score(target, scorer.look(images), scorer)


def test_a_classifier_gives_the_log_probability_of_its_class():
    net = small_network()
    expected = jax.nn.log_softmax(net(pictures()))[:, 1]
    np.testing.assert_allclose(scored(scorers.classifier(net), "green", pictures()), expected, rtol=1e-6)
    logit = scorers.classifier(net, probability=False)
    np.testing.assert_allclose(scored(logit, "crimson", pictures()), net(pictures())[:, 0], rtol=1e-6)


def test_a_picture_is_like_itself_to_a_classifier():
    scorer, images = (
        scorers.classifier(small_network()),
        jnp.stack([jnp.full((16, 16, 3), c) for c in np.eye(3)]),
    )
    target = jax.tree.map(lambda leaf: leaf[0], targets([prompt(np.asarray(images[2]))], scorer))
    assert int(jnp.argmax(score(target, scorer.look(images), scorer))) == 2


@pytest.mark.parametrize("top", [None, 2])
@pytest.mark.parametrize("centred", [True, False])
def test_conse_is_the_mean_of_the_classes_sentences(top, centred):
    """Norouzi et al. 2014, equation 4, in numpy."""
    net = small_network()
    scorer = scorers.conse(net, sentences, temperature=2.0, top=top, centred=centred)
    names, words = (np.asarray(sentences(w)) for w in (["red", "green", "blue", "grey"], ["a tree"]))
    middle = names.mean(0) if centred else 0.0
    p = np.exp(np.asarray(net(pictures())) / 2.0)
    if top:
        p = np.where(p >= np.sort(p, -1)[:, -top][:, None], p, 0)
    e_2 = p / p.sum(-1, keepdims=True) @ names - middle
    e_1 = words[0] - middle
    expected = e_2 @ e_1 / np.linalg.norm(e_2, axis=-1) / np.linalg.norm(e_1)
    np.testing.assert_allclose(scored(scorer, "a tree", pictures()), expected, rtol=1e-4)


def test_words_are_the_log_probability_of_the_classes_they_speak_of():
    """The formula in numpy."""
    net = small_network()
    names, said = (np.asarray(sentences(w)) for w in (["red", "green", "blue", "grey"], ["a tree"]))
    middle = names.mean(0)
    e, t = names - middle, said[0] - middle
    cosines = e @ t / np.linalg.norm(e, axis=-1) / np.linalg.norm(t)
    q = np.exp(cosines / 0.1)
    p = np.exp(np.asarray(net(pictures())))
    expected = np.log(p / p.sum(-1, keepdims=True) @ (q / q.sum()))
    got = scored(scorers.words(net, sentences, temperature=0.1), "a tree", pictures())
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_words_of_one_class_are_that_class():
    """At a low temperature the nearest class alone counts."""
    net = small_network()
    low = scorers.words(net, sentences, temperature=1e-3)
    np.testing.assert_allclose(
        scored(low, "green", pictures()), scored(scorers.classifier(net), "green", pictures()), atol=1e-4
    )


def test_conse_has_a_finite_gradient_where_only_the_likeliest_count():
    scorer = scorers.conse(small_network(), sentences, top=2)
    gradient = jax.grad(lambda x: scored(scorer, "a tree", x).sum())(pictures())
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


class Towers:
    """What CLIP looks like from outside."""

    name, input_size = "towers", 8

    def image_features(self, images):
        return images.mean((1, 2)) @ jnp.ones((3, 5))

    def tokenize(self, words):
        return np.array([[len(word)] * 4 for word in words])

    def text_features(self, tokens):
        return jnp.ones((len(tokens), 5)) * tokens[:, :1]


def test_anything_with_embeddings_is_a_scorer():
    scorer = scorers.as_scorer(Towers())
    assert (scorer.name, scorer.size) == ("towers", 8)
    np.testing.assert_allclose(scored(scorer, "any words", jnp.ones((1, 8, 8, 3))), 1.0, rtol=1e-6)


def test_terms_are_weighted_and_unlikeness_counts_against():
    alone = [float(scored(SCORER, one, pictures())[0]) for one in ("red", "green", "blue")]
    both = float(scored(SCORER, "red:0.5 | green:2 | blue:-1", pictures())[0])
    np.testing.assert_allclose(both, 0.5 * alone[0] + 2 * alone[1] - alone[2], rtol=1e-5)


def test_a_term_beyond_its_stop_pulls_no_more():
    target = jax.tree.map(lambda leaf: leaf[0], targets([prompt("red:1:0.5")], SCORER))

    def pull(colour):
        return jax.grad(lambda e: score(target, e, SCORER, pulling=True))(jnp.asarray(colour))

    np.testing.assert_array_equal(pull([1.0, 0.1, 0.0]), 0)  # cosine .995
    assert np.abs(pull([0.1, 1.0, 0.0])).max() > 0.1  # cosine .0995


def test_prompts_of_different_lengths_stack():
    stacked = targets([prompt("red"), prompt("red | blue:0.5")], SCORER)
    assert stacked.vectors.shape == (2, 2, 3)
    e_2 = jnp.array([0.3, 0.1, 0.7])
    one = score(jax.tree.map(lambda leaf: leaf[0], stacked), e_2, SCORER)
    np.testing.assert_allclose(one, SCORER.similarity(e_2, jnp.array([1.0, 0, 0])), rtol=1e-6)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: scorers.as_scorer(object()), "no image_features"),
        (lambda: scorers.conse(small_network(), sentences, temperature=0.0), "temperature"),
        (lambda: scorers.conse(small_network(), sentences, top=5), "top=5"),
        (lambda: scorers.words(small_network(), sentences, temperature=-1.0), "temperature"),
        (lambda: scorers.classifier("resnet"), "'resnet'"),
        (lambda: targets([prompt("a chair")], scorers.classifier(small_network())), "a chair"),
    ],
)
def test_what_cannot_score_is_refused(make, said):
    with pytest.raises(InvalidInput, match=said):
        make()


def test_embeddings_of_different_sizes_are_refused():
    odd = dataclasses.replace(SCORER, look=lambda images: jnp.zeros((len(images), 4)))
    with pytest.raises(InvalidInput, match=r"texts \(3,\) and of pictures \(4,\)"):
        targets([prompt("red")], odd)


@pytest.mark.network
def test_a_sentence_is_near_the_class_it_speaks_of():
    """Real halves: EfficientNet-Lite0 on a photograph of a cat, MiniLM on two sentences."""
    data = pytest.importorskip("skimage.data")
    cat = jax.image.resize(jnp.asarray(data.chelsea(), jnp.float32) / 255, (224, 224, 3), "linear")[None]
    scorer = scorers.conse()
    assert scored(scorer, "a photo of a cat", cat)[0] > scored(scorer, "a cup of coffee", cat)[0] + 0.2
    assert scorer.read(["a cat"]).shape == (1, load("minilm").width)
