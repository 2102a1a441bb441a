"""Gradients changed on purpose: what each mode sees, under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.rules.structure import limit, surrogate
from diffprog.rules.structure.limit import clip_gradient, normalize_gradient
from diffprog.rules.structure.surrogate import reverse_gradient, stop_gradient, straight_through
from tests.rules.oracle import random

rounded = straight_through(jnp.round)


@pytest.mark.parametrize("rule", (*surrogate.OVERRIDES, *limit.OVERRIDES), ids=lambda rule: rule.name)
def test_gradients_and_their_derivatives_equal_the_plain_programs(x64, rule):
    for case in rule.cases:
        x = case.make(jax.random.key(0), jnp.float64)[0]
        cost = [
            lambda x, f=f, s=case.settings: (jnp.sin(f(x, **s)) ** 2).sum()
            for f in (rule.function, rule.reference)
        ]
        np.testing.assert_allclose(cost[0](x), cost[1](x), rtol=1e-14)
        for derivative in (jax.grad, lambda f: jax.jacrev(jax.grad(f))):
            found, expected = (jax.jit(derivative(f))(x) for f in cost)
            np.testing.assert_allclose(found, expected, atol=1e-12)


def test_straight_through_is_the_identity_in_forward_mode_and_at_every_order():
    assert jax.jvp(rounded, (0.7,), (2.0,)) == (1.0, 2.0)
    assert jax.grad(jax.grad(lambda x: rounded(x) ** 3))(1.6) == 12.0  # 6 round(x)


def test_reversal_is_the_same_in_both_modes_and_its_strength_may_be_traced():
    @jax.jit
    def both(x, scale):
        f = lambda x: reverse_gradient(x, scale) ** 2  # noqa: E731
        return f(x), jax.grad(f)(x), jax.jvp(f, (x,), (1.0,))[1]

    assert both(3.0, 0.5) == (9.0, -3.0, -3.0)


def test_reversal_twice_is_none():
    assert jax.grad(lambda x: reverse_gradient(reverse_gradient(x)) ** 2)(3.0) == 6.0


def test_a_stopped_gradient_is_zero():
    assert jax.grad(lambda x: stop_gradient(x) ** 2)(3.0) == 0.0


@pytest.mark.parametrize("change", [lambda x: clip_gradient(x, norm=1.0), normalize_gradient])
def test_forward_mode_passes_and_the_gradient_is_changed(change):
    x = jnp.array([3.0, 4.0])
    cost = lambda x: (change(x) ** 2).sum()  # noqa: E731
    np.testing.assert_allclose(jax.grad(cost)(x), [0.6, 0.8], rtol=1e-6)
    assert jax.jvp(cost, (x,), (jnp.ones(2),))[1] == 14.0
    np.testing.assert_array_equal(change(x), x)


def test_a_short_gradient_is_not_clipped_and_a_zero_one_not_normalized(x64):
    x = random(0, (5,))
    np.testing.assert_array_equal(jax.grad(lambda x: clip_gradient(x, norm=9.0).sum())(x), 1.0)
    for change in (normalize_gradient, lambda x: clip_gradient(x, norm=1.0)):
        cost = lambda x, c=change: (c(x) ** 2).sum()  # noqa: E731
        assert not jax.grad(cost)(jnp.zeros(3)).any()
        assert jnp.isfinite(jax.hessian(cost)(jnp.zeros(3))).all()


def test_the_hessian_is_the_derivative_of_the_changed_gradient(x64):
    x = random(1, (4,))
    cost = lambda x: (normalize_gradient(x) ** 4).sum()  # noqa: E731
    g = lambda x: 4 * x**3 / jnp.linalg.norm(4 * x**3)  # noqa: E731
    for second in (jax.hessian(cost), jax.jacrev(jax.grad(cost))):
        np.testing.assert_allclose(second(x), jax.jacobian(g)(x), atol=1e-12)


def test_the_norm_is_that_of_the_whole_tree():
    tree = {"a": jnp.array([3.0]), "b": jnp.array([[4.0]])}
    g = jax.grad(lambda t: sum((leaf**2).sum() for leaf in clip_gradient(t, norm=1.0).values()))(tree)
    np.testing.assert_allclose([g["a"][0], g["b"][0, 0]], [0.6, 0.8], rtol=1e-6)


def test_under_vmap_every_example_by_itself_with_limits_shared_or_not(x64):
    x, limits = random(2, (3, 4)), jnp.array([0.1, 1.0, 100.0])
    gradient = jax.grad(lambda x, limit: (clip_gradient(x, norm=limit) ** 2).sum())
    for over, most in (((0, 0), limits), ((0, None), limits[0]), ((None, 0), limits)):
        at = x if over[0] == 0 else x[0]
        together = jax.vmap(gradient, over)(at, most)
        for number in range(3):
            one = gradient(at[number] if over[0] == 0 else at, most[number] if over[1] == 0 else most)
            np.testing.assert_allclose(together[number], one, rtol=1e-12)


def test_in_a_scan_every_step_is_clipped():
    def program(x):
        return jax.lax.scan(lambda x, _: (clip_gradient(3.0 * x, value=2.0), None), x, length=3)[0]

    # Backward, three times: clip to 2, then times 3; the last is not clipped again.
    assert jax.grad(program)(1.0) == 6.0
    assert jax.grad(jax.checkpoint(program))(1.0) == 6.0


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_no_overflow_and_no_underflow_of_the_length(size):
    g = jax.grad(lambda x: (size * normalize_gradient(x)).sum())(jnp.ones(4))
    np.testing.assert_allclose(g, 0.5, rtol=1e-6)


def test_nan_passes_through():
    for change in (
        lambda x: clip_gradient(x, norm=1.0),
        lambda x: clip_gradient(x, value=1.0),
        normalize_gradient,
    ):
        assert jnp.isnan(jax.grad(lambda x, c=change: (jnp.nan * c(x)).sum())(jnp.ones(2))).all()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_gradients_keep_the_dtype(dtype):
    x = jnp.ones(3, dtype)
    for change in (lambda x: clip_gradient(x, norm=0.5), normalize_gradient, reverse_gradient, rounded):
        assert jax.grad(lambda x, c=change: c(x).sum())(x).dtype == dtype


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: clip_gradient(1.0), "norm=None and value=None"),
        (lambda: clip_gradient(1.0, norm=1.0, value=1.0), "exactly one limit"),
        (lambda: normalize_gradient(jnp.arange(3)), "int32"),
        (lambda: reverse_gradient(jnp.arange(3)), "int32"),
        (lambda: straight_through(jnp.sum)(jnp.ones(3)), "same shape"),
        (lambda: straight_through(lambda x: x > 0)(jnp.ones(3)), "bool"),
    ],
)
def test_what_has_no_gradient_to_change_is_refused(call, says):
    with pytest.raises(InvalidInput, match=says):
        call()
