"""What every rule is held against: autodiff of the plain operation, and central differences, in float64."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Both sides round differently in float64; sums here have at most a few thousand terms.
AGAINST_AUTODIFF = 1e-11
# Central differences with eps 1e-5 are good to about eps^2 + 1e-16 / eps, relative to the third derivative.
AGAINST_DIFFERENCES = 1e-7


def random(seed: int, shape: tuple[int, ...]) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def assert_same_gradients(rule: Callable[..., Any], plain: Callable[..., Any], *args: jax.Array) -> None:
    """Value and every vector-Jacobian product of `rule` equal those of `plain`, compiled."""
    g_out = random(99, jax.eval_shape(plain, *args).shape)

    def both(function: Callable[..., Any]) -> Any:
        out, pull = jax.vjp(function, *args)
        return out, *pull(g_out)

    expected, found = jax.jit(lambda: both(plain))(), jax.jit(lambda: both(rule))()
    for got, want in zip(found, expected, strict=True):
        assert got.dtype == want.dtype and got.shape == want.shape
        scale = float(jnp.where(jnp.isfinite(want), jnp.abs(want), 0).max(initial=1.0))
        np.testing.assert_allclose(got, want, rtol=0, atol=AGAINST_AUTODIFF * scale)


def assert_matches_differences(rule: Callable[..., Any], *args: jax.Array, eps: float = 1e-5) -> None:
    """<g, J v> by central differences equals <J^T g, v> by the rule, for a random v of every argument."""
    out, pull = jax.vjp(rule, *args)
    g_out = random(7, out.shape)
    directions = [random(11 + i, a.shape) for i, a in enumerate(args)]
    forward = rule(*(a + eps * v for a, v in zip(args, directions, strict=True)))
    backward = rule(*(a - eps * v for a, v in zip(args, directions, strict=True)))
    measured = jnp.vdot(g_out, (forward - backward) / (2 * eps))
    derived = sum(jnp.vdot(g, v) for g, v in zip(pull(g_out), directions, strict=True))
    scale = float(jnp.linalg.norm(g_out.ravel()) * sum(jnp.linalg.norm(v.ravel()) for v in directions))
    assert abs(float(measured - derived)) <= AGAINST_DIFFERENCES * scale
