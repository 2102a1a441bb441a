"""Convolution rules against XLA's own, in float64, over drawn shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from diffprog import rules
from diffprog.errors import InvalidInput
from diffprog.rules.convolution.exactness import same_values
from diffprog.rules.convolution.records import RULES
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random

NHWC = ("NHWC", "HWIO", "NHWC")
CASES = [case for rule in RULES for case in rule.cases]


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


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["depthwise", "dense"])
@given(shape=shapes, padding=paddings)
@settings(max_examples=5, deadline=None)
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


@pytest.mark.parametrize(
    ("x", "W", "changes", "complaint"),
    [
        ((1, 4, 4), (3, 3, 3, 3), {}, "same number of axes"),
        ((1, 4, 4, 2), (3, 3, 3, 3), {}, "2 input channels"),
        ((1, 4, 4, 4), (3, 3, 2, 3), {"feature_group_count": 2}, "groups that divide both"),
        ((1, 4, 4, 0), (3, 3, 0, 3), {}, "at least one pixel"),
        ((1, 4, 4, 3), (3, 3, 3, 3), {"window_strides": (0, 1)}, "strides"),
        ((1, 4, 4, 3), (3, 3, 3, 3), {"window_strides": (1,)}, "2 spatial axes"),
        ((1, 4, 4, 3), (3, 3, 3, 3), {"padding": "MIRROR"}, "MIRROR"),
        ((1, 4, 4, 3), (3, 3, 3, 3), {"padding": ((1, 1),)}, "padding"),
        ((1, 4, 4, 3), (3, 3, 3, 3), {"rhs_dilation": (1, 0)}, "rhs_dilation"),
        ((1, 4, 4, 3), (3, 3, 3, 3), {"padding": "SAME", "lhs_dilation": (2, 2)}, "lhs_dilation"),
    ],
)
def test_what_does_not_fit_is_refused(x, W, changes, complaint):
    settings = {"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": NHWC} | changes
    with pytest.raises(InvalidInput, match=complaint):
        rules.conv_general_dilated(jnp.ones(x), jnp.ones(W), **settings)


@pytest.mark.parametrize("dtype", [int, complex])
def test_what_has_no_rule_is_the_plain_operation(dtype):
    x, W = jnp.ones((1, 3, 3, 1), dtype), jnp.ones((2, 2, 1, 1), dtype)
    found, expected = (
        f(x, W, (1, 1), "SAME", dimension_numbers=NHWC)
        for f in (rules.conv_general_dilated, jax.lax.conv_general_dilated)
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtypes", [(int, jnp.float32), (jnp.bfloat16, jnp.float32)])
def test_mixed_dtypes_are_refused(dtypes):
    x, W = (jnp.ones(shape, d) for shape, d in zip(((1, 3, 3, 1), (2, 2, 1, 1)), dtypes, strict=True))
    with pytest.raises(InvalidInput, match=r"floating-point numbers|one dtype"):
        rules.conv_general_dilated(x, W, (1, 1), "SAME", dimension_numbers=NHWC)


def test_infinity_stays_in_its_group():
    x = jnp.ones((1, 3, 3, 32)).at[0, 1, 1, 0].set(jnp.inf)
    out = rules.conv_general_dilated(
        x, jnp.ones((3, 3, 2, 32)), (1, 1), "SAME", dimension_numbers=NHWC, feature_group_count=16
    )
    assert jnp.isinf(out[..., :2]).all()
    assert jnp.isfinite(out[..., 2:]).all()


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_formulation_equals_autodiff(x64, case):
    rule = next(rule for rule in RULES if case in rule.cases)
    assert_same_gradients(
        lambda x, W: rule.function(x, W, **case.settings),
        lambda x, W: rule.reference(x, W, **case.settings),
        *case.make(jax.random.key(0), jnp.float64),
    )


def test_forward_mode_and_second_order_are_by_hand(x64):
    rule, plain = both((2, 1), "SAME", 3)
    x, W = random(0, (1, 5, 4, 3)), random(1, (3, 3, 1, 3))

    def twice(f):
        cost = lambda x, W: (f(x, W) ** 3).sum()  # noqa: E731
        along = lambda x, W: jax.jvp(jax.grad(cost, (0, 1)), (x, W), (x + 1, W - 1))[1]  # noqa: E731
        return jax.jit(along)(x, W)

    for got, want in zip(twice(rule), twice(plain), strict=True):
        assert abs(got - want).max() < 1e-11 * abs(want).max()  # float64 sums of some hundred terms


@pytest.mark.parametrize(
    ("kernel", "changes"),
    [
        ((3, 3, 4, 2), {}),
        ((1, 1, 4, 2), {}),
        ((3, 3, 1, 8), {"feature_group_count": 4}),
        ((3, 3, 2, 4), {"feature_group_count": 2}),
        ((3, 3, 4, 2), {"lhs_dilation": (2, 2)}),
        ((3, 3, 1, 4), {"lhs_dilation": (2, 2), "feature_group_count": 4}),
    ],
)
def test_a_batch_of_no_pictures_has_gradients(kernel, changes):
    x, W = jnp.ones((0, 5, 5, 4)), jnp.ones(kernel)
    padding = [(k // 2, k // 2) for k in kernel[:2]]
    numbers = ("NHWC", "HWIO", "NHWC")

    def total(x, W):
        return rules.conv_general_dilated(x, W, (1, 1), padding, dimension_numbers=numbers, **changes).sum()

    g_in, g_W = jax.grad(total, (0, 1))(x, W)
    assert g_in.shape == x.shape and not g_W.any() and g_W.shape == kernel


@pytest.mark.parametrize(
    ("channels", "window", "stride"), [(3, 3, 1), (16, 3, 2), (40, 5, 1), (96, 3, 2), (144, 5, 1)]
)
def test_whether_values_are_those_of_xla_to_the_last_bit_is_told_truly(channels, window, stride):
    arrays = random(0, (3, 14, 14, channels)), random(1, (window, window, 1, channels))
    x, W = (jnp.asarray(array, jnp.float32) for array in arrays)
    geometry = (stride,) * 2, ((1, 1), (1, 1)), (1, 1), (1, 1)
    told = []

    def asked(x, W):  # while a program is traced, as overrides ask
        told.append(same_values(jax.typeof(x), jax.typeof(W), *geometry, channels))
        return rules.conv_general_dilated(x, W, *geometry, ("NHWC", "HWIO", "NHWC"), channels)

    def plain(x, W):
        return lax.conv_general_dilated(x, W, *geometry, ("NHWC", "HWIO", "NHWC"), channels)

    assert bool(jnp.all(jax.jit(asked)(x, W) == jax.jit(plain)(x, W))) == told[0]
