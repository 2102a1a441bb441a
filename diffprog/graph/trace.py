"""Trace any JAX function into a `Graph`.

The function is traced once, with `jax.make_jaxpr`; functions compiled inside it are opened, so that their
operations become nodes of their own. An operation with a custom derivative stays one node and keeps it; loops
and branches stay one node, and can be opened (`graph.open`) and changed (`change_bodies`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from diffprog.graph import modules
from diffprog.graph.arguments import argument_names
from diffprog.graph.flatten import body, build, shapes_of
from diffprog.graph.jax_internals import application, fresh_inner_traces, refuse_stale
from diffprog.graph.node import Node
from diffprog.graph.program import Graph, is_function, without_functions
from diffprog.graph.untraceable import check_arrays, check_function, check_results, explained


def trace(function: Callable[..., Any], *args: Any) -> Graph:
    """Trace a function of arrays.

    Args:
        function: any JAX function: bare, jitted, closing over parameters, a Flax module. It is not changed.
        *args: what it takes: arrays, `jax.ShapeDtypeStruct`s, or pytrees of them.

    Returns:
        The function as a graph: `graph.layers` lists its activations, `graph.run` evaluates it.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> graph = trace(lambda x: jax.nn.relu(x @ jnp.ones((3, 2))), jnp.ones((4, 3)))
        >>> print(graph)
        dot   float32  [4, 2]  dot
        relu  float32  [4, 2]  relu
        >>> out, taps = graph.run(jnp.ones((4, 3)), taps=["dot"])
        >>> taps["dot"][0]
        Array([3., 3.], dtype=float32)
    """
    check_function(function)
    masked = without_functions(args)
    names = argument_names(function, args, masked)
    leaves, in_tree = jax.tree.flatten(masked)
    check_arrays(dict(zip(names, leaves, strict=True)))
    jaxpr, out_tree = _jaxpr(function, args, {}, leaves, lambda leaf: not is_function(leaf))
    return build(jaxpr, in_tree, out_tree, names)


def trace_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Graph, list[Any]]:
    """Trace `function(*args, **kwargs)` as a graph of the arrays in there; everything else stays as it is.

    Returns:
        The graph, whose arguments are those arrays one by one, and the arrays.
    """
    leaves = [leaf for leaf in jax.tree.leaves((args, dict(kwargs))) if _is_array(leaf)]
    jaxpr, out_tree = _jaxpr(function, args, kwargs, leaves, _is_array)
    names = tuple(f"args[{i}]" for i in range(len(leaves)))
    return build(jaxpr, jax.tree.structure(tuple(leaves)), out_tree, names), leaves


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | np.generic)


def _jaxpr(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    leaves: list[Any],
    is_traced: Callable[[Any], bool],
) -> tuple[Any, Any]:
    """The closed jaxpr of a call as a function of its traced leaves, and the structure of the result."""
    every, tree = jax.tree.flatten((args, dict(kwargs)))

    # A new function each time: make_jaxpr remembers functions, and what they close over may have changed.
    def traced(*tracers: Any) -> Any:
        arrays = iter(tracers)
        filled = [next(arrays) if is_traced(leaf) else leaf for leaf in every]
        args, kwargs = jax.tree.unflatten(tree, filled)
        with modules.scoped(function, (args, kwargs)):
            out = function(*args, **kwargs)
        check_results(function, out)
        return out

    with explained(function), fresh_inner_traces():
        jaxpr, out_shape = jax.make_jaxpr(traced, return_shape=True)(*leaves)
        refuse_stale(jaxpr)
    return jaxpr, jax.tree.structure(out_shape)


def change_bodies(node: Node, change: Callable[[Graph, str], Graph]) -> Node:
    """Apply a change of graphs inside a scan, a branch or a checkpoint; other nodes stay as they are.

    `change(graph, part)` gets the part's path from the node: empty, or `/branch_1`.

    A `while` loop has no reverse mode and an operation with a custom derivative is its author's, so neither
    is opened.
    """
    if node.primitive not in ("scan", "cond", "remat2", "checkpoint"):
        return node
    params = {key: _changed(node.equation, param, change) for key, param in node.equation.params.items()}
    if all(params[key] is param for key, param in node.equation.params.items()):
        return node
    equation = node.equation.replace(params=params)
    return node._replace(apply=application(equation), equation=equation)


def _changed(eqn: Any, param: Any, change: Callable[[Graph, str], Graph], part: str = "") -> Any:
    if isinstance(param, tuple):
        items = tuple(_changed(eqn, item, change, f"/branch_{i}") for i, item in enumerate(param))
        return param if all(new is old for new, old in zip(items, param, strict=True)) else items
    if not hasattr(param, "eqns"):
        return param
    graph = body(eqn, param)
    changed = change(graph, part)
    if all(new is old for new, old in zip(changed.nodes, graph.nodes, strict=True)):
        return param
    new = jax.make_jaxpr(lambda *inputs: changed.run(*inputs)[0])(*shapes_of(param))
    return new if hasattr(param, "consts") else new.jaxpr
