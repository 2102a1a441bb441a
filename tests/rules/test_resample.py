"""Affine resampling against map_coordinates: the adjoint to the image, and the gradient to the map."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.rules.sampling.affine import affine, reference
from tests.rules.oracle import assert_matches_differences, assert_same_gradients, random


def turned(factor, degrees, dtype=jnp.float64):
    cosine, sine = (f(math.radians(degrees)) / factor for f in (math.cos, math.sin))
    return jnp.asarray([[cosine, sine], [-sine, cosine]], dtype)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("factor", "degrees"), [(1.0, 0.0), (1.0, 30.0), (1.35, -75.0), (0.5, 10.0), (1.0, 180.0)]
)
def test_gradients_equal_autodiff(x64, factor, degrees):
    assert_same_gradients(
        lambda *args: affine(*args, (7, 9)),
        lambda *args: reference(*args, (7, 9)),
        random(0, (8, 6, 2)),
        turned(factor, degrees),
        jnp.array([1.3171, 0.7713]),
    )


def test_gradients_equal_differences(x64):
    shift = jnp.array([0.3137, -0.2718])
    assert_matches_differences(lambda *a: affine(*a, (5, 5)), random(1, (6, 5, 2)), turned(1.1, 17.0), shift)


def test_on_the_grid_the_slope_is_the_one_towards_the_next_pixel():
    x = jnp.asarray(np.random.default_rng(2).standard_normal((5, 4, 1)), jnp.float32)
    g_shift = jax.grad(lambda t: affine(x, jnp.eye(2), t, (5, 4)).sum())(jnp.zeros(2))
    below = jnp.concatenate([x[1:], jnp.zeros((1, 4, 1))]) - x  # beyond the last row lies zero
    right = jnp.concatenate([x[:, 1:], jnp.zeros((5, 1, 1))], 1) - x
    np.testing.assert_allclose(g_shift, [below.sum(), right.sum()], atol=1e-5)  # float32 sums of 20


def test_the_slope_of_a_ramp_is_its_steepness(x64):
    ramp = (2.0 * jnp.arange(6.0)[:, None] + 3.0 * jnp.arange(6.0))[..., None]
    g_shift = jax.grad(lambda t: affine(ramp, jnp.eye(2), t, (3, 3)).sum())(jnp.array([1.25, 1.5]))
    np.testing.assert_allclose(g_shift, [2.0 * 9, 3.0 * 9], rtol=1e-12)


def test_no_output_reads_a_pixel_with_another_ones_weight():
    # At this size, in float32, some places lie within rounding of a whole number of pixels.
    size, shift = 224, jnp.array([-3.3, 20.2])
    x, matrix = jax.random.normal(jax.random.key(0), (size, size, 3)), turned(1.1, 8.6, jnp.float32)
    out, pull = jax.jit(lambda x: jax.vjp(lambda x: affine(x, matrix, shift, (size, size)), x))(x)
    back = jax.jit(pull)(x)[0]
    expected, plain = jax.vjp(lambda x: reference(x, matrix, shift, (size, size)), x)
    # Places are known to 2e-5 pixels, and neighbours differ by up to about 8.
    np.testing.assert_allclose(out, expected, atol=1e-3)
    np.testing.assert_allclose(back, plain(x)[0], atol=1e-3)


def test_vmap_over_pictures_and_maps_equals_a_loop(x64):
    x, turns = random(3, (3, 5, 6, 2)), jnp.stack([turned(1.0 + 0.1 * i, 20.0 * i + 3) for i in range(3)])
    shift = jnp.array([0.4, -0.3])
    gradient = jax.grad(lambda x, m: (affine(x, m, shift, (5, 5)) ** 2).sum(), (0, 1))
    together = jax.vmap(gradient)(x, turns)
    for number in range(3):
        for one, many in zip(gradient(x[number], turns[number]), together, strict=True):
            np.testing.assert_allclose(many[number], one, atol=1e-11)


def test_forward_mode_equals_autodiff(x64):
    args = random(4, (5, 6, 2)), turned(1.2, 31.0), jnp.array([0.3, 0.7])
    dots = tuple(random(5 + i, a.shape) for i, a in enumerate(args))
    found, expected = (jax.jvp(lambda *a, f=f: f(*a, (5, 5)), args, dots)[1] for f in (affine, reference))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_hessian_in_the_map_equals_autodiff(x64):
    x, matrix, shift = random(6, (4, 5, 1)), turned(1.1, 12.0), jnp.array([0.31, 0.72])
    found, expected = (
        jax.jit(jax.hessian(lambda t, f=f: (f(x, matrix, t, (3, 3)) ** 2).sum()))(shift)
        for f in (affine, reference)
    )
    np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_values_and_gradients_keep_the_dtype_of_their_own_array(dtype):
    x = jnp.ones((4, 4, 1), dtype)
    value, pull = jax.vjp(lambda x, m, t: affine(x, m, t, (3, 3)), x, jnp.eye(2), jnp.full(2, 0.25))
    g_in, g_matrix, g_shift = pull(value)
    assert value.dtype == g_in.dtype == dtype
    assert g_matrix.dtype == g_shift.dtype == jnp.float32


def test_nan_and_far_places_read_zero_or_nan_and_stay_inside():
    x = jnp.ones((4, 4, 1)).at[0, 0].set(jnp.nan)
    near = affine(x, jnp.eye(2), jnp.zeros(2), (4, 4))
    assert jnp.isnan(near[0, 0, 0]) and near[2, 2, 0] == 1
    far = affine(jnp.ones((4, 4, 1)), jnp.eye(2), jnp.array([1e9, -1e9]), (4, 4))
    np.testing.assert_array_equal(far, 0.0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((jnp.zeros((1, 4, 4, 1)), jnp.eye(2), jnp.zeros(2), (4, 4)), r"an image \(1, 4, 4, 1\)"),
        ((jnp.zeros((4, 4, 1)), jnp.eye(3), jnp.zeros(2), (4, 4)), r"a matrix \(3, 3\)"),
        ((jnp.zeros((4, 4, 1)), jnp.eye(2), jnp.zeros(2), (0, 4)), r"output of shape \(0, 4\)"),
        ((jnp.zeros((4, 4, 1)), jnp.eye(2), jnp.zeros(2), (4, 4), 0.0), r"zoom 0.0"),
        ((jnp.zeros((4, 4, 1)), 0.5 * jnp.eye(2), jnp.zeros(2), (4, 4)), r"magnifies 2 times, with zoom 1.4"),
        ((jnp.zeros((4, 4, 1)), jnp.zeros((2, 2)), jnp.zeros(2), (4, 4)), r"not singular"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, says):
    with pytest.raises(InvalidInput, match=says):
        affine(*arguments)
