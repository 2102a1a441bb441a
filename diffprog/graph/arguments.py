"""What a function itself calls its arguments: `x`, `params['Dense_0']['kernel']`, `args[0]`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax


def argument_names(
    function: Callable[..., Any], args: tuple[Any, ...], kept: tuple[Any, ...] | None = None
) -> tuple[str, ...]:
    """A name for every leaf of the arguments, in the order of `jax.tree.leaves(args)`; only for those of `kept`.

    Example:
        >>> argument_names(lambda params, *rest: 0, ({"W": 1.0, "b": 2.0}, 3.0))
        ("params['W']", "params['b']", 'rest[0]')
    """
    return tuple(
        label + jax.tree_util.keystr(path)
        for label, arg in zip(_labels(function, len(args)), args if kept is None else kept, strict=True)
        for path, _ in jax.tree_util.tree_leaves_with_path(arg)
    )


def _labels(function: Callable[..., Any], count: int) -> list[str]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin, or an object without a signature
        return [f"args[{i}]" for i in range(count)]
    labels = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "args")
    return labels[:count] + [f"{rest}[{i}]" for i in range(count - len(labels))]
