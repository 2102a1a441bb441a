"""Scaled dot-product attention whose memory is linear in the sequence, with its backward rule.

    s = c q k^T,  p = softmax(s),  o = p v                           c = 1 / sqrt(H)
    g_v = p^T g,   g_p = g v^T,   g_s = p (g_p - D),   D = <g, o>,   g_q = c g_s k,   g_k = c g_s^T q

Shapes: B batch, T queries, S keys, N heads, H features of a head.
Saved: q, k, v, the output o, and for every query the maximum and the sum of its softmax; the T x S weights p only
where all of them are few (4 million). Else they are made again, a chunk of keys at a time (`chunks`), and D needs o
only: <g_p, p> = <g, p v>.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.rules import choice
from diffprog.rules.attention.chunks import attention
from diffprog.rules.core.floating import floating
from diffprog.rules.core.record import Case, Rule

# Scores of one chunk: 16 MiB in float32, so that with their derivatives they stay small beside the caches and below
# the size from which glibc maps fresh pages for every call. 1600 heads of 50 x 50 are still one chunk.
SCORES = 1 << 22
LEAST_CHUNK = 64


def dot_product_attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
    chunk: int | None = None,
) -> Array:
    """softmax(scale q k^T) v for every head, as `jax.nn.dot_product_attention`, in memory linear in S.

    Args:
      q: [..., T, N, H].
      k: [..., S, K, H], K dividing N: each of the K heads serves N/K heads of q.
      v: [..., S, K, H].
      mask: boolean, broadcasting to [..., N, T, S]; False: this key does not count. Where none counts, all do equally.
      causal: whether query t sees keys up to t only.
      scale: of the scores; None: 1 / sqrt(H).
      chunk: keys at a time; None: as many as make scores of 16 MiB, at least 64.

    Returns:
      [..., T, N, H]. Scores and sums are in at least float32.

    Raises:
      InvalidInput: shapes that do not fit, a mask that is not boolean, arrays not of one floating dtype, no elements,
        a chunk of no keys.

    Example:
      >>> import jax.numpy as jnp
      >>> q = k = jnp.zeros((2, 1, 3))
      >>> v = jnp.array([[[1.0]], [[3.0]]]) * jnp.ones(3)
      >>> dot_product_attention(q, k, v, causal=True)[:, 0, 0]
      Array([1., 2.], dtype=float32)
    """
    _check(q, k, v, mask)
    if chunk is not None and chunk < 1:
        raise InvalidInput(f"chunk={chunk}", "at least one key at a time", "chunk=None, which chooses")
    *batch, queries, heads, features = q.shape
    k, v = (_four(jnp.repeat(x, heads // x.shape[-2], -2)) for x in (k, v))
    mask = None if mask is None else mask.reshape((1,) * (len(batch) + 3 - mask.ndim) + mask.shape)
    mask = None if mask is None else _four(jnp.broadcast_to(mask, (*batch, *mask.shape[-3:])))
    scale = 1 / math.sqrt(features) if scale is None else float(scale)
    rows = math.prod(batch) * heads * queries
    chunk = _chunk(rows, k.shape[1]) if chunk is None else min(int(chunk), k.shape[1])
    # Few weights are kept: to make them again costs more than it saves (0.7 of autodiff's speed).
    keep = chunk == k.shape[1] and rows * chunk <= choice.size("attention: weights kept up to")
    out = attention(_four(q), k, v, mask, causal=bool(causal), scale=scale, chunk=chunk, keep=keep)
    return out.reshape(q.shape)


def _four(x: Array) -> Array:
    return x.reshape(-1, *x.shape[-3:])


def _chunk(rows: int, keys: int) -> int:
    """Keys at a time; a number that wastes little of the last chunk."""
    if rows * keys <= SCORES:
        return keys
    most = max(LEAST_CHUNK, SCORES // rows)
    return math.ceil(keys / math.ceil(keys / most))


# ---- what it refuses ---------------------------------------------------------------------------------------


def _check(q: Array, k: Array, v: Array, mask: Array | None) -> None:
    floating("dot_product_attention", q=q, k=k, v=v)
    if q.ndim < 3 or k.ndim != q.ndim or k.shape != v.shape or not _fit(q.shape, k.shape):
        raise InvalidInput(
            f"dot_product_attention got q {q.shape}, k {k.shape}, v {v.shape}",
            "q [..., T, N, H] and k, v [..., S, K, H], nothing empty, K dividing N",
            "x.reshape(*x.shape[:-1], heads, features) for arrays whose heads are not an axis yet",
        )
    if mask is not None and (mask.dtype != bool or not _broadcasts(mask.shape, _score_shape(q, k))):
        raise InvalidInput(
            f"dot_product_attention got a mask {mask.dtype}{list(mask.shape)}",
            f"booleans that broadcast to {list(_score_shape(q, k))}, [..., N, T, S]; True where a key counts",
            "mask[..., None, :, :] if the axis of heads is missing, mask > 0 if it is of numbers",
        )


def _fit(q: tuple[int, ...], k: tuple[int, ...]) -> bool:
    return 0 not in (*q, *k) and q[:-3] == k[:-3] and q[-1] == k[-1] and q[-2] % k[-2] == 0


def _score_shape(q: Array, k: Array) -> tuple[int, ...]:
    return (*q.shape[:-3], q.shape[-2], q.shape[-3], k.shape[-3])


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    if len(shape) > len(target):
        return False
    return all(a in (1, b) for a, b in zip(shape[::-1], target[::-1], strict=False))


# ---- the record --------------------------------------------------------------------------------------------


def _plain(
    q: Array, k: Array, v: Array, mask: Array | None = None, causal: bool = False, chunk: int | None = None
) -> Array:
    """The whole T x S matrix at once, in the inputs' own precision."""
    groups = q.shape[-2] // k.shape[-2]
    k, v = jnp.repeat(k, groups, -2), jnp.repeat(v, groups, -2)
    scores = jnp.einsum("...tnh,...snh->...nts", q, k) / math.sqrt(q.shape[-1])
    hidden = -0.7 * float(np.finfo(np.float32).max)
    if mask is not None:
        scores = jnp.where(mask, scores, hidden)
    if causal:
        scores = jnp.where(jnp.tril(jnp.ones(scores.shape[-2:], bool)), scores, hidden)
    return jnp.einsum("...nts,...snh->...tnh", jax.nn.softmax(scores), v)


def _arrays(queries: int, keys: int, heads: int = 2, key_heads: int = 2, masked: bool = False) -> Any:
    def make(key: Array, dtype: Any) -> tuple[Array, ...]:
        a, b, c, d = jax.random.split(key, 4)
        q = jax.random.normal(a, (2, queries, heads, 3), dtype)
        k, v = (jax.random.normal(x, (2, keys, key_heads, 3), dtype) for x in (b, c))
        mask = jax.random.bernoulli(d, 0.6, (2, 1, queries, keys))
        return (q, k, v, mask) if masked else (q, k, v)

    return make


RULES = (
    Rule(
        name="attention",
        function=dot_product_attention,
        reference=_plain,
        forward=r"o = p\,v,\quad p = \mathrm{softmax}(s),\quad s = q k^\top / \sqrt{H}",
        backward=r"g_v = p^\top g_o,\quad g_s = p\,(g_o v^\top - \langle g_o, o \rangle),\quad "
        r"g_q = g_s k / \sqrt{H},\quad g_k = g_s^\top q / \sqrt{H}",
        saved="q, k, v, o, and the maximum and sum of every query's softmax: linear in the sequence; where the scores "
        "are few (4 million), p as well. Scores and sums in at least float32",
        source="Vaswani et al. 2017; Rabe and Staats 2021; Dao et al. 2022",
        differentiable=(0, 1, 2),
        cases=(
            Case("one chunk", _arrays(4, 5)),
            Case("chunks, the last one short", _arrays(4, 5), {"chunk": 2}),
            Case("causal", _arrays(5, 5), {"causal": True}),
            Case("causal, in chunks", _arrays(5, 5), {"causal": True, "chunk": 2}),
            Case("masked", _arrays(4, 6, masked=True)),
            Case("masked, in chunks", _arrays(4, 6, masked=True), {"chunk": 3}),
            Case("two heads a key", _arrays(3, 4, heads=4), {"chunk": 2}),
        ),
        exact=False,
    ),
)
