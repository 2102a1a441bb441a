"""The cards say what is true of the networks."""

from importlib.resources import files

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from diffprog.errors import InvalidInput
from diffprog.models import CARDS, OTHER_CARDS, card, dcgan, minilm, names
from diffprog.models.loading import OTHERS


def test_the_networks_are_those_four():
    assert names() == ("squeezenet", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
    assert [one.name for one in CARDS if one.embedded] == ["squeezenet"]


@pytest.mark.parametrize("name", names())
def test_the_card_counts_the_parameters(name):
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)
    shapes = jax.eval_shape(card(name).module.init, jax.random.key(0), images)["params"]
    assert sum(leaf.size for leaf in flatten_dict(shapes).values()) == card(name).parameters


def test_the_others_have_cards_that_count_their_parameters():
    assert [one.name for one in OTHER_CARDS] == list(OTHERS)
    token = jax.ShapeDtypeStruct((1, 2), np.int32)
    inputs = ((jax.ShapeDtypeStruct((1, dcgan.LATENT), np.float32),), (token, token))
    for module, shapes, one in zip((dcgan.DCGAN(), minilm.MiniLM()), inputs, OTHER_CARDS, strict=True):
        params = jax.eval_shape(module.init, jax.random.key(0), *shapes)["params"]
        assert sum(leaf.size for leaf in flatten_dict(params).values()) == one.parameters
        assert round(one.source.size / 1e6, 1) == one.megabytes


@pytest.mark.parametrize("name", names())
def test_the_smallest_picture_gives_one_logit_a_class(name):
    about = card(name)
    images = jax.ShapeDtypeStruct((1, about.min_size, about.min_size, 3), np.float32)
    logits, _ = jax.eval_shape(about.module.init_with_output, jax.random.key(0), images)
    assert logits.shape == (1, 1000)


def test_the_embedded_weights_are_of_the_size_on_the_card_and_below_five_megabytes():
    size = len(files("diffprog.models").joinpath("data/squeezenet.safetensors").read_bytes())
    assert size <= 5_000_000
    assert abs(size / 1e6 - card("squeezenet").megabytes) < 0.1  # the card gives one decimal


@pytest.mark.parametrize(
    "wrong, offered", [("squeeznet", "'squeezenet'"), ("EfficientNet_Lite1", "efficientnet-lite1")]
)
def test_an_unknown_network_offers_the_nearest(wrong, offered):
    with pytest.raises(InvalidInput, match="efficientnet-lite2") as caught:
        card(wrong)
    assert offered in caught.value.remedy
