"""What in a layer made the network say what it says of a photograph.

With a the layer's activations [H, W, C] and y a score behind it, the contribution of an entry is

    a_hwc  dy / da_hwc            what y would lose, to first order, if the entry were taken away

summed over positions for a channel, over channels for a position. Backward mode gets all entries for one score from
one sweep: `attribution`. Forward mode gets one part's contribution to all scores from one push,

    dy/dt of y(a + t a_part) at t = 0   =   J a_part          (`jax.jvp`: a_part is a, and 0 outside of the part)

so it is the way to every class at once: `influence`. Both are the same numbers, read along the two sides of J.
First order means: true for small changes. A unit that is saturated contributes nothing here and matters nevertheless.

Source: Olah et al. 2018, "The Building Blocks of Interpretability" (where forward mode is had by differentiating
backward mode a second time).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph import Graph, trace
from diffprog.graph.objectives import OUTPUT, Objective, activation_weights
from diffprog.graph.objectives.reading import as_picture
from diffprog.vision import scoring
from diffprog.vision.scoring import Model, check_objective

AT_ONCE = 16  # parts pushed through together: enough to fill a machine, few enough to fit into it


class Attribution(NamedTuple):
    """The contributions of a layer's activations to a score.

    Attributes:
      values: of every entry: [H, W, C], [T, C] or [C], as the layer is.
      score: what they contribute to.
    """

    values: np.ndarray
    score: float

    @property
    def channels(self) -> np.ndarray:
        """Of every channel, summed over positions: [C]."""
        return self.values.reshape(-1, self.values.shape[-1]).sum(0)

    @property
    def positions(self) -> np.ndarray:
        """Of every position, summed over channels: [H, W], [T], or one number."""
        return self.values.sum(-1)

    @property
    def total(self) -> float:
        """Of the whole layer; the score itself, where all behind the layer is linear without biases."""
        return float(self.values.sum())

    def most(self, count: int = 5) -> list[tuple[int, float]]:
        """The channels that contribute most, with how much."""
        order = np.argsort(-self.channels)[:count]
        return [(int(i), float(self.channels[i])) for i in order]


def attribution(model: Model, image: Any, objective: Objective, layer: str) -> Attribution:
    """How much every activation of a layer contributes to a score: activation times gradient.

    Args:
      model: any function of pictures [B, H, W, 3].
      image: [H, W, 3], RGB in [0, 1].
      objective: the score, such as `net.logit("tabby")`; it must lie behind the layer.
      layer: where contributions are counted.

    Raises:
      InvalidInput: a layer that is not there, an objective of a group, or a picture of another form.

    Example:
      >>> import jax.numpy as jnp
      >>> import diffprog as dp
      >>> def net(images):
      ...     with jax.named_scope("hidden"):
      ...         hidden = jax.nn.relu(images.mean((1, 2)) - 0.25)
      ...     return hidden @ jnp.array([[1.0], [2.0], [-4.0]])
      >>> attribution(net, jnp.ones((2, 2, 3)), dp.logit(0), "hidden").channels.tolist()
      [0.75, 1.5, -3.0]
    """
    if objective.joint:
        raise InvalidInput(
            "an objective that compares pictures", "a score of the one picture", "a channel or a logit"
        )
    picture, graph = _traced(model, image)
    check_objective(graph, objective)

    def behind(values: Array) -> Array:
        found = scoring.activations(graph, objective.layers, picture, replace={layer: values})
        return objective({name: found[name][0] for name in objective.layers})

    values = _read(graph, picture, layer)
    score, gradient = jax.jit(jax.value_and_grad(behind))(values)
    return Attribution(np.asarray((values * gradient)[0]), float(score))


def influence(
    model: Model,
    image: Any,
    layer: str,
    parts: Literal["positions", "channels"] | Any = "positions",
    to: str = OUTPUT,
) -> np.ndarray:
    """How much every part of a layer contributes to every number of a later one, by forward mode.

    Args:
      model: any function of pictures [B, H, W, 3].
      image: [H, W, 3], RGB in [0, 1].
      layer: whose parts are counted.
      parts: "positions" or "channels", or changes [K, *shape of the layer] of one's own, whose first-order effects
        are wanted.
      to: a later layer; the model's result when left out.

    Returns:
      [H, W, *to], [C, *to] or [K, *to]: the contribution of each part to each number of `to`.

    Raises:
      InvalidInput: layers that are not there, parts of another shape, or a picture of another form.

    Example:
      >>> import jax.numpy as jnp
      >>> def net(images):
      ...     return jax.nn.relu(images).sum((1, 2)) @ jnp.array([[1.0, -1.0], [2.0, 0.0], [0.0, 3.0]])
      >>> influence(net, jnp.ones((1, 1, 3)), "relu", "channels").tolist()
      [[1.0, -1.0], [2.0, 0.0], [0.0, 3.0]]
    """
    picture, graph = _traced(model, image)
    graph.find(to)
    values = _read(graph, picture, layer)
    lead, change = _parts(values, parts, layer)

    def behind(values: Array) -> Array:
        found = scoring.activations(graph, frozenset({to}), picture, replace={layer: values})
        return found[to][0]

    @jax.jit
    def pushed(values: Array) -> Array:
        def one(number: Array) -> Array:
            return jax.jvp(behind, (values,), (change(values, number),))[1]

        count = math.prod(lead)
        return jax.lax.map(one, jnp.arange(count), batch_size=min(AT_ONCE, count))

    found = np.asarray(pushed(values))
    return found.reshape(*lead, *found.shape[1:])


def attribution_weighted(model: Model, image: Any, objective: Objective, layer: str) -> Objective:
    """An objective: the mixture of a layer's channels that spoke for a score in a photograph.

    The weights are the channels' contributions, scaled to length one: what spoke against the score is drawn with a
    negative sign, away from. Arguments and errors are those of `attribution`.

    Raises:
      InvalidInput: also a layer that contributes nothing.
    """
    found = attribution(model, image, objective, layer).channels
    length = float(np.linalg.norm(found))
    return activation_weights(layer, found / length if length else found)


def _traced(model: Model, image: Any) -> tuple[Array, Graph]:
    picture = as_picture(image)[None]
    return picture, trace(model, picture)


def _read(graph: Graph, picture: Array, layer: str) -> Array:
    graph.find(layer)
    return jax.jit(lambda picture: scoring.activations(graph, frozenset({layer}), picture)[layer])(picture)


def _parts(values: Array, parts: Any, layer: str) -> tuple[tuple[int, ...], Callable[[Array, Array], Array]]:
    """How the parts are arranged, and the change of the layer that stands for each: made when it is pushed."""
    shape = values.shape[1:]
    if isinstance(parts, str) and parts == "positions":
        where = jnp.arange(math.prod(shape[:-1])).reshape(*shape[:-1], 1)
        return shape[:-1], lambda values, number: jnp.where(where == number, values, 0)
    if isinstance(parts, str) and parts == "channels":
        return shape[-1:], lambda values, number: jnp.where(jnp.arange(shape[-1]) == number, values, 0)
    changes = None if isinstance(parts, str) else jnp.asarray(parts, values.dtype)
    if changes is None or changes.shape[1:] != shape or not len(changes):
        raise InvalidInput(
            f"parts {parts!r}" if changes is None else f"parts of shape {list(changes.shape)}",
            f"'positions', 'channels', or changes [K, {', '.join(map(str, shape))}] of {layer}",
            "parts='positions'",
        )
    return changes.shape[:1], lambda _, number: changes[number][None]
