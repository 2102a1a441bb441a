"""The towers as networks like any other: drawn, traced, compiled, and given pictures of any size."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import diffprog as dp
from diffprog import weights
from diffprog.errors import InvalidInput
from diffprog.models import clip
from diffprog.models.clip.preprocess import resize_and_crop
from tests.models.clip.tiny import END, RESNET, TEXT, VIT, random_tensors, texts
from tests.models.pictures import noise, photographs

pytestmark = pytest.mark.usefixtures("compiled_plainly")


def made(architecture: clip.Architecture, folder: Path, **options: object) -> clip.Clip:
    weights.save(folder / "model.safetensors", random_tensors(architecture))
    return clip.load(folder / "model.safetensors", architecture=architecture, **options)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> clip.Clip:
    return made(VIT, tmp_path_factory.mktemp("vit"))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> clip.Clip:
    return made(RESNET, tmp_path_factory.mktemp("resnet"))


BRIEFLY = dp.recipes.PIXEL.replace(steps=12)


def test_units_of_a_transformer_can_be_drawn(vit):
    objective = dp.channel("blocks/1/mlp/hidden", 7) + dp.neuron("blocks/0", 3) + dp.unit("projection", 5)
    drawing = dp.visualize(vit.image_tower, objective, recipe=BRIEFLY, size=40)
    assert drawing.images.shape == (1, 40, 40, 3)
    assert drawing.model == "tiny ViT"
    # Every step goes uphill at first; by how much is the network's affair.
    assert (drawing.scores > drawing.history[0]).all()


def test_units_of_a_resnet_can_be_drawn(resnet):
    tower = resnet.image_tower
    means = np.asarray(dp.tap(tower, "layer2/0")(noise(64, count=2))[1]["layer2/0"]).mean((0, 1, 2))
    drawing = dp.visualize(tower, dp.channel("layer2/0", int(means.argmax())), recipe=BRIEFLY)
    assert drawing.images.shape == (1, 64, 64, 3)  # the tower's own size
    assert (drawing.scores > drawing.history[0]).all()


def test_a_resnet_remembers_natural_pictures_and_a_transformer_does_not(vit, resnet):
    assert dp.recipes.default_for(resnet.image_tower).naturalness > 0
    assert dp.recipes.default_for(vit.image_tower).naturalness == 0
    shapes = {layer.name: layer.shape for layer in dp.trace(resnet.image_tower, noise(64, count=1)).layers}
    for layer, (mean, deviation) in resnet.image_tower.statistics.items():
        assert mean.shape == deviation.shape == shapes[layer][-1:]


@pytest.mark.parametrize("channel, layer", [(256, "blocks/1/mlp/hidden"), (24, "projection")])
def test_a_channel_that_is_not_there_is_refused(vit, layer, channel):
    with pytest.raises(InvalidInput, match=f"from 0 to {channel - 1}"):
        dp.visualize(vit.image_tower, dp.channel(layer, channel), steps=1, size=32)


def test_pictures_of_another_size_are_resized_inside(vit):
    pictures = photographs(50, 70, names=("chelsea", "coffee"))
    inside = vit.image_features(pictures)
    before = vit.image_features(jax.jit(resize_and_crop, static_argnums=1)(pictures, 32))
    # The same operations, compiled together and apart.
    np.testing.assert_allclose(inside, before, rtol=1e-4, atol=1e-5)
    gradient = np.asarray(jax.jit(jax.grad(lambda x: vit.image_features(x).sum()))(pictures))
    assert np.isfinite(gradient).all()
    middle, edges = gradient[:, :, 10:60], gradient[:, :, [0, 1, -1]]
    assert (middle != 0).mean() > 0.9 and not edges.any()  # what is cropped has no say


@pytest.mark.parametrize("which", ["vit", "resnet"])
def test_a_picture_is_judged_alone(which, request):
    tower = request.getfixturevalue(which).image_tower
    pictures = noise(tower.input_size, count=3)
    look = jax.jit(tower)
    together = np.asarray(look(pictures))
    alone = np.concatenate([look(pictures[i : i + 1]) for i in range(3)])
    # Other sizes of batch sum in another order.
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_towers_take_other_parameters_and_transformations(vit):
    tower, pictures = vit.image_tower, noise(32, count=2)
    doubled = jax.tree.map(lambda leaf: leaf, tower.params)
    doubled["projection"] = {"kernel": 2 * tower.params["projection"]["kernel"]}
    # Doubling is exact.
    np.testing.assert_array_equal(tower.apply(doubled, pictures), 2 * tower(pictures))
    one_by_one = jax.vmap(lambda x: tower(x[None])[0])(pictures)
    np.testing.assert_allclose(one_by_one, tower(pictures), rtol=1e-4, atol=1e-5)


def test_tokens_inside_a_compiled_function_are_taken_as_they_are(vit):
    tokens = texts()
    np.testing.assert_allclose(
        jax.jit(vit.text_features)(tokens), vit.text_features(tokens), rtol=1e-4, atol=1e-5
    )


def test_prompts_become_features(tmp_path):
    sizes = TEXT._replace(vocabulary=514)
    own = clip.Architecture("bytes", VIT.vision, sizes, VIT.embedding)
    (tmp_path / "vocabulary.txt").write_text("#version: 0.2\n")
    net = made(own, tmp_path, tokenizer=tmp_path / "vocabulary.txt")
    tokens = net.tokenize(["a dog", "Löwe"])
    assert tokens.shape == (2, TEXT.context)
    assert (tokens == 513).sum(axis=1).tolist() == [1, 1]
    assert tokens[1, :8].tolist() == [512, *(net.tokenizer.encode("löwe")), 513, 0]
    images = noise(32, count=3)
    np.testing.assert_array_equal(net.similarity(images, ("a dog", "Löwe")), net.similarity(images, tokens))
    assert net.similarity(images, "a dog").shape == (3, 1)
    assert (np.abs(net.similarity(images, tokens)) <= 1 + 1e-6).all()
    with pytest.raises(InvalidInput, match="at most 14"):
        net.tokenize("abcdefghijklmnop")
    with pytest.raises(InvalidInput, match="list of texts"):
        net.similarity(images, [])


def test_the_cosine_does_not_depend_on_lengths(vit):
    pictures, tokens = noise(32, count=2), texts()
    a, b = np.asarray(vit.image_features(pictures)), np.asarray(vit.text_features(tokens))
    expected = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (
        b / np.linalg.norm(b, axis=1, keepdims=True)
    ).T
    np.testing.assert_allclose(vit.similarity(pictures, tokens), expected, rtol=1e-4, atol=1e-6)


def test_a_text_is_causal(vit):
    """What comes behind a token changes nothing before it."""
    a = texts(1)
    b = a.copy()
    b[0, 5:-1], b[0, -1] = 7, END
    graph = dp.trace(vit.text_tower.apply, vit.text_tower.params, jnp.asarray(a))
    assert "ln_final" in graph.names
    tapped = dp.tap(vit.text_tower.apply, "ln_final")
    of_a, of_b = (np.asarray(tapped(vit.text_tower.params, jnp.asarray(t))[1]["ln_final"]) for t in (a, b))
    np.testing.assert_allclose(of_a[:, :5], of_b[:, :5], rtol=1e-5, atol=1e-5)
    assert np.abs(of_a[:, 5:] - of_b[:, 5:]).max() > 0.1
