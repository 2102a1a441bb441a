"""Which units a sweep draws, and what each is called in its folder."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph import Graph


class Unit(NamedTuple):
    """One channel of a layer."""

    layer: str
    channel: int

    @property
    def file(self) -> str:
        """Where its picture is, from the sweep's folder."""
        return f"pictures/{folder_name(self.layer)}/{self.channel:05d}.png"

    def key(self, key: Array) -> Array:
        """Its own PRNG key: the same whatever else is drawn."""
        return jax.random.fold_in(jax.random.fold_in(key, zlib.crc32(self.layer.encode())), self.channel)


def folder_name(layer: str) -> str:
    """A layer's name as that of a folder, different for different layers.

    Example:
      >>> folder_name("blocks/10/expand")
      'blocks-10-expand-3bd53fcd'
    """
    return f"{re.sub(r'[^A-Za-z0-9._]+', '-', layer).strip('-.')}-{zlib.crc32(layer.encode()):08x}"


def units_of(
    graph: Graph, layers: Sequence[str], channels: Sequence[int] | None = None
) -> dict[str, tuple[Unit, ...]]:
    """The units of the layers, layer by layer in the order of the network.

    Args:
      graph: of the network, for pictures of the sweep's size.
      layers: names, or patterns such as `fire*/expand3x3`.
      channels: of every layer; None: all.

    Raises:
      InvalidInput: no layer, an unknown one, one without channels, or a channel that a layer does not have.
    """
    if not layers:
        raise InvalidInput("no layer to draw", "names of layers, or patterns", f"layers=[{_last(graph)!r}]")
    found = {name for pattern in layers for name in graph.match(pattern)}
    listed = [layer.name for layer in graph.layers if layer.name in found] or sorted(found)
    widths = {name: _width(graph, name) for name in listed}
    return {name: _units(name, width, channels) for name, width in widths.items()}


def counted(units: Mapping[str, Sequence[Unit]]) -> int:
    """How many there are."""
    return sum(map(len, units.values()))


def _units(layer: str, width: int, channels: Sequence[int] | None) -> tuple[Unit, ...]:
    chosen = range(width) if channels is None else sorted(set(channels))
    wrong = [c for c in chosen if not 0 <= c < width]
    if wrong or not chosen:
        raise InvalidInput(
            f"channel {wrong[0]} of {layer}" if wrong else f"no channel of {layer}",
            f"channels from 0 to {width - 1}",
            f"channels=range({width})",
        )
    return tuple(Unit(layer, channel) for channel in chosen)


def _width(graph: Graph, name: str) -> int:
    shape = graph.values[graph.find(name)].shape
    if len(shape) < 2:
        raise InvalidInput(
            f"the layer {name}, which is {list(shape)}",
            "one with a batch axis and channels: [B, H, W, C], [B, T, C] or [B, C]",
            f"layers=[{_last(graph)!r}]",
        )
    return int(shape[-1])


def _last(graph: Graph) -> str:
    return graph.layers[-1].name if graph.layers else "layer"
