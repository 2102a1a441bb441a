"""Replace the backward rule of chosen operations inside any function, without touching the function.

    fast = override(f)                                            the hand-written rules of this package
    seen = override(f, overrides.guided)                          guided backpropagation in all its ReLUs
    soft = override(f, {"round": overrides.straight_through})     by operation
    calm = override(f, {"blocks/3/*": overrides.clip(norm=1.0)})  by name or pattern
    mine = override(f, {"relu": my_backward})                     my_backward(inputs, x_out, g_out) -> g_in

Values stay the same to the last bit; only derivatives change. Operations inside loops, branches and checkpoints are
reached too; the inside of a `while`, which has no reverse mode, and of a function with its own custom derivative,
which is its author's, is not. The ready-made overrides are in `overrides`.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

from diffprog.errors import InvalidInput
from diffprog.graph.node import Node
from diffprog.graph.overriding.backward import Forward, Override, with_backward
from diffprog.graph.overriding.fast import fast
from diffprog.graph.overriding.recognize import Operation, Overridden, operations
from diffprog.graph.program import Graph
from diffprog.graph.trace import change_bodies, trace_call
from diffprog.graph.untraceable import check_function

Backward = Callable[..., Any]  # (inputs, x_out, g_out) -> g_in
Rules = Override | Mapping[str, Override | Backward] | Sequence[Override | Mapping[str, Override | Backward]]


@overload
def override(function: Graph, rules: Rules | None = None) -> Graph: ...
@overload
def override(function: Callable[..., Any], rules: Rules | None = None) -> Callable[..., Any]: ...
def override(function: Callable[..., Any] | Graph, rules: Rules | None = None) -> Callable[..., Any] | Graph:
    """The same function with other backward rules.

    The function is traced at each call, which costs nothing in a compiled program and much outside of one: wrap the
    result, or what is made of it, in `jax.jit`. Arrays among the arguments are traced, all else is passed as it
    is. What the function writes to nnx modules is undone, as in every trace.

    Args:
        function: any JAX function, which is not changed; or a graph of one, and then a graph is returned.
        rules: an override from `overrides`; or a mapping from an operation (`conv`), a name (`blocks/3/relu`, or for a
            ready-made override a scope around it) or a pattern (`blocks/*`) to an override or to a formula
            `(inputs, x_out, g_out) -> g_in`, with the tuple of the operation's operands, and one gradient for
            each; or a list of these, applied in order. Left out: the fast rules.

    Returns:
        A function of the same arguments. `jit`, `grad`, `vmap` and another `override` work on it; forward mode does
        unless a rule is a bare formula.

    Raises:
        InvalidInput: when called, if a rule finds nothing to replace.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from diffprog.graph import overrides
        >>> quantized = lambda x: jnp.round(4 * x) / 4
        >>> smooth = override(quantized, {"round": overrides.straight_through})
        >>> float(smooth(0.3)), float(jax.grad(quantized)(0.3)), float(jax.grad(smooth)(0.3))
        (0.25, 0.0, 1.0)
        >>> halved = override(jnp.sin, {"sin": lambda inputs, x_out, g_out: 0.5 * g_out})
        >>> float(halved(0.0)), float(jax.grad(halved)(0.0))
        (0.0, 0.5)
    """
    chosen = list(_listed(fast() if rules is None else rules))
    if isinstance(function, Graph):
        return functools.reduce(_overridden, chosen, function)
    check_function(function)

    @functools.wraps(function)
    def overridden(*args: Any, **kwargs: Any) -> Any:
        graph, arrays = trace_call(function, args, kwargs)
        return functools.reduce(_overridden, chosen, graph).run(*arrays)[0]

    return overridden


class _Chosen(NamedTuple):
    """An override, and where: None for all operations that it is meant for."""

    where: str | None
    rule: Override

    def replacement(self, operation: Operation, names: Sequence[str]) -> Forward | None:
        """What to compute in the operation's place; `names` are all those of its results."""
        meant = not self.rule.kinds or operation.kind in self.rule.kinds
        asked_for = self.where in (operation.kind, operation.node.operation, operation.node.primitive)
        called = meant and self.where is not None and self._calls(operation.path, names)
        found = asked_for or called or (meant and self.where is None)
        return self.rule.replace(operation) if found else None

    def _calls(self, path: str, names: Sequence[str]) -> bool:
        parts = path.split("/")
        around = ["/".join(parts[:n]) for n in range(1, len(parts))] if self.rule.kinds else []
        pattern = str(self.where).replace("[", "[[]")
        return any(fnmatch.fnmatchcase(name, pattern) for name in (path, *names, *around))


def _listed(rules: Rules) -> Iterator[_Chosen]:
    if isinstance(rules, Override):
        yield _Chosen(None, rules)
    elif isinstance(rules, Mapping):
        for where, rule in rules.items():
            yield _Chosen(where, rule if isinstance(rule, Override) else _from_formula(where, rule))
    elif isinstance(rules, Sequence) and not isinstance(rules, str):
        for some in rules:
            yield from _listed(some)
    else:
        raise InvalidInput(
            got=f"rules of type {type(rules).__name__}: {rules!r:.60}",
            expected="an override, a mapping from operations or names to overrides or formulas, or a list of these",
            remedy="override(f, overrides.guided), or override(f, {'relu': my_backward})",
        )


def _from_formula(where: Any, rule: Any) -> Override:
    if not isinstance(where, str) or not callable(rule):
        raise InvalidInput(
            got=f"{where!r}: {rule!r:.60} among the rules",
            expected="the name of an operation or a pattern, and an override or a formula for the gradient",
            remedy="{'round': overrides.straight_through}, or {'relu': lambda inputs, x_out, g_out: ...}",
        )
    name = str(getattr(rule, "__name__", type(rule).__name__))
    return Override(name, (), functools.partial(with_backward, backward=rule))


def _overridden(graph: Graph, chosen: _Chosen) -> Graph:
    """One override applied to a graph and to what is inside its loops and branches."""
    seen: list[Operation] = []
    replaced: list[str] = []

    def change(graph: Graph, prefix: str) -> Graph:
        names: dict[int, list[str]] = {}
        for name, i in graph.names.items():
            names.setdefault(i, []).append(prefix + name)
        new: dict[int, Node] = {}
        for operation in operations(graph, prefix):
            seen.append(operation)
            called = [name for i in operation.node.outputs for name in names.get(i, ())]
            forward = chosen.replacement(operation, called)
            if forward is not None:
                replaced.append(operation.path)
                apply = Overridden(forward, operation.kind, chosen.rule.name)
                new[id(operation.node)] = operation.node._replace(inputs=operation.inputs, apply=apply)
        return graph.with_nodes(new.get(id(node)) or inside(node, prefix) for node in graph.nodes)

    def inside(node: Node, prefix: str) -> Node:
        if isinstance(node.apply, Overridden):
            return node
        return change_bodies(node, lambda body, part: change(body, f"{prefix}{node.name}{part}/"))

    new = change(graph, "")
    if not replaced and chosen.rule.required:
        raise _nothing(chosen, seen)
    return new


def _nothing(chosen: _Chosen, seen: Sequence[Operation]) -> InvalidInput:
    kinds = Counter(operation.kind for operation in seen)
    there = ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common(12))
    meant = f"; {chosen.rule.name} is for {', '.join(chosen.rule.kinds)}" if chosen.rule.kinds else ""
    known = dict.fromkeys([*kinds, *(operation.path for operation in seen)])
    near = difflib.get_close_matches(str(chosen.where), known, n=4, cutoff=0.4)
    return InvalidInput(
        got=f"nothing to override with {chosen.rule.name}"
        + (f" under {chosen.where!r}" if chosen.where else ""),
        expected=f"an operation, a name or a pattern of this function, which has {there or 'no operation'}{meant}",
        remedy=(f"{', '.join(map(repr, near))}; " if near else "") + "trace(f, *args).nodes has all names",
    )
