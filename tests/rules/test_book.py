"""Every rule of the book is proven on every case of its record; windows also on geometries drawn by hypothesis."""

import importlib
import pkgutil
import re

import jax
import numpy as np
import pytest
from flax import linen
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from diffprog import rules
from diffprog.errors import InvalidInput
from diffprog.rules import book
from diffprog.rules.check import check_rule, prove_case

MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(rules.__path__, f"{rules.__name__}.")
]
RULES = [rule for module in MODULES for rule in getattr(module, "RULES", ())]
CASES = [(rule, case, number == 0) for rule in RULES for number, case in enumerate(rule.cases)]
FIRST = [(rule, rule.cases[0]) for rule in RULES]


# Rules that hold near the arguments of their cases only, with the reason.
NEARBY = {"affine resampling": "the gradient to the picture is exact up to the magnification `zoom`"}


@pytest.mark.parametrize(("rule", "case"), FIRST, ids=[f"{rule.name}, {case.name}" for rule, case in FIRST])
def test_a_rule_is_proven(rule, case):
    proof = prove_case(rule, case, whole=False, elsewhere=rule.name not in NEARBY, orders=2)
    assert proof.ok, proof


@pytest.mark.thorough
@pytest.mark.parametrize(("rule", "case", "whole"), CASES, ids=[f"{r.name}, {c.name}" for r, c, _ in CASES])
def test_a_rule_is_proven_on_every_case_through_everything(rule, case, whole):
    proof = prove_case(rule, case, whole=whole, elsewhere=rule.name not in NEARBY)
    assert proof.ok, proof


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_record_is_complete(rule):
    assert rule.forward and rule.backward and rule.saved and rule.source and rule.cases
    assert len({case.name for case in rule.cases}) == len(rule.cases)
    for formula in (rule.forward, rule.backward):
        assert formula.count("{") == formula.count("}")
        assert not re.search(r"[\t\n\a\b\f\r]", formula), "a LaTeX command was read as an escape"


def test_no_rule_is_missing_from_the_book():
    assert {rule.name for rule in book.BOOK} == {rule.name for rule in RULES}
    assert len({rule.name for rule in book.BOOK}) == len(book.BOOK)


def test_a_rule_is_found_by_name_and_near_ones_are_offered():
    assert book.find("ReLU").function is rules.relu
    with pytest.raises(InvalidInput, match=r"no rule named 'leaky_rel'[\s\S]*'leaky relu'"):
        book.find("leaky_rel")


# ---- geometries nobody thought of -----------------------------------------------------------------------------


def assert_proven(function, reference, *args, dtype, **options):
    """First order and every transformation; what is drawn here is geometry, which shows there."""
    proof = check_rule(
        function, *args, reference=reference, dtype=dtype, orders=1, quick=True, low_precision=(), **options
    )
    assert proof.ok, proof


paddings = st.one_of(
    st.sampled_from(["SAME", "VALID"]), st.lists(st.tuples(*[st.integers(0, 2)] * 2), min_size=2, max_size=2)
)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@pytest.mark.thorough
@given(
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    window=pairs,
    strides=pairs,
    padding=paddings,
    dtype=st.sampled_from(["float64", "float32"]),
)
@settings(max_examples=5, deadline=None)
def test_max_pooling_of_any_geometry(size, window, strides, padding, dtype):
    if not isinstance(padding, str):  # a window must not lie in the padding alone: there is no maximum in it
        padding = [tuple(min(p, w - 1) for p in pads) for pads, w in zip(padding, window, strict=True)]
    shape = (2, *size, 2)
    x = np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape) / 16.0
    static = (window, strides, padding if isinstance(padding, str) else tuple(padding))
    assert_proven(rules.max_pool, linen.max_pool, x, *static, dtype=dtype, exact=True)


@pytest.mark.thorough
@given(
    size=st.tuples(st.integers(5, 7), st.integers(5, 7)),
    window=pairs,
    strides=pairs,
    padding=paddings,
    dilation=st.sampled_from([(1, 1), (2, 1), (2, 2)]),
    groups=st.sampled_from([(1, 2, 3), (2, 2, 1), (2, 1, 2), (4, 1, 1)]),
    dtype=st.sampled_from(["float64", "float32"]),
)
@settings(max_examples=6, deadline=None)
def test_convolution_of_any_geometry(size, window, strides, padding, dilation, groups, dtype):
    number, inputs, outputs = groups  # channels into and out of every group
    draw = np.random.default_rng(0).standard_normal
    x, W = draw((2, *size, number * inputs)), draw((*window, inputs, number * outputs))

    def with_geometry(convolution):
        return lambda x, W: convolution(
            x, W, strides, padding, rhs_dilation=dilation, dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=number,
        )  # fmt: skip

    assert_proven(
        with_geometry(rules.conv_general_dilated), with_geometry(lax.conv_general_dilated), x, W, dtype=dtype
    )


def test_nothing_of_the_checks_is_left_switched_on():
    assert not jax.config.jax_enable_x64
