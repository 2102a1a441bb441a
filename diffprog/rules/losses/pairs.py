"""The formulas of the contrastive losses: the scores of all pairs, the losses, and what goes back from G = dJ/dl.

    l = s a b^T                                            scores of all B x B pairs (and + bias, for the sigmoid)
    InfoNCE    J = mean of both cross-entropies of l, along rows and along columns, with the diagonal as labels
               G = dJ/dl = (softmax_rows(l) + softmax_columns(l) - 2 I) / 2B
    sigmoid    J = -(1/B) sum log sigmoid(+-l), + on the diagonal
               G = dJ/dl = (sigmoid(l) - I) / B
    both       g_a = g s G b,    g_b = g s G^T a,    g_s = g <G b, a>,    g_bias = g sum(G)

Saved: G, one B x B array, where autodiff keeps the scores and every softmax of them; what is left are two products.

With an `axis_name` the batch is spread over the devices of a `jax.shard_map`: each has b of the B rows of a and of b.
It gathers the rows of b, [B, D], and computes its own b rows of l and G and no others, so the large arrays shrink with
the number of devices. Maxima and sums down the columns go around, two numbers a column; G^T a is summed to its owners.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from diffprog.rules.attention.softmax import exponentials
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.floating import wider
from diffprog.rules.core.spread import AxisName, first_row, gathered, own, scattered, summed


def _scores(a: Array, b: Array, scale: Array, axis_name: AxisName) -> Array:
    """s a b^T in at least float32, this device's rows  # (b, D) (D, B) -> (b, B)"""
    products = jnp.einsum("id,jd->ij", a, gathered(b, axis_name), preferred_element_type=wider(a))
    return scale.astype(wider(a)) * products


def _belong(shape: tuple[int, ...], axis_name: AxisName) -> Array:
    """Whether row and column are of one pair: the diagonal of all rows, bool [b, B]."""
    row, column = (lax.broadcasted_iota(jnp.int32, shape, axis) for axis in (0, 1))
    return row + first_row(shape[0], axis_name) == column


def _info_nce_value(a: Array, b: Array, scale: Array, axis_name: AxisName) -> tuple[Array, Array]:
    scores = _scores(a, b, scale, axis_name)
    rows, size = scores.shape
    belong = _belong(scores.shape, axis_name)
    sides = exponentials(scores, 1), exponentials(scores, 0, axis_name)
    right = jnp.sum(jnp.where(belong, scores, 0), 1)

    def loss_of(total: Array, top: Array) -> Array:
        # In this order two large scores are subtracted before the small logarithm is added, which they would swallow.
        return jnp.sum(jnp.log(total) + (top - right))

    (of_row, total, top), (of_column, totals, tops) = sides
    mine = (own(x.ravel(), rows, axis_name) for x in (totals, tops))
    loss = summed(loss_of(total.ravel(), top.ravel()) + loss_of(*mine), axis_name) / (2 * size)
    both = of_row / total + of_column / totals
    return loss.astype(a.dtype), (both - 2 * belong.astype(scores.dtype)) / (2 * size)


def _sigmoid_value(a: Array, b: Array, scale: Array, bias: Array, axis_name: AxisName) -> tuple[Array, Array]:
    scores = _scores(a, b, scale, axis_name) + bias.astype(wider(a))
    size = scores.shape[1]
    belong = _belong(scores.shape, axis_name)
    losses = jax.nn.softplus(jnp.where(belong, -scores, scores))  # -log sigmoid(l) is softplus(-l)
    loss = summed(jnp.sum(losses), axis_name) / size
    return loss.astype(a.dtype), (jax.nn.sigmoid(scores) - belong.astype(scores.dtype)) / size


# ---- to a, b, s and the bias, from G -----------------------------------------------------------------------


def _rows_of_a(change: Array, b: Array, axis_name: AxisName) -> Array:
    return change.astype(b.dtype) @ gathered(b, axis_name)  # (b, B) (B, D) -> (b, D)


def _rows_of_b(change: Array, a: Array, axis_name: AxisName) -> Array:
    return scattered(change.T.astype(a.dtype) @ a, axis_name)  # (B, b) (b, D) -> (B, D), summed to (b, D)


def _to(rows: Callable[[Array, Array, AxisName], Array], which: int) -> Backward:
    """The gradient of a (0) or b (1), whose rows are s times `rows(G, the other)`."""

    def save(inputs: Any, _: Array, change: Array, axis_name: AxisName) -> Any:
        return change, inputs[1 - which], inputs[2]

    def pull(saved: Any, g: Array, axis_name: AxisName) -> Array:
        change, other, scale = saved
        return (g * scale * rows(change, other, axis_name)).astype(g.dtype)

    def push(saved: Any, dot: Array, axis_name: AxisName) -> Array:
        change, other, scale = saved
        return summed(scale * jnp.sum(rows(change, other, axis_name) * dot), axis_name).astype(dot.dtype)

    return Backward(save, pull, push)


def _with_scale(inputs: Any, _: Array, change: Array, axis_name: AxisName) -> Array:
    a, b = inputs[:2]
    return jnp.sum(_rows_of_a(change, b, axis_name) * a).astype(a.dtype)


def _with_bias(inputs: Any, _: Array, change: Array, axis_name: AxisName) -> Array:
    return jnp.sum(change).astype(inputs[0].dtype)


def _times(saved: Array, g: Array, axis_name: AxisName) -> Array:
    # Each device saved its own part of the sum; that all devices share the scalar sums the parts up.
    return g * saved


def _total(saved: Array, dot: Array, axis_name: AxisName) -> Array:
    return summed(saved * dot, axis_name)


def _contrastive(
    name: str, value: Callable[..., tuple[Array, Array]], *more: Backward
) -> Callable[..., Array]:
    return operation(
        name,
        lambda *inputs, axis_name: value(*inputs, axis_name)[0],
        _to(_rows_of_a, 0),
        _to(_rows_of_b, 1),
        Backward(_with_scale, _times, _total),
        *more,
        extra=lambda *inputs, axis_name: value(*inputs, axis_name),
    )


info_nce = _contrastive("info_nce", _info_nce_value)
sigmoid = _contrastive("sigmoid_contrastive", _sigmoid_value, Backward(_with_bias, _times, _total))
