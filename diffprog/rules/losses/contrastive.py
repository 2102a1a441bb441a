"""Contrastive losses of two batches of vectors, row i of one belonging to row i of the other.

    l = s a b^T                                            scores of all B x B pairs (and + bias, for the sigmoid)
    InfoNCE    J = mean of both cross-entropies of l, along rows and along columns, with the diagonal as labels
               G = dJ/dl = (softmax_rows(l) + softmax_columns(l) - 2 I) / 2B
    sigmoid    J = -(1/B) sum log sigmoid(+-l), + on the diagonal
               G = dJ/dl = (sigmoid(l) - I) / B
    both       g_a = g s G b,    g_b = g s G^T a,    g_s = g <G b, a>,    g_bias = g sum(G)

Saved: G, one B x B array, where autodiff keeps the scores and every softmax of them; what is left are two products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules.attention.softmax import exponentials
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.floating import floating, wider
from diffprog.rules.core.record import Case, Rule


def _scores(a: Array, b: Array, scale: Array) -> Array:
    """s a b^T in at least float32  # (B, D) (D, B) -> (B, B)"""
    return scale.astype(wider(a)) * jnp.einsum("id,jd->ij", a, b, preferred_element_type=wider(a))


def _info_nce_value(a: Array, b: Array, scale: Array) -> tuple[Array, Array]:
    scores = _scores(a, b, scale)
    size = a.shape[0]
    sides = [exponentials(scores, axis) for axis in (1, 0)]
    own = jnp.diagonal(scores)
    # In this order two large scores are subtracted before the small logarithm is added, which they would swallow.
    losses = [jnp.sum(jnp.log(total.ravel()) + (top.ravel() - own)) for _, total, top in sides]
    both = sum(powers / total for powers, total, _ in sides)
    loss = (losses[0] + losses[1]) / (2 * size)
    return loss.astype(a.dtype), (both - 2 * jnp.eye(size, dtype=scores.dtype)) / (2 * size)


def _sigmoid_value(a: Array, b: Array, scale: Array, bias: Array) -> tuple[Array, Array]:
    scores = _scores(a, b, scale) + bias.astype(wider(a))
    size = a.shape[0]
    own = jnp.eye(size, dtype=bool)
    loss = jnp.sum(jax.nn.softplus(jnp.where(own, -scores, scores))) / size  # -log sigmoid(l) is softplus(-l)
    return loss.astype(a.dtype), (jax.nn.sigmoid(scores) - own.astype(scores.dtype)) / size


# ---- to a, b, s and the bias, from G -----------------------------------------------------------------------


def _to_rows(saved: tuple[Array, Array, Array], g: Array) -> Array:
    change, other, scale = saved
    return (g * scale * (change.astype(g.dtype) @ other)).astype(g.dtype)  # (B, B) (B, D) -> (B, D)


def _from_rows(saved: tuple[Array, Array, Array], dot: Array) -> Array:
    change, other, scale = saved
    return (scale * jnp.sum((change.astype(dot.dtype) @ other) * dot)).astype(dot.dtype)


def _times(saved: Array, g: Array) -> Array:
    return g * saved


def _with_a(inputs: Any, _: Array, change: Array) -> Any:
    return change, inputs[1], inputs[2]


def _with_b(inputs: Any, _: Array, change: Array) -> Any:
    return change.T, inputs[0], inputs[2]


def _with_scale(inputs: Any, _: Array, change: Array) -> Array:
    a, b = inputs[:2]
    return jnp.sum((change.astype(a.dtype) @ b) * a).astype(a.dtype)


def _with_bias(inputs: Any, _: Array, change: Array) -> Array:
    return jnp.sum(change).astype(inputs[0].dtype)


def _contrastive(
    name: str, value: Callable[..., tuple[Array, Array]], *more: Backward
) -> Callable[..., Array]:
    return operation(
        name,
        lambda *inputs: value(*inputs)[0],
        Backward(_with_a, _to_rows, _from_rows),
        Backward(_with_b, _to_rows, _from_rows),
        Backward(_with_scale, _times, _times),
        *more,
        extra=value,
    )


_info_nce = _contrastive("info_nce", _info_nce_value)
_sigmoid = _contrastive("sigmoid_contrastive", _sigmoid_value, Backward(_with_bias, _times, _times))


def info_nce(a: Array, b: Array, scale: Array | float = 1.0) -> Array:
    """CLIP's symmetric contrastive loss: each row of a should score highest with its own row of b, and the reverse.

    Args:
      a: [B, D], usually of length one (`l2_normalize`).
      b: [B, D]; row i belongs to row i of a.
      scale: of the scores, the inverse temperature, a scalar with a gradient (CLIP: the exponential of a parameter).

    Returns:
      scalar; 0 at best, log B by chance.

    Raises:
      InvalidInput: shapes that differ or are not [B, D], nothing in them, dtypes that differ, a scale of many numbers.

    Example:
      >>> import jax.numpy as jnp
      >>> info_nce(jnp.zeros((4, 3)), jnp.zeros((4, 3)))  # log 4
      Array(1.3862944, dtype=float32)
    """
    scale = _checked("info_nce", a, b, scale=scale)[0]
    return _info_nce(a, b, scale)


def sigmoid_contrastive(a: Array, b: Array, scale: Array | float = 1.0, bias: Array | float = 0.0) -> Array:
    """SigLIP's loss: every pair by itself is told whether it belongs together.

    Args:
      a: [B, D], usually of length one (`l2_normalize`).
      b: [B, D]; row i belongs to row i of a.
      scale: of the scores, a scalar with a gradient.
      bias: added to the scores, a scalar with a gradient; SigLIP starts at -10, since most pairs do not belong.

    Returns:
      scalar, summed over the pairs and divided by B.

    Raises:
      InvalidInput: as `info_nce`.

    Example:
      >>> import jax.numpy as jnp
      >>> sigmoid_contrastive(jnp.zeros((1, 3)), jnp.zeros((1, 3)))  # log 2
      Array(0.6931472, dtype=float32)
    """
    scale, bias = _checked("sigmoid_contrastive", a, b, scale=scale, bias=bias)
    return _sigmoid(a, b, scale, bias)


def _checked(where: str, a: Array, b: Array, **scalars: Any) -> list[Array]:
    """The scalars as arrays, when everything fits."""
    floating(where, a=a, b=b, **{n: float(s) if isinstance(s, int) else s for n, s in scalars.items()})
    if a.ndim != 2 or a.shape != b.shape or not a.size:
        raise InvalidInput(
            f"{where} got shapes {a.shape} and {b.shape}",
            "two batches [B, D] of equal shape, not empty: row i of one belongs to row i of the other",
            "x.reshape(-1, features)",
        )
    for name, scalar in scalars.items():
        if jnp.ndim(scalar):
            raise InvalidInput(
                f"{where} got {name} of shape {jnp.shape(scalar)}", "a scalar", f"{name}[()] or {name}[0]"
            )
    return [jnp.asarray(s, a.dtype) for s in scalars.values()]


# ---- records -----------------------------------------------------------------------------------------------


def _plain_info_nce(a: Array, b: Array, scale: Array) -> Array:
    scores = scale * a @ b.T
    losses = [jnp.mean(jnp.diag(jax.nn.log_softmax(scores, axis))) for axis in (0, 1)]
    return -(losses[0] + losses[1]) / 2


def _plain_sigmoid(a: Array, b: Array, scale: Array, bias: Array) -> Array:
    signs = 2 * jnp.eye(a.shape[0], dtype=a.dtype) - 1
    return -jnp.sum(jax.nn.log_sigmoid(signs * (scale * a @ b.T + bias))) / a.shape[0]


def _batches(scalars: int) -> Callable[[Array, Any], tuple[Array, ...]]:
    def make(key: Array, dtype: Any) -> tuple[Array, ...]:
        one, two = jax.random.split(key)
        a, b = jax.random.normal(one, (4, 3), dtype), jax.random.normal(two, (4, 3), dtype)
        return (a, b, *(jnp.asarray(x, dtype) for x in (1.7, -0.6)[:scalars]))

    return make


RULES = (
    Rule(
        name="InfoNCE",
        function=info_nce,
        reference=_plain_info_nce,
        forward=r"J = -\tfrac1{2B} \sum_i (\log\mathrm{softmax}_j(l_{ij})_i + \log\mathrm{softmax}_j(l_{ji})_i),"
        r"\ l = s\,a b^\top",
        backward=r"G = (\mathrm{softmax}_{rows} + \mathrm{softmax}_{cols} - 2I) / 2B;\ "
        r"g_a = g s\,G b,\ g_b = g s\,G^\top a,\ g_s = g \langle G b, a \rangle",
        saved="G, one B x B array, with a and b; scores and sums in at least float32",
        source="van den Oord et al. 2018; Radford et al. 2021 (CLIP), figure 3",
        differentiable=(0, 1, 2),
        cases=(Case("a batch of 4", _batches(1)),),
        exact=False,
    ),
    Rule(
        name="sigmoid contrastive",
        function=sigmoid_contrastive,
        reference=_plain_sigmoid,
        forward=r"J = -\tfrac1B \sum_{ij} \log\sigma(z_{ij} l_{ij}),\ l = s\,a b^\top + \beta,\ z = 2I - 1",
        backward=r"G = (\sigma(l) - I) / B;\ g_a = g s\,G b,\ g_b = g s\,G^\top a,\ "
        r"g_s = g \langle G b, a \rangle,\ g_\beta = g \sum G",
        saved="G, one B x B array, with a and b; scores and sums in at least float32",
        source="Zhai et al. 2023 (SigLIP), equation 1",
        differentiable=(0, 1, 2, 3),
        cases=(Case("a batch of 4", _batches(2)),),
        exact=False,
    ),
)
