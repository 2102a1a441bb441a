"""Objectives go into JSON and come back; what is too large is said, and what is damaged is refused."""

import base64
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import diffprog as dp
from diffprog.errors import InvalidInput
from diffprog.graph.objectives import objective_from_dict, objective_to_dict
from diffprog.graph.objectives.record import KINDS
from tests.graph.objectives.table import JOINT, SHAPES, TABLE

ALL = {name: entry.objective for name, entry in (TABLE | JOINT).items()}


def kinds(objective):
    yield type(objective).__name__
    for part in objective.parts:
        yield from kinds(part)


def test_the_table_has_every_kind():
    assert {kind for objective in ALL.values() for kind in kinds(objective)} == set(KINDS)


@pytest.mark.parametrize("name", ALL)
def test_to_json_and_back(name):
    objective = ALL[name]
    again = objective_from_dict(json.loads(json.dumps(objective_to_dict(objective))))
    assert jax.tree.structure(again) == jax.tree.structure(objective)
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(objective), strict=True):
        np.testing.assert_array_equal(one, other)
    found = {layer: jnp.full((3, *shape), 0.3) for layer, shape in SHAPES.items()}
    np.testing.assert_array_equal(again.together(found), objective.together(found))


def test_an_array_without_room_is_described_and_then_missed():
    wish = dp.direction("map", np.ones(9))
    data = json.loads(json.dumps(objective_to_dict(wish, largest=8)))
    assert data["vector"]["shape"] == [9] and len(data["vector"]["sha256"]) == 64
    with pytest.raises(InvalidInput, match=r"float32\[9\], which was too large") as refused:
        objective_from_dict(data)
    assert "photograph" in refused.value.remedy


@pytest.mark.parametrize(
    "change",
    [
        {"base64": "not base64!"},
        {"base64": base64.b64encode(bytes(8)).decode()},
        {"shape": [4]},
        {"shape": [-3]},
        {"shape": "abc"},
        {"shape": []},
        {"array": "object"},
        {"array": "complex64"},
        {"base64": None},
    ],
)
def test_damaged_arrays_are_refused(change):
    data = objective_to_dict(dp.direction("map", [1.0, 2.0, 3.0]))
    with pytest.raises(InvalidInput, match="damaged array"):
        objective_from_dict({**data, "vector": {**data["vector"], **change}})


@pytest.mark.parametrize("data", [{}, {"kind": "system"}, {"kind": "Objective"}])
def test_other_kinds_are_refused(data):
    with pytest.raises(InvalidInput, match="an objective of kind"):
        objective_from_dict(data)


def test_records_of_older_files_are_read():
    """Statistics were once written as lists."""
    old = {"kind": "Naturalness", "names": ["map"], "means": [[0.0, 1.0]], "deviations": [[1.0, 1.0]]}
    assert objective_from_dict(old)({"map": jnp.zeros((2, 2, 2))}) < 0
