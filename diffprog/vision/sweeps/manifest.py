"""What a folder of pictures is a sweep of: written before the first picture, and asked before any later one.

The pictures themselves are the record of what is done: each appears whole, with its score in its metadata. So nothing
has to be kept in step with anything, whenever a sweep is killed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffprog.errors import BadFile, InvalidInput
from diffprog.files import write_whole
from diffprog.graph import Graph
from diffprog.vision.picture_files import read_png
from diffprog.vision.sweeps.units import Unit

NAME = "manifest.json"
FORM = 1
LARGEST = 64 << 20


def fingerprint(graph: Graph) -> str:
    """What makes a network this one: its operations, their shapes, and its parameters."""
    digest = hashlib.sha256()
    for node in graph.nodes:
        shapes = [graph.values[i].shape for i in node.outputs]
        digest.update(f"{node.primitive} {node.inputs} {shapes}\n".encode())
    for const in graph.consts:
        array = np.asarray(const)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def claim(folder: Path, wanted: Mapping[str, Any], units: Mapping[str, Sequence[Unit]]) -> None:
    """Make a folder that of this sweep, or find that it is; units are added to those of before.

    Args:
      folder: it is there.
      wanted: model, network, recipe and key of the sweep.
      units: what is to be drawn.

    Raises:
      InvalidInput: the folder holds a sweep of another recipe, network or key.
      BadFile: its manifest cannot be read.
      Unreachable: the folder cannot be written.
    """
    found = read(folder)
    layers = dict(found["layers"]) if found else {}
    if found:
        _compare(folder, found, wanted)
    for layer, own in units.items():
        layers[layer] = sorted({*layers.get(layer, []), *(unit.channel for unit in own)})
    manifest = {"form": FORM, **wanted, "layers": layers}
    if manifest != found:
        write_whole(folder / NAME, json.dumps(manifest, indent=1).encode())


def read(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder; None if it has none.

    Raises:
      BadFile: it cannot be read.
    """
    path = folder / NAME
    try:
        if not path.exists():
            return None
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has {path.stat().st_size} bytes")
        data = json.loads(path.read_text(encoding="utf-8"))
        layers = {str(layer): [int(c) for c in channels] for layer, channels in data["layers"].items()}
        return {**data, "layers": layers}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadFile(
            f"{path}, which cannot be read ({type(error).__name__}: {error})",
            "the manifest that a sweep wrote into its folder",
            "another folder; or remove this file, if the pictures beside it may be drawn anew",
        ) from None


def done(folder: Path, unit: Unit) -> bool:
    """Whether a unit's picture is there."""
    return (folder / unit.file).exists()


def record(folder: Path, unit: Unit) -> dict[str, Any]:
    """What a unit's picture says of itself: scores, how it stopped, its key, versions.

    Raises:
      BadFile: it is not a picture that a sweep wrote.
    """
    path = folder / unit.file
    try:
        told = read_png(path)
        return {
            "score": float(told["scores"][0]),
            "robust": float(told["robust_scores"][0]),
            "stopped": str(told["stopped"]),
            "key": [int(word) for word in told["keys"][0]],
            "versions": {str(k): str(v) for k, v in told["versions"].items()},
        }
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, SyntaxError) as error:
        raise BadFile(
            f"{path}, which does not say how it was drawn ({type(error).__name__})",
            "a picture as the sweep wrote it",
            "removing it, and the same sweep again: it draws what is missing",
        ) from None


def _compare(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    plain = json.loads(json.dumps(dict(wanted)))
    other = [name for name in plain if found.get(name) != plain[name]]
    if found.get("form") != FORM or other:
        what = other[0] if other else "form"
        raise InvalidInput(
            f"the folder {folder}, which holds a sweep of another {what}: {_short(found.get(what))}",
            f"the same {what} to go on with: {_short(plain.get(what))}",
            "another folder for this sweep, or the settings of before for that one",
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
