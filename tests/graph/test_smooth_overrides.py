"""Overrides for smooth activations and for max-pooling: Lucid's rules, and what they do to a network nobody edited."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog import rules
from diffprog.errors import InvalidInput
from diffprog.graph import override, overrides, redirect_relus, trace
from diffprog.graph.overriding.recognize import operations
from diffprog.graph.overriding.smooth import LOWEST

ROWS = np.array(
    [
        [1.0, 2.0, -2.0, 0.5],  # alive: some inputs right of the lowest point
        [-3.0, -2.0, -1.5, -4.0],  # off
        [-3.0, -2.0, 1.0, -3.0],  # alive in one place only
        [-0.2, -3.0, -3.0, -3.0],  # between the lowest point and 0: the activation rises there
    ],
    np.float32,
)
COTANGENTS = {
    "mixed": np.array([[1.0, -1.0, 2.0, -2.0]] * 4, np.float32),
    "up": np.full((4, 4), -1.0, np.float32),
    "down": np.full((4, 4), 1.0, np.float32),
    "where it is off": np.array([[0.0, -1.0, 1.0, -1.0]] * 4, np.float32),
}


def hand_gelu(x):
    return 0.5 * x * (1 + jax.lax.erf(x / jnp.sqrt(2.0)))


SPELLINGS = {
    "jax.nn.silu": (jax.nn.silu, "silu"),
    "nn.swish": (nn.swish, "silu"),
    "x / (1 + exp(-x))": (lambda x: x * (1 / (1 + jnp.exp(-x))), "silu"),
    "rules.silu": (rules.silu, "silu"),
    "jax.nn.gelu": (jax.nn.gelu, "gelu"),
    "jax.nn.gelu, exact": (lambda x: jax.nn.gelu(x, approximate=False), "gelu"),
    "gelu by erf": (hand_gelu, "gelu"),
    "rules.gelu": (rules.gelu, "gelu_tanh"),
    "rules.gelu, exact": (lambda x: rules.gelu(x, approximate=False), "gelu"),
    "quick gelu": (lambda x: x * jax.nn.sigmoid(1.702 * x), "gelu"),
    "rules.quick_gelu": (rules.quick_gelu, "quick_gelu"),
    "jitted": (jax.jit(jax.nn.silu), "silu"),
    "in a scan": (lambda x: jax.lax.scan(lambda c, _: (jax.nn.silu(c), None), x, None, length=1)[0], "silu"),
}
every_spelling = pytest.mark.parametrize("name", SPELLINGS)


def pulled_back(function, x, g):
    return jax.vjp(function, x)[1](g)[0]


def by_hand(function, x, g, lowest):
    """Lucid's rule with the lowest point in place of 0, one example at a time."""
    plain = np.asarray(pulled_back(function, x, g))
    out = np.zeros_like(g)
    for b in range(len(x)):
        off = x[b] < lowest
        alive = np.any(~off & (g[b] != 0))
        out[b] = plain[b] if alive else np.where(off & (g[b] > 0), 0, g[b])
    return out


@every_spelling
@pytest.mark.parametrize("g", COTANGENTS.values(), ids=COTANGENTS)
def test_the_gradient_follows_the_rule_however_it_is_written(name, g):
    function, kind = SPELLINGS[name]
    overridden = override(function, overrides.redirected_gates)
    np.testing.assert_array_equal(overridden(ROWS), function(ROWS))
    got = pulled_back(overridden, ROWS, g)
    np.testing.assert_allclose(
        got, by_hand(function, ROWS, g, LOWEST[kind]), atol=1e-6
    )  # two float32 programs


@pytest.mark.parametrize("kind", LOWEST)
def test_the_lowest_point_is_the_root_of_the_slope(x64, kind):
    function = {
        "silu": jax.nn.silu,
        "gelu": lambda x: jax.nn.gelu(x, approximate=False),
        "gelu_tanh": jax.nn.gelu,
        "quick_gelu": rules.quick_gelu,
    }[kind]
    assert abs(jax.grad(function)(LOWEST[kind])) < 1e-6  # printed with seven digits, curvature about 1/2


def test_the_rule_differs_from_the_derivative_only_where_all_is_off():
    g = COTANGENTS["up"]
    differs = (by_hand(jax.nn.silu, ROWS, g, LOWEST["silu"]) != pulled_back(jax.nn.silu, ROWS, g)).any(1)
    assert differs.tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * jnp.tanh(x),
        lambda x: x * jax.nn.sigmoid(x + 1),
        lambda x: x * jax.nn.sigmoid(3 * x),
        lambda x: x * x,
        lambda x: x * jax.nn.sigmoid(jnp.sum(x)),
        lambda x: x * jax.nn.sigmoid(x[::-1]),
        jax.nn.mish,
        jnp.tanh,
    ],
)
def test_other_functions_keep_their_gradient(function):
    graph = redirect_relus(trace(function, ROWS))
    g = COTANGENTS["mixed"]
    got = pulled_back(lambda x: graph.run(x)[0], ROWS, g)
    np.testing.assert_allclose(got, pulled_back(function, ROWS, g), atol=1e-6)
    kinds = {operation.kind for operation in operations(trace(function, ROWS))}
    assert not kinds & {"relu", "gelu"}


def test_the_parts_of_a_gelu_can_still_be_overridden_by_their_own_names():
    stopped = override(jax.nn.gelu, {"tanh": overrides.stop})
    assert (pulled_back(stopped, ROWS, ROWS) != pulled_back(jax.nn.gelu, ROWS, ROWS)).any()


def test_a_network_of_gelus_that_is_off_is_woken_and_one_of_relus_beside_it():
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(4, 4)), jnp.float32)

    def network(x):
        h = jax.nn.gelu(x @ weights - 30.0)
        return jax.nn.silu(jax.nn.relu(h - 30.0) @ weights - 30.0)

    x = jnp.ones((2, 4))
    graph = trace(network, x)

    @jax.jit
    def gradients(x):
        return [jax.grad(lambda x: -g.run(x)[0].sum())(x) for g in (graph, redirect_relus(graph))]  # noqa: B023

    plain, woken = gradients(x)
    assert jnp.abs(plain).max() < 1e-6 and jnp.abs(woken).max() > 1e-2


def test_kinds_are_recognized_in_half_precision():
    for dtype in (jnp.bfloat16, jnp.float16):
        kinds = [o.kind for o in operations(trace(jax.nn.silu, jnp.ones((2, 3), dtype)))]
        assert "silu" in kinds


# ---- max-pooling --------------------------------------------------------------------------------------------


def windows_of(shape, size, stride, same):
    """Every window of a picture as slices, and TensorFlow's places for SAME."""
    spans = []
    for length in shape:
        out = -(-length // stride) if same else (length - size) // stride + 1
        low = max((out - 1) * stride + size - length, 0) // 2 if same else 0
        spans.append([(max(o * stride - low, 0), min(o * stride - low + size, length)) for o in range(out)])
    return spans


def lucid_pool(x, size, stride, same, smooth):
    """Lucid's smoothed pooling of [N, H, W, C], window by window: averages count the pixels that there are."""
    rows, columns = windows_of(x.shape[1:3], size, stride, same)

    def average(x):
        lines = [jnp.stack([x[:, a:b, c:d].mean((1, 2)) for c, d in columns], 1) for a, b in rows]
        return jnp.stack(lines, 1)

    return average(x * x) / (1e-2 + average(jnp.abs(x))) if smooth else average(x)


POOLS = {
    "linen": lambda x, size, stride, pad: nn.max_pool(x, (size, size), (stride, stride), pad),
    "rules": lambda x, size, stride, pad: rules.max_pool(x, (size, size), (stride, stride), pad),
    "channels first": lambda x, size, stride, pad: jnp.moveaxis(
        jax.lax.reduce_window(
            jnp.moveaxis(x, 3, 1), -jnp.inf, jax.lax.max, (1, 1, size, size), (1, 1, stride, stride), pad
        ),
        1,
        3,
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize("spelling", POOLS)
@pytest.mark.parametrize(
    ("size", "stride", "pad"), [(2, 2, "VALID"), (3, 2, "VALID"), (3, 2, "SAME"), (3, 1, "SAME")]
)
@pytest.mark.parametrize("smooth", [False, True], ids=["average", "smooth"])
def test_the_gradient_is_that_of_lucid_s_smoothed_pooling(x64, spelling, size, stride, pad, smooth):
    x = jax.random.normal(jax.random.key(0), (2, 7, 8, 3), jnp.float64)

    def pool(x):
        return POOLS[spelling](x, size, stride, pad)

    overridden = override(pool, overrides.smooth_max_pool if smooth else overrides.average_max_pool)
    np.testing.assert_array_equal(overridden(x), pool(x))
    g = jax.random.normal(jax.random.key(1), pool(x).shape, jnp.float64)
    expected = pulled_back(lambda x: lucid_pool(x, size, stride, pad == "SAME", smooth), x, g)
    np.testing.assert_allclose(pulled_back(overridden, x, g), expected, atol=1e-10)
    assert jnp.abs(pulled_back(pool, x, g) - expected).max() > 0.1


def test_dilated_windows_have_gaps_and_are_left_alone():
    def pool(x):
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2,), (1,), "VALID", window_dilation=(2,))

    with pytest.raises(InvalidInput, match="nothing to override with average_max_pool"):
        override(pool, overrides.average_max_pool)(jnp.arange(6.0))


def test_on_a_real_network_more_pixels_get_a_gradient():
    import diffprog as dp

    net = dp.models.load("squeezenet")
    image = jax.random.uniform(jax.random.key(0), (1, 48, 48, 3))
    smooth = override(net, overrides.average_max_pool)
    g_plain, g_smooth = (jax.jit(jax.grad(lambda x, f=f: f(x).sum()))(image) for f in (net, smooth))
    assert jnp.isfinite(g_smooth).all() and (g_smooth != g_plain).any()

    def roughness(g):  # the share of what a mean over 2 x 2 pixels takes away
        coarse = g.reshape(1, 24, 2, 24, 2, 3).mean((2, 4))
        return 1 - 4 * float((coarse**2).sum() / (g**2).sum())

    assert roughness(g_smooth) < roughness(g_plain)
