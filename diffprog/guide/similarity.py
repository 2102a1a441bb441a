"""How alike two embeddings are: four measures, each greater for more alike, each with a gradient everywhere.

    cosine     <a, b> / (|a| |b|)                     1 for the same direction
    spherical  -2 asin(|u_a - u_b| / 2)^2             minus half the squared angle: 0 for the same direction
    inner      <a, b>                                 for log-probabilities and a class
    agreement  log sum_c exp(a_c + b_c)               for two log-distributions over classes

Between unit vectors at angle t, |u_a - u_b| = 2 sin(t / 2); so the spherical form falls with t^2 / 2 everywhere, where
the cosine's slope, sin t, is weak far away (VQGAN-CLIP's loss is its negative).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from diffprog import rules

Similarity = Callable[[Array, Array], Array]

NEAR = 1e-6  # below this squared half chord, asin(x)^2 is x^2 to float32's last digit, and x has no gradient at 0
FAR = 1 - 1e-6  # at opposite directions the slope of asin is infinite


def cosine(a: Array, b: Array) -> Array:
    """Cosine of the angle: [..., D], [..., D] -> [...].

    Example:
      >>> float(cosine(jnp.array([3.0, 0.0]), jnp.array([5.0, 0.0])))
      1.0
    """
    a, b = jnp.broadcast_arrays(a, b)
    return rules.cosine_similarity(a, b)


def spherical(a: Array, b: Array) -> Array:
    """Minus half the squared angle: [..., D], [..., D] -> [...].

    Example:
      >>> round(float(spherical(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))), 4)  # - (pi / 2)^2 / 2
      -1.2337
    """
    apart = rules.l2_normalize(a) - rules.l2_normalize(b)
    square = jnp.sum(apart**2, -1) / 4
    inside = jnp.clip(square, NEAR, FAR)
    return -2 * jnp.where(square < NEAR, square, jnp.arcsin(jnp.sqrt(inside)) ** 2)


def agreement(a: Array, b: Array) -> Array:
    """log sum_c exp(a_c + b_c) of two log-distributions: the log-probability that draws from both are the same.

    Example:
      >>> float(jnp.exp(agreement(jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.2, 0.8])))).round(4))
      0.5
    """
    return jax.nn.logsumexp(a + b, -1)


def inner(a: Array, b: Array) -> Array:
    """Inner product: [..., D], [..., D] -> [...]."""
    return jnp.sum(a * b, -1)
