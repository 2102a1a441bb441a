"""What a program of drawing reads off a network: the graph of a model, activations in it, and scores of pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph import Graph, trace
from diffprog.graph.objectives import OUTPUT, Activations, Objective

Model = Callable[[Array], Array]


def trace_model(model: Model, shape: tuple[int, ...]) -> Graph:
    """Trace a model for pictures of this shape, and say what is wrong with one that cannot be used.

    Raises:
      InvalidInput: the model does not return one array with a row for every picture.
    """
    graph = trace(model, jax.ShapeDtypeStruct(shape, jnp.float32))
    outputs = [graph.values[i] for i in graph.outputs]
    if len(outputs) != 1 or outputs[0].shape[:1] != shape[:1]:
        got = ", ".join(str(list(value.shape)) for value in outputs)
        raise InvalidInput(
            f"a model that returns {got or 'nothing'} for pictures {list(shape)}",
            f"one array with a row for each picture: [{shape[0]}, ...]",
            "wrapping it: lambda images: model(images)[0], or one that keeps the batch axis",
        )
    return graph


def check_objective(graph: Graph, objective: Objective) -> None:
    """Refuse layers that are not there and channels, classes or positions out of range.

    Raises:
      InvalidInput: with the range, or the nearest names.
    """
    shapes = {}
    for name in objective.layers:
        number = graph.outputs[0] if name == OUTPUT else graph.find(name)
        shapes[name] = graph.values[number].shape[1:]
    objective.check(shapes)


def stacked(objectives: Sequence[Objective]) -> Objective:
    """The objectives of a group as one: their leaves on a leading axis, or one for all if it is joint."""
    if objectives[0].joint:
        return jax.tree.map(jnp.asarray, objectives[0])
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *objectives)


def activations(
    graph: Graph,
    layers: frozenset[str],
    images: Array,
    consts: Sequence[Any] | None = None,
    replace: Mapping[str, Array] | None = None,
) -> Activations:
    """The named activations of a group of pictures; with `replace`, going on from other values of some layers."""
    out, found = graph.run(images, taps=sorted(layers - {OUTPUT}), consts=consts, replace=replace)
    return {**found, OUTPUT: out}


def scores(objectives: Objective, values: Activations, views: int = 1) -> Array:
    """One score a picture, of what `stacked` returns: the mean over its views, which follow one another."""
    read = {name: values[name] for name in objectives.layers}
    apart = {name: array.reshape(-1, views, *array.shape[1:]) for name, array in read.items()}
    if objectives.joint:
        return jnp.mean(jax.vmap(objectives.together, 1)(apart), 0)
    return jax.vmap(lambda one, values: jnp.mean(jax.vmap(one)(values)))(objectives, apart)
