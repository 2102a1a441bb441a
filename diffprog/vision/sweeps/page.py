"""A sweep as a page: layer by layer, with search, and natural pictures beside the drawn ones.

The page is one file beside its pictures; it fetches nothing and works from a folder, a stick or a server.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from diffprog.files import write_whole
from diffprog.vision.canvases.canvas import height_width
from diffprog.vision.program import DEFAULT_SIZE
from diffprog.vision.scoring import Model
from diffprog.vision.sweeps import manifest, natural
from diffprog.vision.sweeps.units import Unit, folder_name


def write_page(folder: Path, model: Model, photographs: Sequence[Path] = ()) -> Path:
    """Write `index.html` for what is in a folder by now.

    Args:
      folder: of a sweep.
      model: what was drawn of.
      photographs: picture files, the best of which are shown beside the drawn ones.

    Raises:
      BadFile: a picture of the sweep was changed by another program, or no photograph can be read.
      Unreachable: the folder cannot be written.
    """
    about = manifest.read(folder)
    assert about is not None, folder
    layers = about["layers"]
    beside = _natural(folder, model, about, photographs) if photographs else {}
    record = {
        "model": about["model"] or "a function",
        "recipe": about["recipe"],
        "layers": [_layer(folder, name, channels, beside.get(name, {})) for name, channels in layers.items()],
    }
    style, script = _asset("page.css"), _asset("page.js")
    page = _template().render(
        title=f"Units of {record['model']}",
        record=record,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    path = folder / "index.html"
    write_whole(path, page.encode())
    return path


def _layer(folder: Path, name: str, channels: list[int], beside: dict[int, list[Any]]) -> dict[str, Any]:
    units = [Unit(name, channel) for channel in channels]
    there = [unit for unit in units if manifest.done(folder, unit)]
    return {
        "name": name,
        "wanted": len(units),
        "units": [
            {
                "channel": unit.channel,
                "file": unit.file,
                **{k: v for k, v in manifest.record(folder, unit).items() if k != "versions"},
                "natural": beside.get(unit.channel, []),
            }
            for unit in there
        ],
    }


def _natural(
    folder: Path, model: Model, about: dict[str, Any], found: Sequence[Path]
) -> dict[str, dict[int, list[Any]]]:
    """For every layer and channel, the thumbnails of the pictures that excite it most, and how much."""
    size = min(height_width(about["recipe"]["size"] or DEFAULT_SIZE))
    seen = getattr(model, "input_size", size)
    order, scores, read = natural.exciting(model, list(about["layers"]), found, seen)
    home = folder / "photographs"
    home.mkdir(exist_ok=True)
    names: dict[int, str] = {}
    for number in sorted({int(i) for numbers in order.values() for i in numbers.ravel()}):
        names[number] = f"photographs/{folder_name(read[number].as_posix())[-8:]}.jpg"
        buffer = io.BytesIO()
        natural.thumbnail(read[number], size).save(buffer, "JPEG", quality=85)
        write_whole(folder / names[number], buffer.getvalue())
    return {
        layer: {
            channel: [
                {"file": names[int(i)], "name": read[int(i)].name, "score": round(float(s), 4)}
                for i, s in zip(order[layer][:, channel], scores[layer][:, channel], strict=True)
            ]
            for channel in channels
        }
        for layer, channels in about["layers"].items()
    }


@functools.cache
def _asset(name: str) -> str:
    return (files("diffprog.vision.sweeps") / "data" / name).read_text(encoding="utf-8")


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_asset("page.html.j2"))


def _hash(text: str) -> str:
    """What the page's own policy lets run: this very text, and nothing that a name might smuggle in."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
