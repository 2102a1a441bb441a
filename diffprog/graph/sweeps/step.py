"""One node of the backward sweep, and one argument at its end: the lecture's anatomy of a layer in training.

    three inputs   x_in, parameters, g_out
    three outputs  x_out, g_in, g_parameters

Arrays have JAX's layout, a gradient the shape of its variable; `layouts.convert` gives the lecture's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax

from diffprog.errors import InvalidInput
from diffprog.graph.node import Node, Source
from diffprog.graph.sweeps.jacobians import local_jacobian
from diffprog.graph.sweeps.layouts import Layout, check_layout, convert
from diffprog.graph.sweeps.summary import aligned, in_words
from diffprog.graph.sweeps.typed import typed

Row = tuple[str, str, str, str]  # which step, what, of which value, the array in words


class Flow(NamedTuple):
    """One array on an edge."""

    name: str  # the value's name in the graph: "relu", "params['W']"
    array: Any  # None: there is no gradient here


class Contribution(NamedTuple):
    """One term of the sum where a value was used several times."""

    consumer: str  # name of the node that sent it back
    array: jax.Array


@dataclass(frozen=True, eq=False, repr=False)
class Step:
    """One node of the backward sweep; `print` it to see its arrays.

    Attributes:
        number: index into `graph.nodes`.
        name: the node's name in the graph.
        operation: readable: conv, relu, add.
        scope: the modules and scopes around it.
        source: the line of the program it comes from.
        rule: its rule's name in the rule book, or "jax: <primitive>" where the book has none.
        formula: how g_in follows from g_out, in LaTeX; "" where unknown.
        x_in: the operands that are not parameters.
        parameters: the operands that are.
        x_out: the results.
        g_out: the cotangent that arrives at each result: dJ/dx_out.
        contributions: for each result, the terms that its g_out is the sum of.
        g_in: the cotangent sent to each x_in; None for one that no variable reaches.
        g_parameters: the cotangent sent to each parameter; None for one that is a constant.
        forward: how x_out follows from x_in, in LaTeX; "" where unknown.
        serves: how many arguments' gradients go through this node, and so use its products.
        node: the operation itself.
        operands: `x_in` and `parameters`, in the order in which the operation takes them.
    """

    number: int
    name: str
    operation: str
    scope: tuple[str, ...]
    source: Source | None
    rule: str
    formula: str
    x_in: tuple[Flow, ...]
    parameters: tuple[Flow, ...]
    x_out: tuple[Flow, ...]
    g_out: tuple[Flow, ...]
    contributions: tuple[tuple[Contribution, ...], ...]
    g_in: tuple[Flow, ...]
    g_parameters: tuple[Flow, ...]
    forward: str
    serves: int
    node: Node = field(repr=False)
    operands: tuple[Flow, ...] = field(repr=False)

    def jacobian(self, of: str | int = 0, by: str | int = 0, layout: Layout = "jax") -> jax.Array:
        """The local Jacobian dx_out/dx_in of this node, at the values that flowed through it.

        Args:
            of: the result to differentiate: its name, or its place in `x_out`.
            by: the operand to differentiate by: its name, or its place in `operands`.
            layout: "jax": the shape of the result, then that of the operand; "lecture": [m, n] for a column vector by
                a column vector, see `layouts.convert`.

        Raises:
            InvalidInput: an unknown result, operand or layout; numbers that have no derivative; too many entries.
        """
        check_layout(layout)
        k, i = _place(of, self.x_out, "result", self.name), _place(by, self.operands, "operand", self.name)
        found = local_jacobian(self.node, [flow.array for flow in self.operands], k, i)
        shapes = self.x_out[k].array.shape, jax.numpy.shape(self.operands[i].array)
        return found if layout == "jax" else convert(found, *shapes)

    def rows(self, digits: int = 4) -> list[Row]:
        """What a table says of this step."""
        rows = [("rule", self.rule, typed(self.formula))]
        for what, flows in (("x_in", self.x_in), ("parameter", self.parameters), ("x_out", self.x_out)):
            rows += [(what, flow.name, in_words(flow.array, digits)) for flow in flows]
        for flow, terms in zip(self.g_out, self.contributions, strict=True):
            rows += gradient_rows("g_out", flow, terms, digits)
        for what, flows in (("g_in", self.g_in), ("dJ/d", self.g_parameters)):
            rows += [(what, f.name, in_words(f.array, digits)) for f in flows if f.array is not None]
        labels = [self.name, f"  {self.source or ''}".rstrip(), *[""] * len(rows)]
        return [(label, *row) for label, row in zip(labels, rows, strict=False)]

    def __str__(self) -> str:
        return aligned(self.rows())

    def __repr__(self) -> str:
        return f"<Step {self.name}: {self.rule}>"


@dataclass(frozen=True, eq=False, repr=False)
class Variable:
    """One argument of the function, at the end of the sweep; `print` it to see the terms of its gradient.

    Attributes:
        name: what the function calls it: "x", "params['W']".
        array: its value.
        gradient: the cost's gradient, of the same shape; zeros where the cost does not depend on it, None for what
            has none: integers, keys.
        contributions: what each use of it sent back; `gradient` is their sum.
        is_parameter: whether it counts as a parameter.
    """

    name: str
    array: Any
    gradient: jax.Array | None
    contributions: tuple[Contribution, ...]
    is_parameter: bool

    def rows(self, digits: int = 4) -> list[Row]:
        """What a table says of this argument."""
        value = (self.name, "value", "", in_words(jax.numpy.asarray(self.array), digits))
        found = gradient_rows("gradient", Flow("", self.gradient), self.contributions, digits)
        return [value, *(("", *row) for row in found)]

    def __str__(self) -> str:
        return aligned(self.rows())

    def __repr__(self) -> str:
        return f"<Variable {self.name}>"


def gradient_rows(
    what: str, flow: Flow, terms: Sequence[Contribution], digits: int
) -> list[tuple[str, str, str]]:
    """A gradient, and under it the terms that it is the sum of, if there are several."""
    total = (what, flow.name, in_words(flow.array, digits))
    if len(terms) < 2:
        return [total]
    return [total, *(("  sum of", f"from {term.consumer}", in_words(term.array, digits)) for term in terms)]


def _place(asked: str | int, flows: Sequence[Flow], what: str, node: str) -> int:
    names = [flow.name for flow in flows]
    if isinstance(asked, int) and -len(flows) <= asked < len(flows):
        return asked % len(flows)
    if asked in names:
        return names.index(str(asked))
    raise InvalidInput(f"no {what} {asked!r} at {node}", f"one of its {what}s", ", ".join(map(repr, names)))
