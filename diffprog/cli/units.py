"""Which unit a string means: a class by name or number, a channel of a layer, or one of its neurons.

chameleon            the class whose name has this part
47                   the class of this number
fire5:12             channel 12 of layer fire5, its mean over all positions
fire5:12@13,13       the same channel at row 13, column 13
"""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diffprog.errors import InvalidInput
from diffprog.graph import Graph, trace
from diffprog.graph.objectives import Objective, channel, neuron
from diffprog.models import Network

OF_A_LAYER = re.compile(r"(?P<layer>[^:]+):(?P<channel>\d{1,9})(@(?P<row>\d{1,9}),(?P<column>\d{1,9}))?")


class Unit(NamedTuple):
    """What to draw, and what it is called."""

    objective: Objective
    title: str


def parse(text: str, net: Network, size: int) -> Unit:
    """The unit that a string means in a network, for pictures of this size.

    Raises:
        InvalidInput: an unknown or ambiguous class, an unknown layer, a channel or position out of range,
            or a string of another form.
    """
    if ":" in text:
        return _of_layer(text, net, size)
    try:
        index = net.class_index(text)
    except InvalidInput:
        _explain_layer(text, net, size)
        raise
    return Unit(net.logit(index), f"class {index}, {net.label(index)}")


def layers(net: Network, size: int) -> Graph:
    """The network's graph for one picture of this size."""
    return trace(net, jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32))


def _of_layer(text: str, net: Network, size: int) -> Unit:
    match = OF_A_LAYER.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(
            f"the unit {text!r}",
            "LAYER:CHANNEL or LAYER:CHANNEL@Y,X, with whole numbers from 0 on",
            "for example fire5:12 or fire5:12@13,13",
        )
    name, index = match["layer"], int(match["channel"])
    shape = layer_shape(layers(net, size), name, net)
    _check(channel(name, index), name, shape, f"{name}:{shape[-1] - 1}, the last channel")
    if match["row"] is None:
        return Unit(channel(name, index), f"channel {index} of {name}")
    row, column = int(match["row"]), int(match["column"])
    one = neuron(name, index, (row, column))
    _check(one, name, shape, f"{name}:{index}, the mean over all positions")
    return Unit(one, f"channel {index} of {name} at row {row}, column {column}")


def _check(objective: Objective, name: str, shape: tuple[int, ...], remedy: str) -> None:
    """Refuse what is out of range, with a remedy in the words of the command line."""
    try:
        objective.check({name: shape})
    except InvalidInput as error:
        raise InvalidInput(error.got, error.expected, remedy) from None


def layer_shape(graph: Graph, name: str, net: Network) -> tuple[int, ...]:
    """Shape of a layer without the batch axis.

    Raises:
        InvalidInput: there is no such layer; the nearest are offered.
    """
    if name in graph.names:
        return graph.values[graph.names[name]].shape[1:]
    listed = [layer.name for layer in graph.layers]
    near = difflib.get_close_matches(name, listed, n=3, cutoff=0.0)
    raise InvalidInput(
        f"the layer {name!r}, which {net.title} does not have",
        f"a layer of {net.title}, the nearest being {', '.join(near)}",
        f"diffprog layers {net.name}, which lists them",
    )


def _explain_layer(text: str, net: Network, size: int) -> None:
    """Say what is missing when the name of a layer was given and not that of a class."""
    for layer in layers(net, size).layers:
        if layer.name == text.strip():
            raise InvalidInput(
                f"the layer {layer.name!r} without a channel",
                f"LAYER:CHANNEL, with a channel from 0 to {layer.shape[-1] - 1}",
                f"{layer.name}:0",
            )
