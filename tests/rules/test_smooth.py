"""Smooth activations and powers: closed forms, autodiff, PyTorch, and the far ends of the number line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog import rules
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random

PAIRS = {
    "tanh": (rules.tanh, jnp.tanh),
    "sigmoid": (rules.sigmoid, jax.nn.sigmoid),
    "softplus": (rules.softplus, jax.nn.softplus),
    "silu": (rules.silu, jax.nn.silu),
    "gelu": (rules.gelu, jax.nn.gelu),
    "gelu exact": (lambda x: rules.gelu(x, approximate=False), lambda x: jax.nn.gelu(x, approximate=False)),
    "quick gelu": (rules.quick_gelu, lambda x: x * jax.nn.sigmoid(1.702 * x)),
    "exp": (rules.exp, jnp.exp),
    "square": (rules.square, jnp.square),
}


@pytest.mark.parametrize("name", PAIRS)
def test_equal_to_autodiff_in_every_order(x64, name):
    rule, plain = PAIRS[name]
    x = 2 * random(0, (7,))
    for _ in range(3):
        assert_same_gradients(jax.vmap(rule), jax.vmap(plain), x)
        rule, plain = jax.grad(rule), jax.grad(plain)


@pytest.mark.parametrize("name", PAIRS)
def test_values_are_bit_for_bit_those_of_jax(name):
    rule, plain = PAIRS[name]
    x = jnp.linspace(-12, 12, 1001)
    np.testing.assert_array_equal(jax.jit(rule)(x), jax.jit(plain)(x))
    assert rule(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.parametrize("name", sorted(set(PAIRS) - {"exp", "square"}))
def test_the_slope_is_finite_wherever_the_true_one_is(name):
    """At 1e30 squares and cubes overflow; the slopes of all of these are 0 or 1 there."""
    rule, _ = PAIRS[name]
    far = jnp.array([-1e30, -1e15, -200.0, 200.0, 1e15, 1e30])
    found = jax.vmap(jax.grad(rule))(far)
    np.testing.assert_allclose(
        found, [0, 0, 0, *([0] * 3 if name in ("tanh", "sigmoid") else [1] * 3)], atol=1e-30
    )


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("softplus", lambda t, x: t.nn.functional.softplus(x, threshold=1e9)),
        ("silu", lambda t, x: t.nn.functional.silu(x)),
        ("gelu", lambda t, x: t.nn.functional.gelu(x, approximate="tanh")),
        ("gelu exact", lambda t, x: t.nn.functional.gelu(x)),
    ],
)
def test_equal_to_pytorch(x64, name, theirs):
    torch = pytest.importorskip("torch")
    x = np.linspace(-6, 6, 41)
    there = torch.tensor(x, requires_grad=True)
    theirs(torch, there).sum().backward()
    np.testing.assert_allclose(jax.grad(lambda x: PAIRS[name][0](x).sum())(x), there.grad, atol=1e-14)


# ---- powers -------------------------------------------------------------------------------------------------


@given(exponent=st.sampled_from([-2, -1.5, -1, 0, 0.5, 1, 1.5, 2, 3]), as_array=st.booleans())
@settings(max_examples=6, deadline=None)
def test_power_equals_differences(exponent, as_array):
    with jax.enable_x64(True):
        x = jnp.abs(random(1, (4,))) + 0.5
        if as_array:
            assert_matches_differences(rules.power, x, jnp.asarray(float(exponent)))
        else:
            assert_matches_differences(lambda x: rules.power(x, exponent), x)


def test_power_at_zero_is_finite_where_the_truth_is():
    slope = {p: float(jax.grad(rules.power)(0.0, p)) for p in (0, 1, 2, 1.5)}
    assert slope == {0: 0, 1: 1, 2: 0, 1.5: 0}
    to_base, to_exponent = jax.grad(rules.power, (0, 1))(jnp.zeros(()), jnp.asarray(2.0))
    assert float(to_base) == 0 and float(to_exponent) == 0
    assert float(jax.grad(rules.power)(jnp.zeros(()), jnp.zeros(()))) == 0


def test_the_root_at_zero_has_slope_zero_in_every_order():
    slope = jax.grad(rules.sqrt)
    assert [float(f(0.0)) for f in (slope, jax.grad(slope), jax.grad(jax.grad(slope)))] == [0, 0, 0]

    def norm(x):
        return rules.sqrt(jnp.sum(x * x))

    assert not np.any(jax.grad(norm)(jnp.zeros(3))) and np.all(np.isfinite(jax.hessian(norm)(jnp.zeros(3))))


def test_roots_and_logarithms_elsewhere(x64):
    x = jnp.abs(random(2, (6,))) + 0.1
    assert_same_gradients(rules.sqrt, jnp.sqrt, x)
    assert_same_gradients(rules.log, jnp.log, x)
    assert np.isnan(jax.grad(rules.sqrt)(-1.0)) and np.isposinf(jax.grad(rules.log)(0.0))


@pytest.mark.parametrize(
    ("rule", "plain"), [(rules.tanh, jnp.tanh), (rules.gelu, jax.nn.gelu), (rules.sqrt, jnp.sqrt)]
)
def test_integers_are_left_to_the_plain_operation(rule, plain):
    np.testing.assert_array_equal(rule(jnp.arange(4)), plain(jnp.arange(4)))


def test_a_power_of_two_dtypes_has_gradients_in_both():
    x, p = jnp.full(3, 2.0), jnp.full(3, 3.0, jnp.bfloat16)
    to_base, to_exponent = jax.grad(lambda x, p: rules.power(x, p).sum(), (0, 1))(x, p)
    np.testing.assert_allclose(to_base, 12.0)
    assert to_exponent.dtype == jnp.bfloat16
