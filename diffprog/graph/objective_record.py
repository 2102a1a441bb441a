"""Objectives in plain numbers, strings, lists and dictionaries, as a saved picture carries them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from diffprog.errors import InvalidInput
from diffprog.graph.naturalness import Naturalness
from diffprog.graph.objective import (
    Channel,
    Constant,
    Layer,
    LogProbability,
    Neuron,
    Objective,
    Product,
    Sum,
)

_KINDS: dict[str, type[Objective]] = {
    kind.__name__: kind
    for kind in (Constant, Sum, Product, Channel, Neuron, Layer, LogProbability, Naturalness)
}


def objective_to_dict(objective: Objective) -> dict[str, Any]:
    """The expression in plain numbers, strings and dictionaries."""
    values = {f.name: _plain(getattr(objective, f.name)) for f in fields(objective)}  # type: ignore[arg-type]
    return {"kind": type(objective).__name__, **values}


def objective_from_dict(data: Mapping[str, Any]) -> Objective:
    """The expression that `objective_to_dict` wrote.

    Raises:
      InvalidInput: a kind that is not one of objectives.
    """
    kind = _KINDS.get(data.get("kind", ""))
    if kind is None:
        raise InvalidInput(
            f"an objective of kind {data.get('kind')!r}", f"one of {', '.join(_KINDS)}", "drawing it anew"
        )
    return kind(**{name: _revived(value) for name, value in data.items() if name != "kind"})


def _plain(value: Any) -> Any:
    if isinstance(value, Objective):
        return objective_to_dict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _revived(value: Any) -> Any:
    if isinstance(value, Mapping):
        return objective_from_dict(value)
    return tuple(_revived(item) for item in value) if isinstance(value, list) else value
