"""Cross-entropy of a softmax over classes, the last axis, with its backward rule.

    labels           J = log(sum e^x) - x[label]         g_x = g (p - onehot(label))
    distributions    J = -sum t log p                    g_x = g (p sum(t) - t),    g_t = -g log p

Saved: the exponentials e^(x - max x) that the value needed, and their sum; p is their quotient. Making p again from
log-sum-exp costs a second exponential for every element, which is where a textbook p - onehot loses to autodiff.
For the same reason nothing is compared with the label element by element: p is scaled, then one element a row changed.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules.attention.softmax import exponentials
from diffprog.rules.core.anatomy import Backward, operation
from diffprog.rules.core.floating import floating, wider
from diffprog.rules.core.record import Case, Rule

# ---- labels: one element a row -----------------------------------------------------------------------------


def _labelled(x: Array, labels: Array) -> tuple[Array, tuple[Array, Array]]:
    wide = x.astype(wider(x))
    powers, total, top = exponentials(wide, -1)
    chosen = jnp.take_along_axis(wide, labels[..., None], -1)
    # In this order two large scores are subtracted before the small logarithm is added, which they would swallow.
    loss = jnp.squeeze(jnp.log(total) + (top - chosen), -1)
    return loss.astype(x.dtype), (powers.astype(x.dtype), total)


def _to_logits(saved: Any, g: Array) -> Array:
    powers, total, labels = saved
    p = (powers * (g[..., None] / total)).astype(g.dtype)
    rows = p.reshape(-1, p.shape[-1])  # (..., C) -> (B, C)
    changed = rows.at[jnp.arange(rows.shape[0]), labels.reshape(-1)].add(-g.reshape(-1))
    return changed.reshape(p.shape)


def _from_logits(saved: Any, x_dot: Array) -> Array:
    powers, total, labels = saved
    mean = jnp.sum(powers * x_dot, -1) / total[..., 0]
    chosen = jnp.take_along_axis(x_dot, labels[..., None], -1, mode="fill", fill_value=0)
    return mean.astype(x_dot.dtype) - chosen[..., 0]


_with_labels = operation(
    "softmax_cross_entropy_with_integer_labels",
    lambda x, labels: _labelled(x, labels)[0],
    Backward(lambda inputs, x_out, extra: (*extra, inputs[1]), _to_logits, _from_logits),
    None,
    extra=_labelled,
)


def softmax_cross_entropy_with_integer_labels(logits: Array, labels: Array) -> Array:
    """-log softmax(logits)[label], for every row.

    Args:
      logits: [..., C], floating.
      labels: [...], integers from 0 to C - 1; negative ones count from the end, others give NaN, as in optax.

    Returns:
      [...].

    Raises:
      InvalidInput: logits that are not floating, labels that are not integers or do not fit, no classes.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> jax.grad(lambda x: softmax_cross_entropy_with_integer_labels(x, jnp.array(1)))(jnp.zeros(2))
      Array([ 0.5, -0.5], dtype=float32)
    """
    where = "softmax_cross_entropy_with_integer_labels"
    floating(where, logits=logits)
    labels = jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise InvalidInput(
            f"{where} got labels with dtype {labels.dtype}",
            "integers, the number of the class",
            "softmax_cross_entropy for distributions over the classes, or labels.astype(jnp.int32)",
        )
    _check_rows(where, logits, labels, logits.shape[:-1])
    return _with_labels(logits, labels)


# ---- distributions -----------------------------------------------------------------------------------------


def _distributed(x: Array, t: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    wide = x.astype(wider(x))
    powers, total, top = exponentials(wide, -1)
    logarithms = (wide - top) - jnp.log(total)
    loss = -jnp.sum(t.astype(wide.dtype) * logarithms, -1)
    return loss.astype(x.dtype), (powers.astype(x.dtype), total, logarithms.astype(x.dtype))


def _save_for_logits(inputs: Any, _: Array, extra: Any) -> Any:
    powers, total, _ = extra
    return powers, total, inputs[1]


def _distribution_to_logits(saved: Any, g: Array) -> Array:
    powers, total, t = saved
    g = g[..., None]
    weight = g.astype(total.dtype) * jnp.sum(t.astype(total.dtype), -1, keepdims=True) / total
    return (powers.astype(total.dtype) * weight - (g * t).astype(total.dtype)).astype(g.dtype)


def _distribution_from_logits(saved: Any, x_dot: Array) -> Array:
    powers, total, t = saved
    mean = jnp.sum(powers * x_dot, -1) / total[..., 0] * jnp.sum(t, -1)
    return (mean - jnp.sum(t * x_dot, -1)).astype(x_dot.dtype)


_with_distributions = operation(
    "softmax_cross_entropy",
    lambda x, t: _distributed(x, t)[0],
    Backward(_save_for_logits, _distribution_to_logits, _distribution_from_logits),
    Backward(
        lambda inputs, x_out, extra: extra[2],
        lambda logarithms, g: -g[..., None] * logarithms,
        lambda logarithms, t_dot: -jnp.sum(t_dot * logarithms, -1),
    ),
    extra=_distributed,
)


def softmax_cross_entropy(logits: Array, labels: Array) -> Array:
    """-sum(labels log softmax(logits)), for every row.

    Args:
      logits: [..., C], floating.
      labels: [..., C], a distribution over the classes (its sum is not checked); also differentiable.

    Returns:
      [...].

    Raises:
      InvalidInput: arrays that are not floating or not of one dtype, shapes that differ, no classes.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> jax.grad(softmax_cross_entropy)(jnp.zeros(2), jnp.array([0.25, 0.75]))
      Array([ 0.25, -0.25], dtype=float32)
    """
    floating("softmax_cross_entropy", logits=logits, labels=labels)
    _check_rows("softmax_cross_entropy", logits, labels, logits.shape)
    return _with_distributions(logits, labels)


def _check_rows(where: str, logits: Array, labels: Array, expected: tuple[int, ...]) -> None:
    if not logits.ndim or not logits.shape[-1] or labels.shape != expected:
        raise InvalidInput(
            f"{where} got logits of shape {logits.shape} and labels of shape {labels.shape}",
            f"labels of shape {expected}, and at least one class in the last axis of logits",
            "jnp.moveaxis(logits, axis, -1) if the classes are not last",
        )


# ---- records -----------------------------------------------------------------------------------------------


def _plain_labelled(logits: Array, labels: Array) -> Array:
    chosen = jnp.take_along_axis(logits, labels[..., None], -1)[..., 0]
    return jax.nn.logsumexp(logits, -1) - chosen


def _plain_distributed(logits: Array, labels: Array) -> Array:
    return -jnp.sum(labels * jax.nn.log_softmax(logits), -1)


def _rows_and_labels(key: Array, dtype: Any) -> tuple[Array, Array]:
    a, b = jax.random.split(key)
    return 2 * jax.random.normal(a, (2, 3, 5), dtype), jax.random.randint(b, (2, 3), 0, 5)


def _rows_and_distributions(key: Array, dtype: Any) -> tuple[Array, Array]:
    a, b = jax.random.split(key)
    x, t = (2 * jax.random.normal(k, (2, 3, 5), dtype) for k in (a, b))
    return x, 1.3 * jax.nn.softmax(t)  # a sum that is not 1 shows whether g_x multiplies by it


RULES = (
    Rule(
        name="softmax cross-entropy, labels",
        function=softmax_cross_entropy_with_integer_labels,
        reference=_plain_labelled,
        forward=r"J = \log \sum e^{x} - x_{label}",
        backward=r"g_x = g\,(\mathrm{softmax}(x) - \mathrm{onehot}(label))",
        saved="the exponentials of x - max(x), their sum, and the labels; sums in at least float32",
        source="values of optax.softmax_cross_entropy_with_integer_labels",
        cases=(Case("rows of rows", _rows_and_labels),),
        exact=False,
    ),
    Rule(
        name="softmax cross-entropy, distributions",
        function=softmax_cross_entropy,
        reference=_plain_distributed,
        forward=r"J = -\sum t \log \mathrm{softmax}(x)",
        backward=r"g_x = g\,(\mathrm{softmax}(x) \sum t - t),\quad g_t = -g \log \mathrm{softmax}(x)",
        saved="the exponentials of x - max(x), their sum, and t for g_x; log softmax(x) for g_t. "
        "Sums in at least float32",
        source="values of optax.softmax_cross_entropy",
        differentiable=(0, 1),
        cases=(Case("sum not 1", _rows_and_distributions),),
        exact=False,
    ),
)
