"""Make any edge of a program a free variable: an input, a parameter, a hidden activation, a latent.

    J(v) = cost of the program that goes on with v where the edges were cut

`cut` gives that function of v together with the values that are there now, so every edge is optimized by the same
call:

    problem = cut(f, "relu", cost="loss", args=(params, x))
    optimize(problem, problem.start, optax.adam(1e-2), steps=100)

What came before a cut edge is not computed. An edge on which the cost does not depend is refused, not given a gradient
of zero.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from diffprog.errors import InvalidInput
from diffprog.graph.depends import reach
from diffprog.graph.names import is_floating
from diffprog.graph.program import Graph
from diffprog.graph.trace import trace

Values = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Cut:
    """A cost as a function of the edges that were cut; see `cut`.

    Attributes:
      graph: the program.
      start: the values on the cut edges now, by name.
      held: all else that the cost is computed from: the program's arguments and the arrays it closed over.
    """

    graph: Graph
    start: Values
    held: tuple[tuple[Any, ...], list[Any]]
    _taps: tuple[str, ...]
    _cost: Callable[..., Any] | None

    def __call__(self, values: Values, held: tuple[tuple[Any, ...], list[Any]] | None = None) -> Any:
        """The cost with these values on the edges.

        Args:
          values: as `start`: the same names, shapes and dtypes.
          held: `self.held`, or other data of the same shapes. Given as an argument of a compiled step, as in
            `optimize(problem, problem.start, ..., args=(problem.held,))`, large arrays do not become part of the
            program.

        Returns:
          A scalar, or what the cost function returns.

        Raises:
          InvalidInput: other names, or a value of another shape or dtype.
        """
        args, consts = self.held if held is None else held
        if set(values) != set(self.start):
            raise InvalidInput(
                got=f"values for {', '.join(map(repr, values)) or 'no edge'}",
                expected=f"one for every edge that was cut: {', '.join(map(repr, self.start))}",
                remedy="start from problem.start and keep its names",
            )
        out, taps = self.graph.run(*args, taps=self._taps, replace=values, consts=consts)
        if self._cost is None:
            return taps[self._taps[0]]
        return self._cost(*(taps[name] for name in self._taps)) if self._taps else self._cost(out)

    def __repr__(self) -> str:
        edges = ", ".join(f"{name} {list(array.shape)}" for name, array in self.start.items())
        return f"<Cut of {edges}>"


def cut(
    function: Callable[..., Any] | Graph,
    edges: str | Sequence[str],
    *,
    cost: str | Callable[..., Any] = "output",
    of: str | Sequence[str] = (),
    args: tuple[Any, ...] = (),
) -> Cut:
    """A scalar cost as a function of any edges of a program.

    Args:
      function: any JAX function, or a graph of one.
      edges: names or patterns of the edges to cut: arguments (`x`, `params['W']`, `params*`) or activations (`relu`,
        `blocks/3`), as `trace(function, *args).names` has them. Several at once are optimized together.
      cost: what to minimize: the name of a scalar of the program; or a function to a scalar, or to (scalar,
        record), of the program's result, or of the activations that `of` names.
      of: names of the activations that the function `cost` takes, in order.
      args: the program's arguments.

    Returns:
      A callable from values to the cost, for `optimize`, with `.start`.

    Raises:
      InvalidInput: a name that matches nothing, edges that are not floating-point, a cost that is not scalar, an edge
        that the cost does not depend on or only through steps, whose derivative is zero.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from diffprog.optimize import optimize
      >>> def f(w, x):
      ...     return jnp.sum((jnp.tanh(w * x) - 0.5) ** 2)
      >>> for edge in ("w", "x", "tanh"):
      ...     problem = cut(f, edge, args=(1.0, 2.0))
      ...     run = optimize(problem, problem.start, optax.sgd(0.1), steps=200)
      ...     print(edge, f"{problem.start[edge]:.3f} {run.value[edge]:.3f}")
      w 1.000 0.275
      x 2.000 0.549
      tanh 0.964 0.500
    """
    graph = function if isinstance(function, Graph) else trace(function, *args)
    names = _edges(graph, [edges] if isinstance(edges, str) else edges)
    taps, scalar = _cost(graph, cost, (of,) if isinstance(of, str) else tuple(of))
    _check_depends(graph, names, _used(graph, taps, scalar))
    _, values = graph.run(*args, taps=names)
    start = {name: jnp.asarray(array) for name, array in values.items()}
    return Cut(graph, start, (args, list(graph.consts)), taps, scalar)


def _edges(graph: Graph, asked: Sequence[str]) -> list[str]:
    """Every edge once, by the first of its names."""
    found: dict[int, str] = {}
    for name in asked:
        for match in (name,) if name in graph.names else graph.match(name):
            found.setdefault(graph.names[match], match)
    discrete = [name for i, name in found.items() if not is_floating(graph.values[i])]
    if discrete or not found:
        raise InvalidInput(
            got=f"edges of integers or truth values: {_some(discrete)}" if discrete else "no edge to cut",
            expected="floating-point values, because only those can be moved a little",
            remedy="cut a value further on, or override the step that made it: overrides.straight_through",
        )
    return list(found.values())


def _cost(
    graph: Graph, cost: str | Callable[..., Any], of: tuple[str, ...]
) -> tuple[tuple[str, ...], Callable[..., Any] | None]:
    """The activations to read, and the function of them; None for one of them that is the cost itself."""
    if callable(cost):
        return of, cost
    matches = (cost,) if cost in graph.names else graph.match(cost)
    if len({graph.names[name] for name in matches}) > 1:
        raise InvalidInput(
            got=f"cost={cost!r}, which is {len(matches)} values: {_some(matches)}",
            expected="one scalar",
            remedy=f"cost={matches[0]!r}, or a function of several: cost=lambda a, b: ..., of=[...]",
        )
    value = graph.values[graph.names[matches[0]]]
    if value.shape or not is_floating(value):
        scalars = [name for name, i in graph.names.items() if _is_scalar(graph, i)]
        raise InvalidInput(
            got=f"cost={cost!r}, which is {value.dtype}{list(value.shape)}",
            expected="a floating-point scalar: only one number can be minimized",
            remedy=f"cost=lambda h: h.sum(), of={matches[0]!r}"
            + (f"; or a scalar of this graph: {_some(scalars)}" if scalars else ""),
        )
    return matches[:1], None


def _is_scalar(graph: Graph, i: int) -> bool:
    return graph.values[i].shape == () and is_floating(graph.values[i])


def _used(graph: Graph, taps: tuple[str, ...], cost: Callable[..., Any] | None) -> set[int]:
    """Numbers of the values that the cost is computed from."""
    if cost is None:
        return {graph.names[taps[0]]}
    numbers = [graph.find(name) for name in taps] or list(graph.outputs)
    shapes = [jax.ShapeDtypeStruct(*graph.values[i]) for i in numbers]
    own = trace(cost, *(shapes if taps else [jax.tree.unflatten(graph.out_tree, shapes)]))
    result = jax.tree.unflatten(own.out_tree, own.outputs)
    scalar = result[0] if isinstance(result, tuple) and len(result) == 2 else result
    if not isinstance(scalar, int) or not _is_scalar(own, scalar):
        got = own.values[scalar] if isinstance(scalar, int) else None
        raise InvalidInput(
            got=f"a cost function that returns {f'{got.dtype}{list(got.shape)}' if got else 'no single number'}",
            expected="a floating-point scalar, or (scalar, record): only one number can be minimized",
            remedy="jnp.sum or jnp.mean of it",
        )
    pairs = zip(numbers, own.inputs, strict=True)
    return {number for number, i in pairs if scalar in reach(own, i).values}


def _check_depends(graph: Graph, names: Sequence[str], targets: set[int]) -> None:
    numbers = {graph.names[name] for name in names}
    for name in names:
        i = graph.names[name]
        found = reach(graph, i, numbers - {i})
        if not targets & found.values:
            by_steps = [node.name for node in found.ends] if targets & found.all else []
            raise _independent(name, by_steps, reach(graph, i).values & targets, names)


def _independent(name: str, steps: list[str], without: Any, names: Sequence[str]) -> InvalidInput:
    """Why no gradient would reach an edge: the derivative is zero on the way, or other cut edges are in between."""
    if steps:
        got = f"the cost depends on {name!r} only through {_some(steps)}, whose derivative is zero"
        remedy = f"override the step first: override(f, {{{steps[0]!r}: overrides.straight_through}})"
    elif without:
        got = f"the cost depends on {name!r} only through other edges that are cut as well"
        remedy = f"cut fewer edges: all but {name!r}, or {name!r} alone"
    else:
        got = f"the cost does not depend on {name!r}"
        others = [other for other in names if other != name]
        remedy = (
            f"cut an edge that comes before the cost{', such as ' + _some(others) if others else ''}, or "
            + ("choose a cost that comes after this edge")
        )
    return InvalidInput(
        got, "an edge that moves the cost: this one's gradient would be zero for ever", remedy
    )


def _some(names: Sequence[str]) -> str:
    listed = ", ".join(map(repr, names[:5]))
    return listed if len(names) <= 5 else f"{listed} and {len(names) - 5} more"
