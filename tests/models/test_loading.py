"""From a name to a network: embedded weights, damaged weights, the converter's output."""

import numpy as np
import pytest

from diffprog import weights
from diffprog.errors import BadFile, InvalidInput
from diffprog.models import card, fetch, load
from diffprog.models.efficientnet import convert
from diffprog.models.loading import to_network


def test_loading_twice_gives_the_same_network():
    assert load("squeezenet") is load("squeezenet")


def test_the_embedded_weights_are_float32_by_layer():
    tensors = fetch("squeezenet")
    assert tensors["fire2/squeeze/kernel"].shape == (1, 1, 64, 16)
    assert {array.dtype for array in tensors.values()} == {np.dtype("float32")}
    assert len(tensors) == 52


def test_the_others_are_fetched_through_the_cache(monkeypatch):
    asked = []
    monkeypatch.setattr(
        weights, "load_cached", lambda *call, form: asked.append(call) or {"stem/bias": np.zeros(1)}
    )
    assert list(fetch("efficientnet-lite1")) == ["stem/bias"]
    assert asked == [("efficientnet-lite1", card("efficientnet-lite1").source, convert)]


def test_an_unknown_network_is_refused():
    with pytest.raises(InvalidInput, match="'resnet'"):
        load("resnet")
    with pytest.raises(InvalidInput, match="'resnet'"):
        fetch("resnet")


@pytest.mark.parametrize(
    "tensors",
    [
        {"statistics/conv1/mean": np.zeros(64, np.float32)},
        {
            "statistics/conv1/mean": np.zeros(64, np.float32),
            "statistics/conv1/deviation": np.ones(63, np.float32),
        },
        {
            "statistics/conv1/mean": np.full(64, np.nan, np.float32),
            "statistics/conv1/deviation": np.ones(64, np.float32),
        },
    ],
)
def test_damaged_statistics_are_refused(tensors):
    with pytest.raises(BadFile, match="statistics of conv1"):
        to_network(card("squeezenet"), {**fetch("squeezenet"), **tensors})


@pytest.mark.parametrize(
    "damage, named",
    [
        (lambda tensors: tensors.pop("conv1/bias"), "conv1/bias"),
        (lambda tensors: tensors.update({"conv11/bias": np.zeros(3, np.float32)}), "conv11/bias"),
        (lambda tensors: tensors.update({"conv10/bias": np.zeros(3, np.float32)}), "conv10/bias"),
        (lambda tensors: tensors.update({"conv10/bias": np.full(1000, np.nan, np.float32)}), "conv10/bias"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(damage, named):
    tensors = dict(fetch("squeezenet"))
    damage(tensors)
    with pytest.raises(BadFile, match=named):
        to_network(card("squeezenet"), tensors)
