"""The fast rules as an override: against autodiff in float64, in every layout, and no forward twice."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from diffprog.graph import override, overrides, trace

NHWC, NCHW, ODD = ("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("CWNH", "IHWO", "HNCW")


def convolution(numbers=NHWC, strides=(1, 1), padding="SAME", groups=1, **settings):
    def function(x, W):
        layout = lax.conv_dimension_numbers((2, 8, 7, 6), (3, 2, 6 // groups, 12), NHWC)
        to = lax.conv_dimension_numbers((1,) * 4, (1,) * 4, numbers)
        x = x.transpose(_order(layout.lhs_spec, to.lhs_spec))
        W = W.transpose(_order(layout.rhs_spec, to.rhs_spec))
        return lax.conv_general_dilated(
            x, W, strides, padding, dimension_numbers=numbers, feature_group_count=groups, **settings
        )

    return function, ((2, 8, 7, 6), (3, 2, 6 // groups, 12))


def _order(now, wanted):
    """The transposition that brings the axes of one layout to those of another."""
    return [now[wanted.index(axis)] for axis in range(len(now))]


def pooling(initial, operation, window, strides, padding, **settings):
    return lambda x: lax.reduce_window(x, initial, operation, window, strides, padding, **settings)


MAXIMUM, SUM = (-jnp.inf, lax.max), (0.0, lax.add)
SHAPE = ((2, 8, 7, 6),)
FAST = {
    "conv": convolution(),
    "conv, stride 2": convolution(strides=(2, 2)),
    "conv, valid": convolution(padding="VALID"),
    "conv, cropped": convolution(padding=((1, -1), (0, 2))),
    "conv, NCHW": convolution(NCHW),
    "conv, NCHW depthwise": convolution(NCHW, groups=6, strides=(2, 1)),
    "conv, an odd layout": convolution(ODD, groups=2),
    "conv, depthwise": convolution(groups=6),
    "conv, grouped": convolution(groups=3),
    "conv, dilated kernel": convolution(rhs_dilation=(2, 1)),
    "conv, dilated picture": convolution(padding=((2, 2), (1, 1)), lhs_dilation=(2, 1)),
    "conv, one axis": (
        lambda x, W: lax.conv_general_dilated(x, W, (2,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")),
        ((2, 9, 3), (3, 3, 4)),
    ),
    "max pool": (pooling(*MAXIMUM, (1, 3, 3, 1), (1, 2, 2, 1), "VALID"), SHAPE),
    "max pool, padded": (pooling(*MAXIMUM, (1, 3, 2, 1), (1, 1, 2, 1), "SAME"), SHAPE),
    "max pool, NCHW": (pooling(*MAXIMUM, (1, 1, 3, 3), (1, 1, 2, 2), "VALID"), SHAPE),
    "max pool, odd axes": (pooling(*MAXIMUM, (2, 1, 3, 1), (1, 1, 2, 1), "VALID"), SHAPE),
    "sum pool": (pooling(*SUM, (1, 3, 3, 1), (1, 2, 2, 1), "SAME"), SHAPE),
    "sum pool, CHW": (pooling(*SUM, (1, 2, 2), (1, 2, 2), "VALID"), ((6, 8, 7),)),
    "linen avg_pool": (lambda x: nn.avg_pool(x, (2, 2), (2, 2)), SHAPE),
    "vmap of CHW": (
        jax.vmap(lambda x: pooling(*MAXIMUM, (1, 2, 2), (1, 2, 2), "VALID")(x)),
        SHAPE,
    ),
}
# What the rules leave alone is left alone.
LEFT = {
    "conv, a precision": convolution(precision="highest"),
    "pool, dilated": (
        pooling(*SUM, (1, 2, 2, 1), (1, 1, 1, 1), "VALID", window_dilation=(1, 2, 1, 1)),
        SHAPE,
    ),
    "pool over all axes": (pooling(*SUM, (2, 2), (1, 1), "VALID"), ((4, 5),)),
}


def drawn(shapes, key=0):
    keys = jax.random.split(jax.random.key(key), len(shapes))
    return [jax.random.normal(k, shape, jnp.float64) for k, shape in zip(keys, shapes, strict=True)]


FIRST_ORDER = [
    *(pytest.param(*case, False, id=name) for name, case in (FAST | LEFT).items()),
    *(pytest.param(*FAST[name], True, id=f"{name}, forward too") for name in FAST if "NCHW" in name),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("function", "shapes", "forward"), FIRST_ORDER)
def test_fast_rules_agree_with_autodiff_in_float64(x64, function, shapes, forward):
    args, dots = drawn(shapes), drawn(shapes, key=1)

    @functools.partial(jax.jit, static_argnums=0)
    def everything(f, args, dots):
        out, pull = jax.vjp(f, *args)
        return out, pull(jnp.cos(out)), jax.jvp(f, args, dots)[1]

    fast = everything(override(function, overrides.fast(forward=forward)), args, dots)
    plain = everything(function, args, dots)
    if not forward:
        np.testing.assert_array_equal(fast[0], plain[0])
    # 1e-12: float64, sums of at most 100 products in another order
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), fast, plain)


@pytest.mark.parametrize("name", ["conv, NCHW depthwise", "max pool"])
def test_second_derivatives_go_through_the_fast_rules(x64, name):
    function, shapes = FAST[name]
    args, dots = drawn(shapes), drawn(shapes, key=1)

    @functools.partial(jax.jit, static_argnums=0)
    def curvature(f):
        cost = lambda x: (f(x, *args[1:]) ** 3).sum()  # noqa: E731
        return jax.grad(lambda x: jnp.vdot(jax.grad(cost)(x), dots[0]))(args[0])

    # rtol as above, squared sums
    np.testing.assert_allclose(curvature(override(function)), curvature(function), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", FAST)
def test_the_fast_rules_are_put_in(name):
    function, shapes = FAST[name]
    graph = trace(function, *(jnp.zeros(shape) for shape in shapes))
    assert any(new is not old for new, old in zip(override(graph).nodes, graph.nodes, strict=True))


@pytest.mark.parametrize("name", LEFT)
def test_the_fast_rules_are_not_put_in_where_there_is_none(name):
    function, shapes = LEFT[name]
    graph = trace(function, *(jnp.zeros(shape) for shape in shapes))
    assert override(graph).nodes == graph.nodes


def test_values_stay_bitwise_where_the_rule_s_own_would_not():
    zeros = np.random.default_rng(0).choice(np.array([0.0, -0.0], np.float32), (4, 8, 8, 16))
    pool = functools.partial(nn.max_pool, window_shape=(2, 2), strides=(2, 2))
    got, expected = (np.asarray(jax.jit(f)(zeros)) for f in (override(pool), pool))
    np.testing.assert_array_equal(got.view(np.int32), expected.view(np.int32))


@pytest.mark.parametrize("wrt", [0, 1])
def test_the_forward_is_computed_once(wrt):
    function, shapes = convolution()
    x, W = (jnp.ones(shape) for shape in shapes)

    def convolutions(f):
        text = (
            jax.jit(jax.value_and_grad(lambda *a: (f(*a) ** 2).sum(), argnums=wrt))
            .lower(x, W)
            .compile()
            .as_text()
        )
        return (
            text.count(" convolution(")
            + text.count(" dot(")
            + text.count("__onednn$")
            + text.count("custom-call(")
        )

    assert 1 <= convolutions(override(function)) <= convolutions(function)
