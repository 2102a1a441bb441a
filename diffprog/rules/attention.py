"""Scaled dot-product attention whose memory is linear in the sequence, with its backward rule.

    s = c q k^T,  p = softmax(s),  o = p v                           c = 1 / sqrt(H)
    g_v = p^T g,   g_p = g v^T,   g_s = p (g_p - D),   D = <g, o>,   g_q = c g_s k,   g_k = c g_s^T q

Shapes: B batch, T queries, S keys, N heads, H features of a head.
Saved: q, k, v, the output o, and for every query the maximum and the sum of its softmax; never the T x S weights p.
They are made again, a chunk of keys at a time, and D needs o only: <g_p, p> = g (p v)^T.
Maximum and sum are kept apart, not as one log-sum-exp: where everything is masked the scores are so large and
negative that adding a logarithm to them would be lost in rounding.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from diffprog.errors import InvalidInput
from diffprog.rules.elementwise import floating
from diffprog.rules.joint import joint_operation
from diffprog.rules.record import Case, Rule
from diffprog.rules.standardize import wider

# Scores of one chunk: 16 MiB in float32, so that with their derivatives they stay small beside the caches and below
# the size from which glibc maps fresh pages for every call. Sequences of up to about 50 x 50 x 1500 heads are one chunk.
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
      InvalidInput: shapes that do not fit, a mask that is not boolean, arrays not of one floating dtype, no elements.

    Example:
      >>> import jax.numpy as jnp
      >>> q = k = jnp.zeros((2, 1, 3))
      >>> v = jnp.array([[[1.0]], [[3.0]]]) * jnp.ones(3)
      >>> dot_product_attention(q, k, v, causal=True)[:, 0, 0]
      Array([1., 2.], dtype=float32)
    """
    _check(q, k, v, mask)
    *batch, queries, heads, features = q.shape
    k, v = (_four(jnp.repeat(x, heads // x.shape[-2], -2)) for x in (k, v))
    mask = None if mask is None else mask.reshape((1,) * (len(batch) + 3 - mask.ndim) + mask.shape)
    mask = None if mask is None else _four(jnp.broadcast_to(mask, (*batch, *mask.shape[-3:])))
    scale = 1 / math.sqrt(features) if scale is None else float(scale)
    chunk = _chunk(math.prod(batch) * heads * queries, k.shape[1]) if chunk is None else min(chunk, k.shape[1])
    out = _attention(_four(q), k, v, mask, causal=bool(causal), scale=scale, chunk=int(chunk))
    return out.reshape(q.shape)


def _four(x: Array) -> Array:
    return x.reshape(-1, *x.shape[-3:])


def _chunk(rows: int, keys: int) -> int:
    """Keys at a time; a number that wastes little of the last chunk."""
    if rows * keys <= SCORES:
        return keys
    most = max(LEAST_CHUNK, SCORES // rows)
    return math.ceil(keys / math.ceil(keys / most))


# ---- one chunk ------------------------------------------------------------------------------------------------------
# A chunk is (k, v, seen), [B, C, N, H] twice and what counts, boolean and broadcasting to [B, N, T, C], or None.


def _scores(q: Array, k: Array, scale: float) -> Array:
    """c q k^T in at least float32  # (B, T, N, H) (B, C, N, H) -> (B, N, T, C)"""
    return jnp.einsum("btnh,bcnh->bntc", q, k, preferred_element_type=wider(q)) * scale


def _times(p: Array, v: Array) -> Array:
    """p v  # (B, N, T, C) (B, C, N, H) -> (B, T, N, H)"""
    return jnp.einsum("bntc,bcnh->btnh", p.astype(v.dtype), v, preferred_element_type=wider(v))


def _times_transposed(p: Array, x: Array) -> Array:
    """p^T x  # (B, N, T, C) (B, T, N, H) -> (B, C, N, H)"""
    return jnp.einsum("bntc,btnh->bcnh", p.astype(x.dtype), x, preferred_element_type=wider(x))


def _masked(scores: Array, seen: tuple[Array, ...]) -> Array:
    """Hidden scores are so negative that they count only among themselves; those past the last key never count."""
    counts, exists = seen
    hidden = -0.7 * float(np.finfo(np.float32).max)
    return jnp.where(exists, jnp.where(counts, scores, hidden), -jnp.inf)


def _rows(x: Array) -> Array:
    """A number a query, [B, N, T, 1], to multiply outputs with, [B, T, N, 1]."""
    return jnp.swapaxes(x, 1, 2)


def _in_chunks(k: Array, v: Array, mask: Array | None, queries: int, causal: bool, chunk: int) -> Any:
    """Keys, values and visibility with a leading axis of chunks; the last one filled up with keys that do not exist."""
    keys = k.shape[1]
    count = math.ceil(keys / chunk)
    fill = count * chunk - keys

    def cut(x: Array, axis: int) -> Array:
        padded = jnp.pad(x, [(0, fill if i == axis else 0) for i in range(x.ndim)])
        split = padded.reshape(*x.shape[:axis], count, chunk, *x.shape[axis + 1 :])
        return jnp.moveaxis(split, axis, 0)

    if mask is None and not causal and not fill:
        return cut(k, 1), cut(v, 1), None
    counts = jnp.ones((1, 1, 1, keys), bool) if mask is None else mask
    counts = jnp.broadcast_to(counts, (*counts.shape[:3], keys))
    if causal:
        counts = counts & (jnp.arange(keys) <= jnp.arange(queries)[:, None])
    return cut(k, 1), cut(v, 1), (cut(counts, 3), cut(jnp.ones((1, 1, 1, keys), bool), 3))


def _over(step: Any, start: Any, chunks: Any) -> tuple[Any, Any]:
    """`lax.scan`, or the one step by itself: no loop where there is nothing to repeat."""
    if chunks[0].shape[0] > 1:
        return lax.scan(step, start, chunks)
    carry, out = step(start, jax.tree.map(lambda x: x[0], chunks))
    return carry, jax.tree.map(lambda x: x[None], out)


# ---- forward: the softmax of all chunks seen so far, corrected whenever a greater score appears ---------------------


def _forward(
    q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float, chunk: int
) -> tuple[Array, tuple[Array, Array]]:
    batch, queries, heads, _ = q.shape
    one = jnp.zeros((batch, heads, queries, 1), wider(q))

    def step(carry: Any, part: Any) -> tuple[Any, None]:
        total, peak, weight = carry
        some_k, some_v, seen = part
        scores = _scores(q, some_k, scale)
        scores = scores if seen is None else _masked(scores, seen)
        # The result does not depend on what is subtracted, so neither does its derivative.
        top = jnp.maximum(peak, lax.stop_gradient(jnp.max(scores, -1, keepdims=True)))
        before, p = jnp.exp(peak - top), jnp.exp(scores - top)
        weight = weight * before + jnp.sum(p, -1, keepdims=True)
        return (total * _rows(before) + _times(p, some_v), top, weight), None

    start = (jnp.zeros((*q.shape[:3], v.shape[-1]), one.dtype), one - jnp.inf, one)
    chunks = _in_chunks(k, v, mask, queries, causal, chunk)
    (total, peak, weight), _ = _over(step, start, chunks)
    return (total / _rows(weight)).astype(q.dtype), (peak, weight)


# ---- backward -------------------------------------------------------------------------------------------------------


def _weights(q: Array, some_k: Array, seen: Any, peak: Array, weight: Array, scale: float) -> Array:
    scores = _scores(q, some_k, scale)
    return jnp.exp((scores if seen is None else _masked(scores, seen)) - peak) / weight


def _visible(changes: Array, seen: Any) -> Array:
    """Hidden scores are constants: nothing goes back to them, not even where all are hidden and count equally."""
    return changes if seen is None else jnp.where(seen[0], changes, 0)


def _pull(saved: Any, g: Array, causal: bool, scale: float, chunk: int) -> tuple[Array, Array, Array]:
    q, k, v, mask, out, peak, weight = saved
    along = jnp.sum((g.astype(wider(g)) * out.astype(wider(g))), -1, keepdims=True)

    def step(g_q: Array, part: Any) -> tuple[Array, tuple[Array, Array]]:
        some_k, some_v, seen = part
        p = _weights(q, some_k, seen, peak, weight, scale)
        g_scores = _visible(p * (_scores(g, some_v, 1.0) - _rows(along)) * scale, seen)
        g_q = g_q + _times(g_scores, some_k)
        return g_q, (_times_transposed(g_scores, q), _times_transposed(p, g))

    chunks = _in_chunks(k, v, mask, q.shape[1], causal, chunk)
    g_q, (g_k, g_v) = _over(step, jnp.zeros(q.shape, wider(q)), chunks)
    return g_q.astype(q.dtype), _joined(g_k, k), _joined(g_v, v)


def _joined(chunks: Array, like: Array) -> Array:
    """[chunks, B, C, N, H] back to [B, S, N, H], without the keys that fill up the last chunk."""
    joined = jnp.moveaxis(chunks, 0, 1).reshape(like.shape[0], -1, *like.shape[2:])
    return joined[:, : like.shape[1]].astype(like.dtype)


def _push(
    saved: Any, q_dot: Any, k_dot: Any, v_dot: Any, causal: bool, scale: float, chunk: int
) -> Array:
    """o' = sum p s' v + p v' - o sum p s',  s' = c (q' k^T + q k'^T)."""
    q, k, v, mask, out, peak, weight = saved
    dots = [jnp.zeros_like(x) if dot is None else dot for x, dot in ((k, k_dot), (v, v_dot))]

    def step(carry: Any, part: Any) -> tuple[Any, None]:
        change, mean = carry
        (some_k, some_v, seen), (some_k_dot, some_v_dot) = part
        p = _weights(q, some_k, seen, peak, weight, scale)
        if v_dot is not None:
            change = change + _times(p, some_v_dot)
        moved = [_scores(q_dot, some_k, scale)] if q_dot is not None else []
        moved += [_scores(q, some_k_dot, scale)] if k_dot is not None else []
        if moved:
            weighted = _visible(p * sum(moved), seen)
            change = change + _times(weighted, some_v)
            mean = mean + jnp.sum(weighted, -1, keepdims=True)
        return (change, mean), None

    chunks = _in_chunks(k, v, mask, q.shape[1], causal, chunk)
    dot_chunks = _in_chunks(*dots, None, q.shape[1], False, chunk)[:2]
    start = (jnp.zeros(out.shape, wider(q)), jnp.zeros_like(peak))
    (change, mean), _ = _over_pairs(step, start, chunks, dot_chunks)
    return (change - _rows(mean) * out.astype(change.dtype)).astype(out.dtype)


def _over_pairs(step: Any, start: Any, chunks: Any, dots: Any) -> tuple[Any, Any]:
    if chunks[0].shape[0] > 1:
        return lax.scan(step, start, (chunks, dots))
    return step(start, jax.tree.map(lambda x: x[0], (chunks, dots)))


def _save(inputs: Any, out: Array, extra: Any, **_: Any) -> Any:
    return *inputs, out, *extra


_attention = joint_operation("dot_product_attention", _forward, _save, _pull, _push, count=3)


# ---- what it refuses ------------------------------------------------------------------------------------------------


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


# ---- the record -----------------------------------------------------------------------------------------------------


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
        saved="q, k, v, o, and the maximum and sum of every query's softmax: linear in the sequence. "
        "Scores and sums in at least float32",
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
