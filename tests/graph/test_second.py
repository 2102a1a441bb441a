"""Nodes at which second derivatives end are named, and nodes that merely pass them on are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog import diagnose, rules
from diffprog.graph.diagnosis.second import KINDS, NO_CURVATURE, NO_SECOND

W = jnp.array([0.5, -1.5, 2.0])
X = jax.random.normal(jax.random.key(0), (8, 3))


@jax.custom_vjp
def once(w):
    """|w|^2, whose backward pass leaves JAX."""
    return jnp.sum(w**2)


def _backward(w, g):
    outside = jax.pure_callback(lambda w: 2 * np.asarray(w), jax.ShapeDtypeStruct(w.shape, w.dtype), w)
    return (g * outside,)


once.defvjp(lambda w: (once(w), w), _backward)


@pytest.mark.parametrize(
    ("cost", "kind", "node"),
    [
        (lambda w: jnp.sum(jnp.abs(X @ w - 1)), NO_CURVATURE, "abs"),
        (lambda w: jnp.sum(jnp.where(w > 0, 3 * w, w)), NO_CURVATURE, "select_n"),
        (lambda w: jnp.sum(rules.relu(w)), NO_CURVATURE, "relu"),
        (lambda w: jnp.sum(jax.nn.relu(w)), NO_CURVATURE, "relu"),
        (lambda w: jnp.max(X @ w), NO_CURVATURE, "reduce_max"),
        (lambda w: jnp.sum(w + (w - W) ** 3), NO_CURVATURE, "integer_pow"),  # it curves, but not here
        (lambda w: jnp.sum(jnp.tanh(w)) + once(3 * w), NO_SECOND, "once"),
    ],
)
def test_the_node_is_named(cost, kind, node) -> None:
    findings = [finding for finding in diagnose(cost, W).findings if finding.kind in KINDS]
    assert [finding.kind for finding in findings] == [kind]
    assert findings[0].node.split("/")[-1] == node
    assert findings[0].severity == "note"  # nothing is wrong with it for a first-order method


@pytest.mark.parametrize("cost", [lambda w: jnp.sum(X @ w), lambda w: w])
def test_a_linear_cost_is_said_to_be_one(cost) -> None:
    (finding,) = diagnose(cost, W[0] if cost(W).shape else W).findings
    assert "linear" in finding.sentence


@pytest.mark.parametrize(
    "cost",
    [
        lambda w: jnp.sum(w**2),
        lambda w: jnp.sum(jnp.abs(w)) + 1e-3 * jnp.sum(w**2),
        lambda w: jnp.sum(rules.relu(X @ w) ** 2),
    ],
)
def test_what_is_curved_is_not_accused(cost) -> None:
    assert not {finding.kind for finding in diagnose(cost, W).findings} & set(KINDS)


def test_only_the_variables_count() -> None:
    def cost(w, x):
        return jnp.sum(jnp.abs(x) * w) + jnp.sum(x**2)

    (finding,) = [f for f in diagnose(cost, W, X[0]).findings if f.kind in KINDS]
    assert "linear" in finding.sentence
