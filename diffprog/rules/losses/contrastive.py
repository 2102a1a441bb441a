"""Contrastive losses of two batches of vectors, row i of one belonging to row i of the other.

InfoNCE asks every row which of all others is its own; the sigmoid loss asks every pair by itself. The formulas, on one
device and over several, are in `pairs`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules.core.floating import floating
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.core.spread import AxisName, check_spread
from diffprog.rules.losses import pairs


def info_nce(a: Array, b: Array, scale: Array | float = 1.0, *, axis_name: AxisName = None) -> Array:
    """CLIP's symmetric contrastive loss: each row of a should score highest with its own row of b, and the reverse.

    Args:
      a: [B, D], usually of length one (`l2_normalize`).
      b: [B, D]; row i belongs to row i of a.
      scale: of the scores, the inverse temperature, a scalar with a gradient (CLIP: the exponential of a parameter).
      axis_name: inside `jax.shard_map`, the axis of the mesh that the rows are spread over, as many on every device.

    Returns:
      scalar; 0 at best, log B by chance. With an `axis_name` it is that of all rows, on every device.

    Raises:
      InvalidInput: shapes that differ or are not [B, D], nothing in them, dtypes that differ, a scale of many
        numbers, rows that are not spread over `axis_name`.

    Example:
      >>> import jax.numpy as jnp
      >>> info_nce(jnp.zeros((4, 3)), jnp.zeros((4, 3)))  # log 4
      Array(1.3862944, dtype=float32)
    """
    scale = _checked("info_nce", a, b, axis_name, scale=scale)[0]
    return pairs.info_nce(a, b, scale, axis_name=axis_name)


def sigmoid_contrastive(
    a: Array,
    b: Array,
    scale: Array | float = 1.0,
    bias: Array | float = 0.0,
    *,
    axis_name: AxisName = None,
) -> Array:
    """SigLIP's loss: every pair by itself is told whether it belongs together.

    Args:
      a: [B, D], usually of length one (`l2_normalize`).
      b: [B, D]; row i belongs to row i of a.
      scale: of the scores, a scalar with a gradient.
      bias: added to the scores, a scalar with a gradient; SigLIP starts at -10, since most pairs do not belong.
      axis_name: as of `info_nce`.

    Returns:
      scalar, summed over the pairs and divided by B.

    Raises:
      InvalidInput: as `info_nce`.

    Example:
      >>> import jax.numpy as jnp
      >>> sigmoid_contrastive(jnp.zeros((1, 3)), jnp.zeros((1, 3)))  # log 2
      Array(0.6931472, dtype=float32)
    """
    scale, bias = _checked("sigmoid_contrastive", a, b, axis_name, scale=scale, bias=bias)
    return pairs.sigmoid(a, b, scale, bias, axis_name=axis_name)


def _checked(where: str, a: Array, b: Array, axis_name: AxisName, **scalars: Any) -> list[Array]:
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
    check_spread(where, axis_name, a=a, b=b)
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
