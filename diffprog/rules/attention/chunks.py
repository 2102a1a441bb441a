"""The arithmetic of attention, a chunk of keys at a time, forward and backward; its public function is in `attention`.

    forward     the softmax of all chunks seen so far, corrected whenever a greater score appears
    backward    p of every chunk made again from the scores, their maximum and their sum;  D = <g, o>
                g_v = p^T g,   g_s = p (g v^T - D),   g_q = c g_s k,   g_k = c g_s^T q

Shapes: B batch, T queries, S keys, C keys of a chunk, N heads, H features of a head.
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

from diffprog.rules.core.floating import wider
from diffprog.rules.core.joint import joint_operation

# ---- one chunk ---------------------------------------------------------------------------------------------
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
    """Keys, values and visibility with a leading axis of chunks; the last is filled up with keys that do not exist."""
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


# ---- forward: the softmax of all chunks seen so far, corrected whenever a greater score appears ------------


def _forward(
    q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float, chunk: int, keep: bool
) -> tuple[Array, tuple[Array, Array, Array | None]]:
    batch, queries, heads, _ = q.shape
    one = jnp.zeros((batch, heads, queries, 1), wider(q))

    def step(carry: Any, part: Any) -> tuple[Any, Array | None]:
        total, peak, weight = carry
        some_k, some_v, seen = part
        scores = _scores(q, some_k, scale)
        scores = scores if seen is None else _masked(scores, seen)
        # The result does not depend on what is subtracted, so neither does its derivative.
        top = jnp.maximum(peak, lax.stop_gradient(jnp.max(scores, -1, keepdims=True)))
        before, p = jnp.exp(peak - top), jnp.exp(scores - top)
        weight = weight * before + jnp.sum(p, -1, keepdims=True)
        return (total * _rows(before) + _times(p, some_v), top, weight), p if keep else None

    start = (jnp.zeros((*q.shape[:3], v.shape[-1]), one.dtype), one - jnp.inf, one)
    chunks = _in_chunks(k, v, mask, queries, causal, chunk)
    (total, peak, weight), p = _over(step, start, chunks)
    p = None if p is None else (p[0] / weight).astype(q.dtype)
    return (total / _rows(weight)).astype(q.dtype), (peak, weight, p)


# ---- backward ----------------------------------------------------------------------------------------------


def _weights(saved: Any, some_k: Array, seen: Any, scale: float) -> Array:
    q, _k, _v, _mask, _out, peak, weight, p = saved
    if p is not None:
        return p.astype(wider(p))
    scores = _scores(q, some_k, scale)
    return jnp.exp((scores if seen is None else _masked(scores, seen)) - peak) / weight


def _visible(changes: Array, seen: Any) -> Array:
    """Hidden scores are constants: nothing goes back to them, not even where all are hidden and count equally."""
    return changes if seen is None else jnp.where(seen[0], changes, 0)


def _pull(
    saved: Any, g: Array, wanted: tuple[bool, ...], causal: bool, scale: float, chunk: int, keep: bool
) -> tuple[Array | None, ...]:
    q, k, v, mask, out, *_ = saved
    to_q, to_k, to_v = wanted
    along = jnp.sum((g.astype(wider(g)) * out.astype(wider(g))), -1, keepdims=True)

    def step(g_q: Array, part: Any) -> tuple[Array, tuple[Array | None, Array | None]]:
        some_k, some_v, seen = part
        p = _weights(saved, some_k, seen, scale)
        g_v = _times_transposed(p, g) if to_v else None
        if not to_q and not to_k:
            return g_q, (None, g_v)
        g_scores = _visible(p * (_scores(g, some_v, 1.0) - _rows(along)) * scale, seen)
        g_q = g_q + _times(g_scores, some_k) if to_q else g_q
        return g_q, (_times_transposed(g_scores, q) if to_k else None, g_v)

    chunks = _in_chunks(k, v, mask, q.shape[1], causal, chunk)
    g_q, (g_k, g_v) = _over(step, jnp.zeros(q.shape, wider(q)), chunks)
    return g_q.astype(q.dtype), _joined(g_k, k) if to_k else None, _joined(g_v, v) if to_v else None


def _joined(chunks: Array, like: Array) -> Array:
    """[chunks, B, C, N, H] back to [B, S, N, H], without the keys that fill up the last chunk."""
    joined = jnp.moveaxis(chunks, 0, 1).reshape(like.shape[0], -1, *like.shape[2:])
    return joined[:, : like.shape[1]].astype(like.dtype)


def _push(
    saved: Any, q_dot: Any, k_dot: Any, v_dot: Any, causal: bool, scale: float, chunk: int, keep: bool
) -> Array:
    """o' = sum p s' v + p v' - o sum p s',  s' = c (q' k^T + q k'^T)."""
    q, k, v, mask, out, peak, *_ = saved

    def step(carry: Any, part: Any) -> tuple[Any, None]:
        change, mean = carry
        (some_k, some_v, seen), (some_k_dot, some_v_dot) = part
        p = _weights(saved, some_k, seen, scale)
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
    dot_chunks = _in_chunks(_or_zeros(k_dot, k), _or_zeros(v_dot, v), None, q.shape[1], False, chunk)[:2]
    start = (jnp.zeros(out.shape, wider(q)), jnp.zeros_like(peak))
    (change, mean), _ = _over_pairs(step, start, chunks, dot_chunks)
    return (change - _rows(mean) * out.astype(change.dtype)).astype(out.dtype)


def _or_zeros(dot: Array | None, like: Array) -> Array:
    return jnp.zeros_like(like) if dot is None else dot


def _over_pairs(step: Any, start: Any, chunks: Any, dots: Any) -> tuple[Any, Any]:
    if chunks[0].shape[0] > 1:
        return lax.scan(step, start, (chunks, dots))
    return step(start, jax.tree.map(lambda x: x[0], (chunks, dots)))


def _save(inputs: Any, out: Array, extra: Any, **_: Any) -> Any:
    return *inputs, out, *extra


attention = joint_operation("dot_product_attention", _forward, _save, _pull, _push, count=3)
