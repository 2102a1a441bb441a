"""Which class a name means: parts, cases, synonyms, several classes, none."""

import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.models.labels import class_index, imagenet_labels

LABELS = imagenet_labels()


def test_there_are_a_thousand_labels_and_known_ones_are_in_place():
    assert len(LABELS) == 1000
    known = {0: "tench", 285: "Egyptian cat", 657: "missile", 967: "espresso", 999: "toilet tissue"}
    assert {index: LABELS[index].split(",")[0] for index in known} == known


@pytest.mark.parametrize(
    "name, expected",
    [
        ("chameleon", 47),  # and not 40, the "American chameleon", which is an anole
        ("American chameleon", 40),
        ("African chameleon, Chamaeleo chamaeleon", 47),
        ("Chamaeleo", 47),
        ("tabby", 281),
        ("TABBY", 281),
        (" tabby  cat ", 281),
        ("egyptian", 285),
        ("Egyptian_cat", 285),
        ("man eater", 2),  # man-eater
        ("anole", 40),
        ("hen", 8),  # a first name, although "hen" is also a part of many
        ("ox", 345),  # a first name, not the "box" of "mailbox"
        ("Cardigan", 264),  # the dog
        ("cardigan", 474),  # the garment
        ("platypu", 103),  # a part of a word
        (285, 285),
        ("285", 285),
        (np.int64(285), 285),
        (0, 0),
        ("999", 999),
    ],
)
def test_a_name_finds_its_class(name, expected):
    assert class_index(LABELS, name) == expected


def test_the_first_name_of_every_class_finds_it_or_is_shared():
    first = [label.split(",")[0] for label in LABELS]
    shared = {name for name in first if first.count(name) > 1}
    assert shared == {"crane", "maillot"}
    wrong = [
        name for index, name in enumerate(first) if name not in shared and class_index(LABELS, name) != index
    ]
    assert wrong == []


def test_every_whole_label_finds_its_class():
    shared = {"crane", "maillot"}  # "maillot" is all of 638 and the first name of 639
    assert [class_index(LABELS, label) for label in LABELS if label not in shared] == [
        index for index, label in enumerate(LABELS) if label not in shared
    ]


def test_more_of_the_name_tells_two_classes_apart():
    assert class_index(LABELS, "maillot, tank suit") == class_index(LABELS, "tank suit") == 639


def test_two_classes_of_the_same_name_are_offered_by_number():
    with pytest.raises(InvalidInput, match="134 crane; 517 crane"):
        class_index(LABELS, "crane")


def test_a_part_of_many_names_lists_some_and_counts_the_rest():
    with pytest.raises(InvalidInput, match="fits 24 classes") as caught:
        class_index(LABELS, "terrier")
    assert caught.value.got.count(";") == 7
    assert "more" in caught.value.got
    assert "153 Maltese terrier" in caught.value.got


@pytest.mark.parametrize(
    "name, offered",
    [
        ("camelion", "chameleon"),
        ("tabbby", "281 tabby"),
        ("expresso", "967 espresso"),
        ("giant pandda", "388 giant panda"),
    ],
)
def test_an_unknown_name_offers_the_nearest(name, offered):
    with pytest.raises(InvalidInput, match="no part of any") as caught:
        class_index(LABELS, name)
    assert offered in caught.value.remedy


def test_a_name_like_no_other_says_so():
    with pytest.raises(InvalidInput, match="qqqqzzzz"):
        class_index(LABELS, "qqqqzzzz")


@pytest.mark.parametrize("number", [-1, 1000, "1000", "-1", 10**30])
def test_a_number_out_of_range_is_refused(number):
    with pytest.raises(InvalidInput, match="from 0 to 999"):
        class_index(LABELS, number)


@pytest.mark.parametrize("nothing", ["", "  ", "-", ","])
def test_no_name_is_refused(nothing):
    with pytest.raises(InvalidInput):
        class_index(LABELS, nothing)


@pytest.mark.parametrize("other", [1.5, None, [1], True])
def test_what_is_neither_name_nor_number_is_refused(other):
    with pytest.raises(InvalidInput):
        class_index(LABELS, other)


def test_other_labels_have_no_meanings_of_imagenet():
    assert class_index(("a green chameleon", "b"), "chameleon") == 0
