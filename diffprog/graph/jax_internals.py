"""What is asked of JAX's own records, which may change with any release: this file alone would have to follow.

An equation of a jaxpr says here what it is called, which line of Python made it, within which scopes, whose derivative
it has, and how it is computed. What a jaxpr is made of otherwise (variables, equations, constants) is `flatten`'s.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from jax._src import core, source_info_util

from diffprog.graph import modules
from diffprog.graph.names import Part
from diffprog.graph.node import Node, Source
from diffprog.graph.untraceable import innermost

_READABLE = {
    "conv_general_dilated": "conv",
    "dot_general": "dot",
    "reduce_window_max": "max_pool",
    "reduce_window_min": "min_pool",
    "reduce_window_sum": "sum_pool",
    "remat2": "checkpoint",
    "custom_jvp_call": "custom_jvp",
    "custom_vjp_call": "custom_vjp",
}
_CALLS = ("jit", "pjit", "closed_call", "core_call")
_TRACES = itertools.count()


def is_call(eqn: Any) -> bool:
    """Whether an equation only calls a compiled function."""
    return eqn.primitive.name in _CALLS


def inside(eqn: Any) -> Any:
    """The closed jaxpr of the function that a call calls."""
    return eqn.params["jaxpr"] if "jaxpr" in eqn.params else eqn.params["call_jaxpr"]


def has_body(eqn: Any) -> bool:
    """Whether an operation holds programs: the body of a loop, branches, a custom rule's forward."""
    params = (p for param in eqn.params.values() for p in (param if isinstance(param, tuple) else (param,)))
    return any(hasattr(param, "jaxpr") or hasattr(param, "eqns") for param in params)


def operation_of(eqn: Any) -> str:
    """A readable name: the function's own for a custom rule, the field's word for a primitive."""
    name = eqn.primitive.name
    if "call_jaxpr" in eqn.params:
        written = eqn.params["call_jaxpr"].jaxpr.debug_info.func_name.split(" ")[0].lstrip("_")
        if written and not written.startswith("<"):
            return written
    return _READABLE.get(name, name)


def application(eqn: Any) -> Callable[..., Sequence[Any]]:
    """What an equation does, as a function of its operands."""

    def apply(*inputs: Any) -> Sequence[Any]:
        with eqn.ctx.manager:
            results = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
        return results if eqn.primitive.multiple_results else [results]

    return apply


def source_of(eqn: Any) -> Source | None:
    """The line of the caller's code that made an operation."""
    return innermost(_frames(eqn.source_info))


def _frames(source_info: Any) -> Iterator[Source]:
    """The lines of Python that made an operation or a stand-in, innermost first; none where JAX kept none."""
    for frame in source_info_util.user_frames(getattr(source_info, "traceback", None)):
        yield Source(frame.file_name, frame.start_line, frame.function_name)


def scopes_of(eqn: Any, call: int) -> tuple[Part, ...]:
    """The named scopes around an operation; marks of `modules.scoped` tell visits apart and are taken off."""
    parts: list[Part] = []
    told = False  # whether the innermost scope so far is a module that was marked
    for entry in eqn.source_info.name_stack.stack:
        if type(entry).__name__ != "Scope":
            continue  # a transformation: jvp, transpose, vmap
        if entry.name.startswith(modules.MARK):
            if parts:
                parts[-1] = Part(parts[-1].label, (parts[-1].visit, entry.name))
            told = True
        elif not (told and modules.is_class_scope(entry.name)):
            parts.append(Part(entry.name, call))
            told = False
    return tuple(parts)


def written_in(node: Node) -> str:
    """Who wrote the derivative of an operation with its own: "jax", "rules" (ours) or "elsewhere"; else nothing."""
    body = node.settings.get("call_jaxpr")
    if body is None:
        return ""
    file = getattr(body, "jaxpr", body).debug_info.func_src_info.rpartition(" at ")[2].rpartition(":")[0]
    return next((who for who, home in _HOMES.items() if file.startswith(home + os.sep)), "elsewhere")


_HOMES = {
    "jax": os.path.dirname(jax.__file__),
    "rules": os.path.join(os.path.dirname(os.path.dirname(__file__)), "rules"),
}


@contextlib.contextmanager
def fresh_inner_traces() -> Iterator[None]:
    """Let functions that were compiled before be traced anew, so that modules inside them show their scopes.

    JAX keeps the trace of an inner `jit` under a key that includes this otherwise idle setting.
    """
    setting = getattr(getattr(jax._src, "config", None), "hlo_source_file_canonicalization_regex", None)
    with contextlib.nullcontext() if setting is None else setting(f"diffprog trace {next(_TRACES)}"):
        yield


def refuse_stale(jaxpr: Any) -> None:
    """Refuse a stand-in of an earlier trace among what a function closed over.

    Raises:
        UnexpectedTracerError: with the line that made it, in JAX's words, which `untraceable.explained` reads.
    """
    kept = (const for const in jaxpr.consts if isinstance(const, jax.core.Tracer))
    # Outside of all transformations no stand-in is alive: one that is closed over was kept from an earlier trace.
    stale = next(kept, None) if core.trace_state_clean() else None
    if stale is not None:
        made = innermost(_frames(getattr(stale, "_line_info", None)))
        line = f" created on line {made.file}:{made.line} ({made.function})" if made else ""
        raise jax.errors.UnexpectedTracerError(f"kept from an earlier trace: {stale}{line}")
