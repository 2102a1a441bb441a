"""The table of published networks, and what shapes tell of others."""

import jax
import numpy as np
import pytest

from diffprog.models.clip import KNOWN, ResNet
from diffprog.models.clip.architecture import recognize
from diffprog.models.clip.building import image_tower_module
from diffprog.models.clip.hugging_face import hugging_face_name, published_name, to_published
from diffprog.models.clip.published import expected
from tests.models.clip.tiny import RESNET, VIT, random_tensors

pytestmark = pytest.mark.usefixtures("compiled_plainly")

# Counted on the published networks; running statistics are no parameters.
PARAMETERS = {"ViT-B/32": (151_277_313, 87_849_216), "RN50": (102_007_137, 38_316_896)}


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_published_networks_have_as_many_parameters(name):
    counts = {n: int(np.prod(s)) for n, s in expected(KNOWN[name]).items() if "running_" not in n}
    image = sum(count for n, count in counts.items() if n.startswith("visual."))
    assert (sum(counts.values()), image) == PARAMETERS[name]


@pytest.mark.parametrize("name", KNOWN)
def test_every_published_network_is_recognized_by_its_shapes(name):
    assert recognize(expected(KNOWN[name])) is KNOWN[name]


def test_no_two_published_networks_have_the_same_tensors():
    assert len({tuple(expected(known).items()) for known in KNOWN.values()}) == len(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_the_modules_of_published_networks_give_features(name):
    architecture = KNOWN[name]
    size = architecture.vision.image_size
    images = jax.ShapeDtypeStruct((2, size + 3, size, 3), np.float32)
    features, _ = jax.eval_shape(image_tower_module(architecture).init_with_output, jax.random.key(0), images)
    assert features.shape == (2, architecture.embedding)
    heads, width = architecture.vision.heads, architecture.vision.width
    channels = 32 * width if isinstance(architecture.vision, ResNet) else width
    assert channels // heads == (80 if name == "ViT-H/14" else 64)


@pytest.mark.parametrize("architecture", [VIT, RESNET], ids=lambda one: one.name)
def test_sizes_come_from_shapes_but_for_the_heads(architecture):
    found = recognize(expected(architecture))
    assert found is not None and found.name != architecture.name
    assert found.vision._replace(heads=0) == architecture.vision._replace(heads=0)
    assert found.text._replace(heads=0) == architecture.text._replace(heads=0)
    assert found.embedding == architecture.embedding


@pytest.mark.parametrize("missing", ["visual.conv1.weight", "text_projection", "token_embedding.weight"])
def test_without_a_tensor_that_tells_sizes_nothing_is_recognized(missing):
    shapes = {name: shape for name, shape in expected(VIT).items() if name != missing}
    assert recognize(shapes) is None


def test_hugging_faces_names_are_there_and_back():
    for name in expected(VIT):
        theirs = hugging_face_name(name)
        assert theirs != name or name == "logit_scale"
        assert published_name(theirs.replace("{q,k,v}", "q")) == name


def test_queries_keys_and_values_are_stacked_in_this_order():
    prefix = "text_model.encoder.layers.0.self_attn"
    parts = {f"{prefix}.{p}_proj.weight": np.full((2, 2), i) for i, p in enumerate("qkv")}
    stacked = to_published(parts)
    assert list(stacked) == ["transformer.resblocks.0.attn.in_proj_weight"]
    np.testing.assert_array_equal(
        stacked["transformer.resblocks.0.attn.in_proj_weight"][:, 0], [0, 0, 1, 1, 2, 2]
    )


def test_a_lonely_query_keeps_its_name():
    name = "text_model.encoder.layers.0.self_attn.q_proj.weight"
    assert list(to_published({name: np.zeros((2, 2))})) == [name]


def test_random_tensors_are_seeded():
    a, b = random_tensors(VIT), random_tensors(VIT)
    assert all((a[name] == b[name]).all() for name in a)
