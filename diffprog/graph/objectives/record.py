"""Objectives in plain numbers, strings, lists and dictionaries, as a saved picture carries them.

Arrays (directions, references, statistics) are written as their bytes in base64, with dtype and shape. One with more
entries than there is room for is only described: a saved picture then says what it was drawn of, and reading it says
that the array has to be supplied by whoever has it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from diffprog.errors import InvalidInput
from diffprog.graph.objectives.directions import ActivationWeights, Direction, DirectionNeuron
from diffprog.graph.objectives.expression import Constant, Objective, Product, Sum
from diffprog.graph.objectives.naturalness import Naturalness
from diffprog.graph.objectives.references import Caricature, Style, Target
from diffprog.graph.objectives.together import Alignment, Diversity, Interpolate
from diffprog.graph.objectives.units import Channel, Layer, LogProbability, Neuron

LARGEST_ARRAY = 1 << 17  # entries; 700 kB of text for float32
DTYPES = ("float32", "float64")
KINDS: dict[str, type[Objective]] = {
    kind.__name__: kind
    for kind in (
        *(Constant, Sum, Product, Channel, Neuron, Layer, LogProbability, Naturalness),
        *(Direction, DirectionNeuron, ActivationWeights, Caricature, Target, Style),
        *(Diversity, Alignment, Interpolate),
    )
}


def objective_to_dict(objective: Objective, largest: int = LARGEST_ARRAY) -> dict[str, Any]:
    """The expression in plain numbers, strings and dictionaries.

    Args:
      objective: any of the kinds of this package.
      largest: how many entries an array may have to be written out; larger ones are described.
    """
    values = {f.name: _plain(getattr(objective, f.name), largest) for f in fields(objective)}  # type: ignore[arg-type]
    return {"kind": type(objective).__name__, **values}


def objective_from_dict(data: Mapping[str, Any]) -> Objective:
    """The expression that `objective_to_dict` wrote.

    Raises:
      InvalidInput: a kind that is not one of objectives, an array that was only described, or a damaged one.
    """
    kind = KINDS.get(data.get("kind", ""))
    if kind is None:
        raise InvalidInput(
            f"an objective of kind {data.get('kind')!r}", f"one of {', '.join(KINDS)}", "drawing it anew"
        )
    return kind(**{name: _revived(value) for name, value in data.items() if name != "kind"})


def _plain(value: Any, largest: int) -> Any:
    if isinstance(value, Objective):
        return objective_to_dict(value, largest)
    if isinstance(value, tuple):
        return [_plain(item, largest) for item in value]
    if getattr(value, "ndim", 0):
        return _written(np.asarray(value), largest)
    return value.tolist() if hasattr(value, "tolist") else value


def _written(array: np.ndarray, largest: int) -> dict[str, Any]:
    data = np.ascontiguousarray(array).tobytes()
    said = {"array": str(array.dtype), "shape": list(array.shape)}
    if array.size > largest:
        return {**said, "left out": f"{array.size} entries", "sha256": hashlib.sha256(data).hexdigest()}
    return {**said, "base64": base64.b64encode(data).decode()}


def _revived(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _read(value) if "array" in value else objective_from_dict(value)
    return tuple(_revived(item) for item in value) if isinstance(value, list) else value


def _read(data: Mapping[str, Any]) -> np.ndarray:
    if "left out" in data:
        raise InvalidInput(
            f"an objective with a reference {data['array']}{data['shape']}, which was too large to be saved with it",
            "an objective whose arrays were saved",
            "making the objective again from its photograph, and drawing with the same recipe and key",
        )
    try:
        raw, shape = base64.b64decode(data["base64"], validate=True), tuple(map(int, data["shape"]))
        dtype = np.dtype(DTYPES[DTYPES.index(data["array"])])
        if min(shape, default=0) < 1 or math.prod(shape) * dtype.itemsize != len(raw):
            raise ValueError("bytes and shape disagree")
        return np.frombuffer(raw, dtype).reshape(shape)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise InvalidInput(
            f"a damaged array in an objective ({error})", "bytes that fill its shape", "drawing it anew"
        ) from None
