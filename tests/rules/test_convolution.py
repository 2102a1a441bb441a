"""Convolution rules against XLA's own, in float64, over drawn shapes."""

import jax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from diffprog import rules
from diffprog.errors import InvalidInput
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random

NHWC = ("NHWC", "HWIO", "NHWC")


def both(strides, padding, groups):
    keywords = {"dimension_numbers": NHWC, "feature_group_count": groups}
    return (
        lambda x, W: rules.conv_general_dilated(x, W, strides, padding, **keywords),
        lambda x, W: lax.conv_general_dilated(x, W, strides, padding, **keywords),
    )


shapes = st.fixed_dictionaries(
    {
        "height": st.integers(3, 9),
        "width": st.integers(3, 9),
        "taps": st.tuples(st.integers(1, 5), st.integers(1, 5)),
        "strides": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "channels": st.integers(1, 4),
        "batch": st.integers(1, 2),
    }
)
paddings = st.one_of(
    st.sampled_from(["SAME", "VALID"]),
    st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2),
)


def fits(shape, padding):
    if padding == "SAME":
        return True
    pads = ((0, 0), (0, 0)) if padding == "VALID" else padding
    lengths = (shape["height"], shape["width"])
    return all(n + sum(p) >= k for n, p, k in zip(lengths, pads, shape["taps"], strict=True))


@pytest.mark.parametrize("kind", ["depthwise", "dense"])
@given(shape=shapes, padding=paddings)
@settings(max_examples=20, deadline=None)
def test_gradients_equal_autodiff(kind, shape, padding):
    if not fits(shape, padding):
        return
    with jax.enable_x64(True):
        c = shape["channels"]
        x = random(0, (shape["batch"], shape["height"], shape["width"], c))
        W = random(1, (*shape["taps"], 1, c) if kind == "depthwise" else (*shape["taps"], c, 3))
        rule, plain = both(shape["strides"], padding, c if kind == "depthwise" else 1)
        assert_same_gradients(rule, plain, x, W)


@pytest.mark.parametrize(
    ("kernel", "groups", "strides"),
    [
        ((1, 1, 4, 3), 1, (1, 1)),
        ((3, 3, 1, 4), 4, (2, 2)),
        ((3, 3, 4, 3), 1, (1, 1)),
        ((3, 3, 2, 4), 2, (1, 1)),
    ],
)
def test_gradients_equal_differences(x64, kernel, groups, strides):
    rule, _ = both(strides, "SAME", groups)
    assert_matches_differences(rule, random(0, (2, 7, 6, 4)), random(1, kernel))


@pytest.mark.parametrize("dilation", [{}, {"rhs_dilation": (2, 2)}, {"lhs_dilation": (2, 2)}])
def test_other_layouts_and_dilations_are_the_plain_operation(x64, dilation):
    x, W = random(0, (2, 3, 8, 8)), random(1, (4, 3, 3, 3))
    pads = ((1, 1), (0, 2))
    assert_same_gradients(
        lambda x, W: rules.conv_general_dilated(x, W, (1, 1), pads, **dilation),
        lambda x, W: lax.conv_general_dilated(x, W, (1, 1), pads, **dilation),
        x,
        W,
    )


def test_one_and_three_spatial_axes(x64):
    for space, numbers in (((9,), ("NWC", "WIO", "NWC")), ((4, 5, 6), ("NDHWC", "DHWIO", "NDHWC"))):
        x, W = random(0, (2, *space, 3)), random(1, (*(3,) * len(space), 1, 3))
        keywords = {"dimension_numbers": numbers, "feature_group_count": 3}
        strides = (2,) * len(space)
        assert_same_gradients(
            lambda x, W, s=strides, k=keywords: rules.conv_general_dilated(x, W, s, "SAME", **k),
            lambda x, W, s=strides, k=keywords: lax.conv_general_dilated(x, W, s, "SAME", **k),
            x,
            W,
        )


def test_vmap_over_pictures_equals_a_loop(x64):
    rule, _ = both((2, 2), "SAME", 3)
    x, W = random(0, (4, 1, 7, 7, 3)), random(1, (3, 3, 1, 3))
    gradient = jax.grad(lambda x: (rule(x, W) ** 2).sum())
    for one, together in zip(map(gradient, x), jax.vmap(gradient)(x), strict=True):
        assert abs(one - together).max() < 1e-12  # float64 sums of 9 terms, in another order


def test_a_window_that_does_not_fit_is_refused():
    x, W = random(0, (1, 2, 2, 3)), random(1, (5, 5, 3, 3))
    with pytest.raises(InvalidInput, match=r"5 taps.*over 2 pixels"):
        rules.conv_general_dilated(x, W, (1, 1), "VALID", dimension_numbers=NHWC)
