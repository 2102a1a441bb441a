"""Watch backprop: the backward sweep through any function, node by node, with every array that it meets.

`backprop(f, *args)` traces the function and walks its graph back from the cost. At every node it takes one
vector-Jacobian product for each operand that an argument reaches, with the node's own rule; where a value was used
several times, it adds what comes back. The result is `jax.grad`'s; what is kept on the way is the record.

The sweep is one compiled program that returns all it computes, so memory holds every activation and every cotangent
at once. It takes the products that `jax.grad` takes, in the order of a textbook; only sums of three or more terms may
round differently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from diffprog.errors import InvalidInput
from diffprog.graph.names import is_floating
from diffprog.graph.program import Graph
from diffprog.graph.sweeps.formulas import formulas
from diffprog.graph.sweeps.parameters import label_parameters
from diffprog.graph.sweeps.record import Backprop as Backprop
from diffprog.graph.sweeps.step import Contribution as Contribution
from diffprog.graph.sweeps.step import Flow as Flow
from diffprog.graph.sweeps.step import Step as Step
from diffprog.graph.sweeps.step import Variable as Variable
from diffprog.graph.sweeps.sweep import Plan, Sweep, plan_sweep, sweep
from diffprog.graph.trace import trace


def backprop(
    function: Callable[..., Any], *args: Any, parameters: str | int | Sequence[str | int] | None = None
) -> Backprop:
    """Run the backward sweep of a cost, and keep what happened at every node.

    Args:
        function: any JAX function of arrays to one floating-point number.
        *args: what it takes. Gradients are taken with respect to all floating-point arrays in there; integers,
            booleans and keys have none.
        parameters: which arguments are parameters, so that each step can tell them from x_in: places of arguments
            (0), their names ("params"), names of leaves ("params['W']") or patterns ("*['kernel']"). By default, every
            argument that is not one array but holds arrays (a dictionary, a list, a module), and the first argument
            where there are several. Arrays that the function closes over count as parameters, without gradient.

    Returns:
        The record: its `steps` from the cost back, its `variables`, its `gradients`.

    Raises:
        InvalidInput: a result that is not one floating-point number, no argument that has a gradient, `parameters`
            that match nothing, or a function that cannot be traced.

    Example:
        >>> import jax.numpy as jnp
        >>> def cost(W, x):
        ...     return jnp.sum(jnp.tanh(W @ x))
        >>> steps = backprop(cost, jnp.array([[0.5, -1.0]]), jnp.array([1.0, 0.5]))
        >>> [step.name for step in steps.steps]
        ['reduce_sum', 'tanh', 'dot']
        >>> steps.gradients[0]
        Array([[1. , 0.5]], dtype=float32)
        >>> steps["tanh"].jacobian(layout="lecture")
        Array([[1.]], dtype=float32)
    """
    graph = trace(function, *args)
    plan = plan_sweep(graph)
    _check(graph, plan)
    chosen = label_parameters(graph, parameters)
    return _Recorder(graph, plan, sweep(graph, plan, graph.leaves(*args)), chosen).record()


def _check(graph: Graph, plan: Plan) -> None:
    out = [graph.values[i] for i in graph.outputs]
    if len(out) != 1 or out[0].shape or not is_floating(out[0]) or out[0].dtype.kind == "c":
        raise InvalidInput(
            "a function that returns " + (", ".join(f"{v.dtype}{list(v.shape)}" for v in out) or "nothing"),
            "a cost, which is one real number: only that has a gradient",
            "lambda *args: jnp.sum(function(*args)), or the one entry or result that you care about",
        )
    if plan.live.isdisjoint(graph.inputs):
        given = zip(graph.input_names, graph.inputs, strict=True)
        raise InvalidInput(
            "no argument with a gradient: "
            + (
                ", ".join(f"{name} is {graph.values[i].dtype}" for name, i in given) or "there is none at all"
            ),
            "at least one floating-point array to differentiate by",
            "x.astype(float), or making what the function closes over an argument",
        )


class _Recorder:
    """Puts names to the arrays of a sweep."""

    def __init__(self, graph: Graph, plan: Plan, swept: Sweep, parameters: frozenset[int]) -> None:
        self.graph, self.plan, self.swept, self.parameters = graph, plan, swept, parameters
        self.names = {i: f"consts[{k}]" for k, i in enumerate(graph.closed_over)}
        self.names.update((i, str(literal)) for i, literal in graph.literals.items())
        self.names.update(zip(graph.inputs, graph.input_names, strict=True))
        for node in graph.nodes:
            several = len(node.outputs) > 1
            self.names.update(
                (i, f"{node.name}/{k}" if several else node.name) for k, i in enumerate(node.outputs)
            )

    def record(self) -> Backprop:
        graph, plan = self.graph, self.plan
        gradients = [self.swept.totals.get(i) for i in graph.inputs]
        return Backprop(
            graph=graph,
            value=self.swept.values[graph.outputs[0]],
            steps=tuple(map(self.step, plan.nodes)),
            variables=tuple(map(self.variable, graph.inputs)),
            gradients=jax.tree.unflatten(graph.in_tree, gradients),
            products=sum(len(plan.edges[number]) for number in plan.nodes),
            naive_products=plan.naive_products,
        )

    def step(self, number: int) -> Step:
        node = self.graph.nodes[number]
        operands = tuple(self.flow(i) for i in node.inputs)
        sent = dict(zip(self.plan.edges[number], self.swept.sent[number], strict=True))
        returned = [Flow(flow.name, sent.get(k)) for k, flow in enumerate(operands)]
        is_parameter = [i in self.parameters for i in node.inputs]
        rule = formulas(node, tuple(self.graph.values[i] for i in node.inputs))
        return Step(
            number=number,
            name=node.name,
            operation=node.operation,
            scope=node.scope,
            source=node.source,
            rule=rule.rule,
            formula=rule.backward,
            x_in=_where(operands, is_parameter, False),
            parameters=_where(operands, is_parameter, True),
            x_out=tuple(self.flow(i) for i in node.outputs),
            g_out=tuple(Flow(self.names[i], self.swept.totals.get(i)) for i in node.outputs),
            contributions=tuple(self.contributions(i) for i in node.outputs),
            g_in=_where(returned, is_parameter, False),
            g_parameters=_where(returned, is_parameter, True),
            forward=rule.forward,
            serves=self.plan.serves[number],
            node=node,
            operands=operands,
        )

    def variable(self, i: int) -> Variable:
        return Variable(
            name=self.names[i],
            array=self.swept.values[i],
            gradient=self.swept.totals.get(i),
            contributions=self.contributions(i),
            is_parameter=i in self.parameters,
        )

    def flow(self, i: int) -> Flow:
        return Flow(self.names[i], self.swept.values[i])

    def contributions(self, i: int) -> tuple[Contribution, ...]:
        terms = self.swept.terms.get(i, [])
        return tuple(
            Contribution(self.graph.nodes[n].name if n >= 0 else "cost", array) for n, array in terms
        )


def _where(flows: Sequence[Flow], labels: Sequence[bool], wanted: bool) -> tuple[Flow, ...]:
    return tuple(flow for flow, label in zip(flows, labels, strict=True) if label is wanted)
