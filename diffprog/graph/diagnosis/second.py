"""Findings: what a second-order method cannot go by, and the nodes it ends at.

A node may have a derivative and no second one: a rule whose backward pass calls what JAX cannot differentiate. Or
its second derivative is zero wherever it exists: abs, max and ReLU bend at a point and are straight elsewhere. The
backward pass of every node is traced on its own and looked at as a program: where its paths from the operands end in
steps, the node bends without curving.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from diffprog.graph.diagnosis.curvature import Spectrum
from diffprog.graph.diagnosis.findings import Finding, listed
from diffprog.graph.diagnosis.reach import descendants, reach
from diffprog.graph.diagnosis.view import View
from diffprog.graph.node import Node
from diffprog.graph.trace import trace

NO_SECOND, NO_CURVATURE = "no second derivative", "no curvature"
KINDS = (NO_SECOND, NO_CURVATURE)

Pull = Callable[[Sequence[Any]], Any]
_REFUSED = (TypeError, ValueError, NotImplementedError)  # how JAX says that it has no derivative


def second_order(
    view: View, variables: Sequence[int], spectrum: Spectrum | None, gradient: float
) -> Iterator[Finding]:
    """Why there is no Hessian, or none but zero where the gradient is not.

    Args:
        view: the program.
        variables: numbers of the values the Hessian is taken in.
        spectrum: eigenvalues of the Hessian; None if JAX could not take its products.
        gradient: the norm of the gradient in the variables.
    """
    if spectrum is None:
        yield from _refusals(view, variables)
    elif spectrum.norm == 0 and gradient > 0:
        yield _straight(view, variables)


def _refusals(view: View, variables: Sequence[int]) -> Iterator[Finding]:
    for node, pull, live in _pulls(view, variables):
        reason = _refusal(pull, live)
        if reason is not None:
            sentence = f"{node.operation} has a derivative, but JAX cannot differentiate it again: {reason}"
            remedy = "a first-order method; or a backward rule of operations that JAX can differentiate"
            yield Finding(NO_SECOND, "note", node.name, node.source, sentence, remedy)


def _refusal(pull: Pull, live: Sequence[Any]) -> str | None:
    """JAX's reason, in forward and in reverse mode, why a backward pass has no derivative; None if it has one."""

    def forward(x: Any) -> Any:
        return jax.jvp(pull, (x,), (x,))[1]

    def reverse(x: Any) -> Any:
        out, back = jax.vjp(pull, x)
        return back(out)

    for mode in (forward, reverse):
        try:
            jax.eval_shape(mode, live)
            return None
        except _REFUSED as error:
            reason = (str(error).strip().splitlines() or ["it gives no reason"])[0]
    return reason


def _straight(view: View, variables: Sequence[int]) -> Finding:
    curved, bent = [], _bent_by_choice(view, variables)
    for node, pull, live in _pulls(view, variables):
        cuts = reach(trace(pull, live)).cuts
        if len(cuts) < len(live):
            curved.append(node)
        elif any(cuts.values()):
            bent.append(node)
    nodes = bent or curved
    first = nodes[0] if nodes else view.cost_node
    names = listed([node.name for node in nodes]) if nodes else ""
    remedy = "a first-order method"
    if bent:
        why = f"the cost is made of straight pieces, which meet at {names}"
        remedy += "; or a smooth form (softplus for ReLU, sqrt(x ** 2 + eps) for abs)"
    elif curved:
        remedy += "; or another starting point"
        why = f"the second derivative happens to be 0 at these values, although {names} can be curved"
    else:
        why = "the cost is linear in the variables"
    return Finding(
        NO_CURVATURE,
        "note",
        first.name if first else "output",
        first.source if first else None,
        f"The gradient is not 0 but the Hessian is: {why}.",
        remedy,
    )


def _bent_by_choice(view: View, variables: Sequence[int]) -> list[Node]:
    """The nodes that choose between values by a condition on the variables."""
    moved = descendants(view.graph, variables)
    return [node for _, node, _ in view.active() if node.primitive == "select_n" and node.inputs[0] in moved]


def _pulls(view: View, variables: Sequence[int]) -> Iterator[tuple[Node, Pull, list[Any]]]:
    """Every node between the variables and the cost, its backward pass, and the operands that depend on them."""
    moved = descendants(view.graph, variables) & view.reach.active
    for _, node, _ in view.active():
        at = [k for k, i in enumerate(node.inputs) if i in moved]
        if at:
            arrays = [jnp.asarray(view.seen.values[i]) for i in node.inputs]
            yield node, _pull(view, node, arrays, at), [arrays[k] for k in at]


def _pull(view: View, node: Node, arrays: Sequence[Any], at: Sequence[int]) -> Pull:
    def forward(live: Sequence[Any]) -> list[Any]:
        operands = list(arrays)
        for k, array in zip(at, live, strict=True):
            operands[k] = array
        results = node.apply(*operands)
        return [r for r, i in zip(results, node.outputs, strict=True) if i in view.reach.active]

    def pull(live: Sequence[Any]) -> Any:
        out, back = jax.vjp(forward, live)
        return back([jnp.ones_like(array) for array in out])[0]

    return pull
