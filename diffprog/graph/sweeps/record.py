"""A backward sweep as data: its steps, its variables, its counts; read it, print it, take Jacobians of it."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from diffprog.errors import InvalidInput
from diffprog.graph.pages.page import notebook_view, write_page
from diffprog.graph.program import Graph
from diffprog.graph.sweeps.jacobians import check_size, local_jacobian
from diffprog.graph.sweeps.layouts import Layout, check_layout, convert
from diffprog.graph.sweeps.step import Step, Variable
from diffprog.graph.sweeps.summary import aligned, in_words


@dataclass(frozen=True, eq=False, repr=False)
class Backprop:
    """One backward sweep, node by node; `print` it to see it as a table.

    Attributes:
        graph: the function that was swept.
        value: the cost.
        steps: what happened at every node, in the order of the sweep: from the cost back.
        variables: the arguments, in the order of `graph.input_names`.
        gradients: a tuple with the gradient of every argument, as `jax.grad` with all `argnums` gives it; None in
            place of what has none.
        products: how many vector-Jacobian products the sweep took, one for every edge it went back along.
        naive_products: how many it takes to multiply out the chain rule for every argument on its own.
    """

    graph: Graph
    value: jax.Array
    steps: tuple[Step, ...]
    variables: tuple[Variable, ...]
    gradients: tuple[Any, ...]
    products: int
    naive_products: int

    def __getitem__(self, name: str) -> Step:
        """The step of the node with this name.

        Raises:
            InvalidInput: the sweep did not go through a node of this name; the nearest are offered.
        """
        return _find(name, {step.name: step for step in self.steps}, "step")

    def variable(self, name: str) -> Variable:
        """The argument of this name, with its gradient.

        Raises:
            InvalidInput: there is none; the nearest are offered.
        """
        return _find(name, {variable.name: variable for variable in self.variables}, "argument")

    def gradient(self, name: str, layout: Layout = "jax") -> jax.Array:
        """The gradient of the cost by one argument, in either layout.

        Raises:
            InvalidInput: an unknown argument or layout, or an argument of integers.
        """
        check_layout(layout)
        found = self.variable(name)
        if found.gradient is None:
            raise InvalidInput(
                f"the gradient of {name}, of {jnp.result_type(found.array)}",
                "an argument of floating-point numbers",
                f"{name}.astype(float)",
            )
        return found.gradient if layout == "jax" else convert(found.gradient, (), found.gradient.shape)

    def jacobian(self, of: str, by: str, layout: Layout = "jax") -> jax.Array:
        """The derivative of one edge by another: the product of the local Jacobians between them.

        Where several paths lead from one to the other, their products are added. This is the chain rule with whole
        matrices, for looking at small functions; it does all the work that a backward sweep avoids.

        Args:
            of: name of the value to differentiate, `output` for the cost.
            by: name of the value to differentiate by: an edge before it, or an argument.
            layout: "jax": the shape of the one, then of the other; "lecture": see `layouts.convert`.

        Raises:
            InvalidInput: an unknown name or layout; `of` does not depend on `by`; too many entries.
        """
        check_layout(layout)
        top, bottom = self.graph.find(of), self.graph.find(by)
        shapes = self.graph.values[top].shape, self.graph.values[bottom].shape
        check_size(*shapes, by)
        found = self._chained(top).get(bottom)
        if found is None:
            raise InvalidInput(
                f"the derivative of {of!r} by {by!r}",
                f"a value that {of!r} is computed from, on the way from an argument to the cost",
                f"one of {', '.join([v.name for v in self.variables][:3])}, or a node that print(steps) lists",
            )
        return found.reshape(sum(shapes, ())) if layout == "jax" else convert(found, *shapes)

    def _chained(self, top: int) -> dict[int, jax.Array]:
        """[size of top, size of value] for every value between top and the arguments."""
        size = self.graph.values[top].shape
        dtype = self.graph.values[top].dtype
        found = {top: jnp.eye(jnp.zeros(size).size, dtype=dtype)}
        for step in self.steps:
            sent = [flow.array is not None for flow in _by_operand(step)]
            for k, number in enumerate(step.node.outputs):
                for i, operand in enumerate(step.node.inputs):
                    if number in found and sent[i]:
                        local = local_jacobian(step.node, [flow.array for flow in step.operands], k, i)
                        product = found[number] @ local.reshape(found[number].shape[1], -1)  # (m, p) (p, n)
                        found[operand] = found[operand] + product if operand in found else product
        return found

    def table(self, digits: int = 4) -> str:
        """The sweep as a table: a block of lines for every step, then one for every argument.

        Args:
            digits: significant digits.
        """
        rows = [("step", "what", "of", "value")]
        parts: list[Step | Variable] = [*self.steps, *self.variables]
        for part in parts:
            rows += [("", "", "", ""), *part.rows(digits)]
        return f"{aligned(rows)}\n\n{self._counts(digits)}"

    def save(self, path: str | os.PathLike[str], title: str | None = None) -> Path:
        """Write the page on which one goes through the sweep, step by step; it needs no network.

        Args:
            path: a file that ends in .html; its folder is there.
            title: what the page is called.

        Returns:
            The path.

        Raises:
            InvalidInput: another ending.
            Unreachable: a folder that is not there or cannot be written.
        """
        return write_page(self.graph, path, self.steps, title)

    def _repr_html_(self) -> str:
        return notebook_view(self.graph, self.steps)

    def _counts(self, digits: int) -> str:
        return (
            f"cost {in_words(self.value, digits)}, {len(self.steps)} steps back, {self.products} vector-Jacobian "
            f"products; {self.naive_products} without reuse, one argument at a time"
        )

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<Backprop of {len(self.steps)} steps, {self.products} vector-Jacobian products>"


def _by_operand(step: Step) -> list[Any]:
    """What was sent back, in the order of the operands."""
    sent = {id(x): g for x, g in zip(step.x_in + step.parameters, step.g_in + step.g_parameters, strict=True)}
    return [sent[id(flow)] for flow in step.operands]


def _find(name: str, by_name: dict[str, Any], what: str) -> Any:
    if name in by_name:
        return by_name[name]
    near = difflib.get_close_matches(name, by_name, n=4, cutoff=0.0)
    raise InvalidInput(f"no {what} is called {name!r}", f"one of the {len(by_name)} {what}s", ", ".join(near))
