"""Which arguments of a cost are its parameters: said by the caller, or by the custom of the field."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

import jax

from diffprog.errors import InvalidInput
from diffprog.graph.program import Graph

Choice = str | int | Sequence[str | int] | None

# A bias that is only spread over its batch, or a kernel that is cast, is still a parameter.
_SHAPING = frozenset({"reshape", "broadcast_in_dim", "squeeze", "transpose", "convert_element_type", "copy"})


def label_parameters(graph: Graph, choice: Choice = None) -> frozenset[int]:
    """The numbers of the values that are parameters, as they are or only reshaped, broadcast or cast.

    Args:
        graph: a traced function.
        choice: places of arguments (0), their names ("params"), names of leaves ("params['W']"), patterns
            ("*['kernel']"). None: every argument that holds arrays and is not one itself (a dictionary, a list, a
            module), and the first argument of several. Where no argument is one, what the function closes over is.

    Raises:
        InvalidInput: a choice that matches no argument.

    Example:
        >>> from diffprog.graph import trace
        >>> graph = trace(lambda W, x: W * x, 2.0, 3.0)
        >>> [graph.input_names[graph.inputs.index(i)] for i in label_parameters(graph)]
        ['W']
    """
    chosen = _by_custom(graph) if choice is None else _asked_for(graph, choice)
    found = set(chosen or graph.closed_over)
    for node in graph.nodes:
        if node.operation in _SHAPING and found.issuperset(node.inputs):
            found.update(node.outputs)
    return frozenset(found)


def _arguments(graph: Graph) -> list[tuple[bool, tuple[int, ...]]]:
    """For each argument, whether it is one array, and the numbers of its leaves."""
    found, start = [], 0
    for tree in graph.in_tree.children():
        found.append((jax.tree_util.treedef_is_leaf(tree), graph.inputs[start : start + tree.num_leaves]))
        start += tree.num_leaves
    return found


def _by_custom(graph: Graph) -> set[int]:
    arguments = _arguments(graph)
    several = len(arguments) > 1
    return {
        i
        for k, (one_array, leaves) in enumerate(arguments)
        if not one_array or (several and k == 0)
        for i in leaves
    }


def _asked_for(graph: Graph, choice: Choice) -> set[int]:
    found: set[int] = set()
    for one in [choice] if isinstance(choice, str | int) else choice or []:
        numbers = _numbers(graph, one)
        if not numbers:
            raise InvalidInput(
                f"parameters={one!r}, which is no argument",
                f"places from 0 to {len(_arguments(graph)) - 1}, names or patterns of arguments",
                ", ".join(graph.input_names[:8]),
            )
        found.update(numbers)
    return found


def _numbers(graph: Graph, one: str | int) -> list[int]:
    if isinstance(one, int):
        arguments = _arguments(graph)
        return list(arguments[one][1]) if 0 <= one < len(arguments) else []
    pattern = one.replace("[", "[[]")  # brackets are part of names such as params['kernel']
    return [
        i
        for i, name in zip(graph.inputs, graph.input_names, strict=True)
        if fnmatch.fnmatchcase(name, pattern) or name.startswith((f"{one}[", f"{one}."))
    ]
