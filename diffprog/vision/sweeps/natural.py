"""Natural pictures that excite a unit: of a folder of the user's own, the few with the highest mean activation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from diffprog.errors import BadFile, DiffprogError, InvalidInput, Unreachable
from diffprog.vision.photo import keep_quiet, read_photo
from diffprog.vision.scoring import Model, trace_model

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}
BATCH = 8
SHOWN = 4


def photographs(folder: str | os.PathLike[str]) -> list[Path]:
    """The picture files of a folder, by name.

    Raises:
      Unreachable: no such folder.
      InvalidInput: no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise Unreachable(f"no folder {folder}", "a folder of pictures", "another folder")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    if not found:
        raise InvalidInput(
            f"the folder {folder}, with no picture in it",
            f"files that end in {', '.join(sorted(ENDINGS))}",
            "another folder",
        )
    return found


def exciting(
    model: Model, layers: Sequence[str], files: Sequence[Path], size: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[Path]]:
    """Which pictures excite every channel most.

    Args:
      model: any JAX function of pictures.
      layers: names of its layers.
      files: picture files; what cannot be read is left out.
      size: height and width that their middle is cut and resized to.

    Returns:
      For every layer, [SHOWN, channels] numbers of files, best first, and their mean activations; and the files that
      were read.

    Raises:
      BadFile: none of the files can be read.
    """
    graph = trace_model(model, (BATCH, size, size, 3))
    consts = graph.consts

    @jax.jit
    def means(images: jax.Array, consts: list[jax.Array]) -> dict[str, jax.Array]:
        _, found = graph.run(images, taps=list(layers), consts=consts)
        return {name: values.reshape(BATCH, -1, values.shape[-1]).mean(1) for name, values in found.items()}

    read: list[Path] = []
    rows: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for start in range(0, len(files), BATCH):
        squares = [(path, _square(path, size)) for path in files[start : start + BATCH]]
        good = [(path, pixels) for path, pixels in squares if pixels is not None]
        if not good:
            continue
        batch = np.zeros((BATCH, size, size, 3), np.float32)
        batch[: len(good)] = [pixels for _, pixels in good]
        for layer, values in means(batch, consts).items():
            rows[layer].append(np.asarray(values)[: len(good)])
        read += [path for path, _ in good]
    if not read:
        raise BadFile(
            f"{files[0]} and {len(files) - 1} more, none of which can be read", "pictures", "others"
        )
    scores = {layer: np.concatenate(found) for layer, found in rows.items()}
    order = {layer: np.argsort(-found, 0, kind="stable")[:SHOWN] for layer, found in scores.items()}
    return order, {layer: np.take_along_axis(scores[layer], order[layer], 0) for layer in scores}, read


def thumbnail(path: Path, size: int) -> Image.Image:
    """The middle of a picture, `size` pixels high and wide."""
    pixels = _square(path, size)
    assert pixels is not None, path
    return Image.fromarray(np.round(pixels * 255).astype(np.uint8))


def _square(path: Path, size: int) -> np.ndarray | None:
    """float32 [size, size, 3], or None for a file that is no picture."""
    try:
        pixels = read_photo(path, announce=keep_quiet).pixels
    except DiffprogError:
        return None
    picture = Image.fromarray(np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    middle = picture.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    return np.asarray(middle, np.float32) / 255
