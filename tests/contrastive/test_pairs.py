"""Pairs of pictures and names, and how retrieval counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog.contrastive import concepts, retrieval
from diffprog.contrastive.pairs import _mirrors
from diffprog.contrastive.seen import seen
from diffprog.data import split
from diffprog.errors import InvalidInput
from tests.contrastive.shapes import SIZE, drawings

DRAWINGS = drawings()


def test_a_concept_is_a_family_with_its_plain_variant_first() -> None:
    learn, test = (concepts(DRAWINGS, side, variants=3) for side in split(DRAWINGS))
    assert len(learn.names) + len(test.names) == 30  # the drawing without a name is left out
    assert learn.pictures.shape == (len(learn.names), 3, SIZE, SIZE, 3)
    assert all("pale" not in row[0] and "pale" in row[1] and row[2] == row[0] for row in learn.names)
    assert not {row[0] for row in learn.names} & {row[0] for row in test.names}
    number = DRAWINGS.names.index(learn.names[4][1])
    assert np.array_equal(learn.pictures[4, 1], DRAWINGS.pictures[number])


def test_drawings_without_names_are_no_pairs() -> None:
    with pytest.raises(InvalidInput, match="without names"):
        concepts(DRAWINGS, [len(DRAWINGS.names) - 1])


@pytest.mark.parametrize(
    ("group", "name", "mirrors"),
    [
        ("Animals & Nature", "lizard", True),
        ("Flags", "flag: Chad", False),
        ("Symbols", "heart", False),
        ("People & Body", "backhand index pointing left", False),
        ("People & Body", "right-facing fist", False),
    ],
)
def test_what_a_mirror_makes_something_else_is_not_mirrored(group, name, mirrors) -> None:
    assert _mirrors(group, name) is mirrors


def test_a_view_is_the_same_picture_moved_on_white() -> None:
    white = np.full((SIZE, SIZE, 3), 255, np.uint8)
    keys = jax.random.split(jax.random.key(0), 8)
    look = jax.jit(jax.vmap(seen, (None, None, 0)))
    views = look(white, True, keys)
    # Brightness goes down by at most 0.075; what comes in from outside is as white as the picture.
    assert views.min() > 0.9 and jnp.ptp(views, (1, 2)).max() < 1e-6
    half = np.where(np.arange(SIZE)[None, :, None] < SIZE / 2, np.uint8(0), white)
    turned, kept = look(half, True, keys), look(half, False, keys)

    def left(views):
        return views[:, :, : SIZE // 2].mean((1, 2, 3)) < views[:, :, SIZE // 2 :].mean((1, 2, 3))

    assert left(kept).all() and not left(turned).all() and left(turned).any()


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 30), seed=st.integers(0, 99))
def test_retrieval_is_what_sorting_finds(count, seed) -> None:
    a, b = np.random.default_rng(seed).standard_normal((2, count, 3))
    found = retrieval(a, b, ks=(1, 4))
    for k in (1, 4):
        nearest = np.argsort(-(a @ b.T), 0)[:k]  # for every name, the pictures
        assert found.pictures[k] == np.mean([i in nearest[:, i] for i in range(count)])
        assert found.names[k] == np.mean([i in np.argsort(-(a @ b.T)[i])[:k] for i in range(count)])
        assert found.chance(k) == min(1, k / count)


def test_vectors_that_are_all_the_same_find_nothing() -> None:
    found = retrieval(np.ones((20, 4)), np.ones((20, 4)))
    assert set(found.pictures.values()) == set(found.names.values()) == {0.0}
