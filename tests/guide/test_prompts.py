"""Prompts: what strings mean, how prompts add and scale, and what is refused."""

import math

import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.guide.prompts import prompt, prompts

pytestmark = pytest.mark.usefixtures("compiled_plainly")


@pytest.mark.parametrize(
    "text, terms",
    [
        ("a face", [("a face", 1.0, math.inf)]),
        ("a face | a hat:-1", [("a face", 1.0, math.inf), ("a hat", -1.0, math.inf)]),
        ("a face:0.5:0.3", [("a face", 0.5, 0.3)]),
        ("a face: smiling", [("a face: smiling", 1.0, math.inf)]),
        ("time 12:30:2", [("time 12", 30.0, 2.0)]),  # the form of VQGAN-CLIP: two numbers at most
    ],
)
def test_strings_are_read_as_vqgan_clip_reads_them(text, terms):
    assert [(t.content, t.weight, t.stop) for t in prompt(text).terms] == terms


def test_prompts_add_and_scale():
    both = prompt("a face") + 0.5 * prompt("sunglasses:2:0.7") - prompt("a hat")
    assert [(t.content, t.weight) for t in both.terms] == [("a face", 1), ("sunglasses", 1), ("a hat", -1)]
    assert str(both) == "a face | sunglasses:1:0.7 | a hat:-1"


def test_what_a_prompt_says_is_read_again_as_it_was():
    both = prompt("a face | sunglasses:0.5:0.25 | a hat:-1")
    again = prompt(str(both))
    assert [(t.content, t.weight, t.stop) for t in again.terms] == [
        (t.content, t.weight, t.stop) for t in both.terms
    ]


def test_a_list_is_several_prompts_and_a_string_is_one():
    assert len(prompts(["a", "b | c"])) == 2
    assert len(prompts("b | c")) == 1


@pytest.mark.parametrize(
    "content, said",
    [
        *(("", "without words"), ("a | ", "without words"), (":2", "without words"), ([], "empty list")),
        *(("a:0", "not zero"), ("a:nan", "not zero"), (np.zeros((4, 4)), "a picture"), (3, "type int")),
        *(
            (np.full((4, 4, 3), 2.0), "0, 1"),
            (np.zeros((4, 4, 3), np.uint8), "bytes"),
            (np.full((2, 2, 3), np.nan), "finite values"),
        ),
    ],
)
def test_what_is_no_prompt_is_refused(content, said):
    with pytest.raises(InvalidInput, match=said):
        prompts(content)
