"""Objectives that no picture can raise: the node that stops the gradient is named, in place of a grey picture.

Two kinds. Behind `round`, `argmax` or `stop_gradient` a gradient is zero whatever the picture: JAX knows it when a
step is traced, and `noticed` listens. A unit that is off for all that was tried has a path and nothing on it: its
score never moves, and one sweep backward finds where the gradient ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph import Graph, trace
from diffprog.graph.diagnosis.findings import listed
from diffprog.graph.diagnosis.observe import Observed, observe
from diffprog.graph.diagnosis.reach import Reach, reach
from diffprog.graph.diagnosis.stopped import structural
from diffprog.graph.program import Node

EXPECTED = "a score that changes a little when the picture changes a little: drawing follows its gradient"
WAKE = (
    "redirect_steps=64 and redirect_always=True in the recipe, which wake ReLUs that are off; another key; "
    "another unit, for this one may be dead"
)


def noticed(scores: Array, mark: Callable[[], None]) -> Array:
    """The same scores; calls `mark` while a derivative is traced if one can reach the picture through them."""

    @jax.custom_vjp
    def identity(x: Array) -> Array:
        return x

    def forward(x: Any) -> tuple[Array, None]:
        if x.perturbed:
            mark()
        return x.value, None

    identity.defvjp(forward, lambda _, g: (g,), symbolic_zeros=True)
    return identity(scores)


def never(model: Graph, score: Callable[[Array], Array], pictures: Any) -> InvalidInput:
    """Why a score has no gradient whatever the pictures: the error to raise.

    Args:
      model: the network that is scored, whose lines are named.
      score: a traceable function of the pictures to one number.
      pictures: arrays, or only their shapes.
    """
    graph = _traced(model, score, pictures)
    first = next(structural(graph, reach(graph)))
    place = f" At {first.node}" + (f", {first.source}." if first.source else ".")
    return InvalidInput(
        first.sentence.replace("The cost", "The objective").replace("to the cost", "to the objective")
        + place,
        EXPECTED,
        f"a layer before that node; {first.remedy}",
    )


def silent(model: Graph, score: Callable[[Array], Array], pictures: Array, steps: int) -> InvalidInput | None:
    """Why a score did not move in all steps: the error to raise, or None if it has a gradient after all."""
    graph = _traced(model, score, pictures)
    found = reach(graph)
    seen = observe(graph, (pictures,), found.active)
    arrived = seen.cotangents.get(graph.inputs[0])
    if arrived is not None and np.any(arrived):
        return None
    ends = _ends(graph, found, seen)
    places = [f"{node.name} ({node.source})" if node.source else node.name for node in ends]
    value = float(seen.values[graph.outputs[0]])
    return InvalidInput(
        f"an objective that stayed at {value:g} through all {steps} steps, because its gradient is exactly 0"
        + (f": it ends at {listed(places)}" if places else ""),
        EXPECTED,
        WAKE,
    )


def _traced(model: Graph, score: Callable[[Array], Array], pictures: Any) -> Graph:
    """The score as a graph; its first nodes are the network's, and get back the names and lines they have there."""
    graph = trace(score, pictures)
    known, nodes = len(model.nodes), list(graph.nodes)
    if [node.primitive for node in nodes[:known]] != [node.primitive for node in model.nodes]:
        return graph
    own = [
        node._replace(name=first.name, source=first.source)
        for node, first in zip(nodes, model.nodes, strict=False)
    ]
    return graph.with_nodes([*own, *(node._replace(source=None) for node in nodes[known:])])


def _ends(graph: Graph, found: Reach, seen: Observed) -> list[Node]:
    """The nodes that get a gradient and send back none, the last computed first."""
    ends = []
    for number, node in enumerate(graph.nodes):
        got = any(np.any(seen.cotangents[i]) for i in node.outputs if i in seen.cotangents)
        sent = [g for (at, _), g in seen.sent.items() if at == number]
        if got and sent and not any(np.any(g) for g in sent):
            ends.append(node)
    return ends[::-1]
