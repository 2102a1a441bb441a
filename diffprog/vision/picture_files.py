"""Pictures written to files, whole or not at all, with what was done to make them in the metadata.

PNG carries it as a text of the name "diffprog", as drawings do; JPEG, GIF and MP4 as their comment.
"""

from __future__ import annotations

import io
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from diffprog.errors import BadFile, Unreachable
from diffprog.files import check_path, write_whole

METADATA_KEY = "diffprog"
LARGEST_METADATA = 1 << 20
PACKAGES = ("diffprog", "jax", "jaxlib", "flax", "optax", "numpy")
PICTURES = (".png", ".jpg", ".jpeg")
JPEG_QUALITY = 95
LARGEST_COMMENT = 60_000  # a comment of a JPEG holds 65,533 bytes


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """float [..., 3] in [0, 1] rounded to uint8."""
    return np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def versions() -> dict[str, str]:
    """Of what pictures are made with, so that a picture can be made again."""
    return {package: version(package) for package in PACKAGES}


def write_picture(path: str | os.PathLike[str], pixels: np.ndarray, settings: dict[str, Any]) -> Path:
    """Write a picture as PNG or JPEG.

    Args:
      path: ends in .png, .jpg or .jpeg.
      pixels: float [H, W, 3] in [0, 1].
      settings: plain numbers, strings, lists and dictionaries, to be carried along.

    Raises:
      InvalidInput: another ending.
      Unreachable: a folder that is not there or cannot be written.
    """
    path = check_path(path, PICTURES)
    write_whole(path, encode(pixels, settings, path.suffix.lower()))
    return path


def encode(pixels: np.ndarray, settings: dict[str, Any], ending: str) -> bytes:
    """The bytes of such a file."""
    picture, buffer = Image.fromarray(to_bytes(pixels)), io.BytesIO()
    if ending == ".png":
        return png(picture, settings)
    comment = json.dumps(settings).encode()[:LARGEST_COMMENT]
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, comment=comment)
    return buffer.getvalue()


def png(
    picture: Image.Image, settings: dict[str, Any], key: str = METADATA_KEY, optimize: bool = False
) -> bytes:
    """The bytes of a PNG that carries settings as a text of the name `key`; `optimize` for a smaller file."""
    info, buffer = PngImagePlugin.PngInfo(), io.BytesIO()
    info.add_text(key, json.dumps(settings))
    picture.save(buffer, "PNG", pnginfo=info, optimize=optimize)
    return buffer.getvalue()


def read_png(path: str | os.PathLike[str], key: str = METADATA_KEY) -> Any:
    """What a PNG carries; whatever is wrong with the file, which may come from anywhere, is raised as it is."""
    with Image.open(path, formats=("PNG",)) as picture:
        return json.loads(str(picture.info.get(key, ""))[:LARGEST_METADATA])


def read_settings(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read from a PNG, JPEG or GIF what was done to make it.

    Raises:
      Unreachable: no such file.
      BadFile: a file that does not say.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG", "GIF")) as picture:
            text = picture.info.get(METADATA_KEY) or picture.info.get("comment", b"")
        text = text.decode() if isinstance(text, bytes) else str(text)
        settings = json.loads(text[:LARGEST_METADATA])
    except FileNotFoundError:
        raise Unreachable(f"no file {path}", "a picture that diffprog saved", "another path") from None
    except Exception:  # damaged, of another kind, or with another program's comment: it does not say
        settings = None
    if not isinstance(settings, dict):
        raise BadFile(
            f"{path}, which does not say how it was made",
            "a picture as diffprog saved it; other programs drop its metadata when they save it again",
            "the original file",
        )
    return settings
