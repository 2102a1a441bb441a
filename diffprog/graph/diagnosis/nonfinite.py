"""Findings: the first node where a NaN or an infinity appears, forward or backward.

Forward, only what spoils the cost counts: the -inf of an attention mask, which softmax turns into zeros, is no
finding. The culprits are the nodes on the way to the cost that turn finite operands into something else. Backward,
they are the nodes that turn a finite cotangent into one that is not; among them is the trap of `jnp.where`, where
a value that is not used sends back 0 times infinity.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diffprog.graph.diagnosis.findings import Finding, listed
from diffprog.graph.diagnosis.reach import ancestors
from diffprog.graph.diagnosis.view import COPIES, View, floating
from diffprog.graph.node import Node

MOST = 3  # culprits named; what they spoil shows no more
HUGE = 1e18  # cotangents beyond this overflow in a product, not by a slope
SQUARES = ("square", "integer_pow", "mul", "dot_general")
_SAFE = "giving it a safe argument as well: jnp.where(ok, f(jnp.where(ok, x, 1.0)), 0.0)"

# What an operation does at the edge of where it is defined: forward, in its derivative, and what to try.
_EDGES = {
    "log": (
        "log is -inf at 0 and NaN below",
        "log has an infinite slope at 0, and none below",
        "log(x + eps), or log_softmax",
    ),
    "log1p": ("log1p is -inf at -1 and NaN below", "log1p has an infinite slope at -1", "keeping x above -1"),
    "sqrt": ("sqrt is NaN below 0", "sqrt has an infinite slope at 0, and none below", "sqrt(x + eps)"),
    "rsqrt": ("1/sqrt is infinite at 0 and NaN below", "1/sqrt has no slope at 0", "rsqrt(x + eps)"),
    "cbrt": ("", "the cube root has an infinite slope at 0", "a small offset"),
    "div": ("it divides by 0", "it divides by 0", "x / (y + eps), or jnp.where on the denominator"),
    "rem": ("it divides by 0", "it divides by 0", "jnp.where on the denominator"),
    "pow": (
        "a power is infinite at 0 for a negative exponent and NaN below 0",
        "a power below 1 has an infinite slope at 0",
        "(x + eps) ** p",
    ),
    "integer_pow": ("a negative power is infinite at 0", "a negative power has no slope at 0", "x + eps"),
    "acos": (
        "arccos is NaN beyond -1 and 1",
        "arccos has an infinite slope at -1 and 1",
        "arctan2(|a x b|, a . b)",
    ),
    "asin": (
        "arcsin is NaN beyond -1 and 1",
        "arcsin has an infinite slope at -1 and 1",
        "clipping to 1 - eps",
    ),
    "atanh": (
        "arctanh is infinite at -1 and 1",
        "arctanh has an infinite slope there",
        "clipping to 1 - eps",
    ),
    "acosh": ("arccosh is NaN below 1", "arccosh has an infinite slope at 1", "keeping x above 1 + eps"),
    "erf_inv": (
        "erf_inv is infinite at -1 and 1",
        "erf_inv has an infinite slope there",
        "clipping to 1 - eps",
    ),
    "atan2": ("", "the angle of (0, 0) has no derivative", "jnp.where on both operands"),
    "exp": (
        "exp overflows (beyond 88.7 in float32)",
        "exp overflows",
        "subtracting the largest first: logsumexp",
    ),
}
_OVERFLOW = (
    "the result is beyond the largest number of its type",
    "the product of cotangent and slope is not finite",
    "smaller numbers: normalization, a smaller initial scale, clipping, a wider type",
)
_SLOPE = (
    "",
    "its slope is not finite at these operands",
    "keeping its operands away from there, by a small offset",
)
_COLLISION = ("infinities meet (inf - inf, 0 * inf, inf / inf)", *_OVERFLOW[1:])
_NORM = (
    "",
    "this is the norm (or deviation) of a zero vector, and there the norm has a kink: sqrt has an infinite slope at 0",
    "sqrt(sum(x ** 2) + eps), the squared norm, or optax.safe_norm",
)


def nonfinite(view: View) -> Iterator[Finding]:
    """Where NaN and infinity come from."""
    found = list(_forward(view))
    yield from found or list(_backward(view))


def _forward(view: View) -> Iterator[Finding]:
    bad = {i for i, v in view.seen.values.items() if floating(view, i) and not np.isfinite(v).all()}
    spoiled = set(view.graph.outputs) & bad
    culprits = []
    for node in reversed(view.graph.nodes):
        if spoiled.intersection(node.outputs):
            behind = bad.intersection(node.inputs)
            if not behind or all(view.constant(i) is not None for i in behind):
                culprits.append(node)
                behind = bad & ancestors(view.graph, node.inputs) - _masks(view)
            spoiled |= behind
    for i in view.graph.inputs:
        if i in spoiled:
            yield _argument(view, i)
    for count, node in enumerate(culprits[::-1][:MOST]):
        first = (
            "Values that are not finite appear here too"
            if count
            else "The first that is not finite appears here"
        )
        out = view.value(next(i for i in node.outputs if i in bad))
        collides = bad.intersection(node.inputs)
        why, _, remedy = _COLLISION if collides else _EDGES.get(node.primitive, _OVERFLOW)
        sentence = f"{first} ({_count(out)}): {why or _OVERFLOW[0]}."
        sentence += " The cost is not finite." if view.graph.outputs[0] not in node.outputs else ""
        yield Finding("not finite", "error", node.name, node.source, sentence, remedy)


def _masks(view: View) -> set[int]:
    """Constants, and what merely holds some: the -inf of a mask."""
    constant = {i for i in view.seen.values if i not in view.producers and i not in view.graph.inputs}
    for node in view.graph.nodes:
        chosen = node.inputs[1:] if node.primitive == "select_n" else ()
        if constant.intersection(chosen) or constant.issuperset(node.inputs):
            constant.update(node.outputs)
    return constant


def _argument(view: View, i: int) -> Finding:
    sentence = f"The argument itself has {_count(view.value(i))}, and the cost is not finite."
    return Finding("not finite", "error", view.labels[i], None, sentence, "looking at where it comes from")


def _backward(view: View) -> Iterator[Finding]:
    spoiled = [i for i in view.graph.inputs if not _finite(view, i)]
    if not spoiled:
        return
    culprits: dict[int, list[np.ndarray]] = {}
    for (number, k), g in view.seen.sent.items():
        node = view.graph.nodes[number]
        bad = not np.isfinite(g).all()
        if bad and all(_finite(view, i) for i in node.outputs) and node.inputs[k] in view.reach.active:
            culprits.setdefault(number, []).append(g)
    names = listed([view.labels[i] for i in spoiled], MOST)
    for number in sorted(culprits, reverse=True)[:MOST]:
        yield _culprit(view, view.graph.nodes[number], culprits[number][0], names)


def _finite(view: View, i: int) -> bool:
    return i not in view.seen.cotangents or bool(np.isfinite(view.seen.cotangents[i]).all())


def _culprit(view: View, node: Node, g_in: np.ndarray, names: str) -> Finding:
    _, why, remedy = _NORM if _is_norm(view, node) else _EDGES.get(node.primitive, _SLOPE)
    large = max(
        float(np.abs(view.seen.cotangents[i]).max(initial=0))
        for i in node.outputs
        if i in view.seen.cotangents
    )
    overflows = large > HUGE and why == _SLOPE[1]
    if overflows:
        _, why, remedy = _OVERFLOW
    sentence = f"The value is finite, but the cotangent sent back is not ({_count(g_in)}): {why}."
    kind = "not finite" if overflows else "undefined derivative"
    if _is_trap(view, node, g_in):
        kind, remedy = "where trap", _SAFE
        sentence = (
            "The cotangent that arrives here is 0, because a later jnp.where does not use this value; but "
            f"the slope is not finite there, and 0 times infinity is NaN ({_count(g_in)}): {why}."
        )
    sentence += f" So the gradient with respect to {names} is not finite."
    return Finding(kind, "error", node.name, node.source, sentence, remedy)


def _is_norm(view: View, node: Node) -> bool:
    """Whether a square root is taken of a sum of squares, or of their mean."""
    if node.primitive != "sqrt":
        return False
    waiting = [node.inputs[0]]
    while waiting:
        before = view.producers.get(waiting.pop())
        if before is not None and before.primitive in ("div", "mul", "select_n", *COPIES):
            waiting += before.inputs
        elif before is not None and before.primitive in ("reduce_sum", "dot_general"):
            squared = view.producers.get(before.inputs[0])
            return before.primitive == "dot_general" or (squared is not None and squared.primitive in SQUARES)
    return False


def _is_trap(view: View, node: Node, g_in: np.ndarray) -> bool:
    g_out = view.seen.cotangents.get(node.outputs[0])
    if g_out is None or g_out.shape != g_in.shape or np.any(g_out[~np.isfinite(g_in)]):
        return False
    return any(later.primitive == "select_n" for later in view.downstream(node.outputs[0], view.same_shape))


def _count(array: np.ndarray) -> str:
    nans, infinities = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    parts = [f"{count} {name}" for count, name in ((nans, "NaN"), (infinities, "infinite")) if count]
    return f"{' and '.join(parts)} of {array.size} {'entries' if array.size > 1 else 'entry'}"
