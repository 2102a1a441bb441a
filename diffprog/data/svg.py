"""A vector drawing as a picture."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from diffprog.errors import BadFile, InvalidInput


def render(svg: str, size: int) -> np.ndarray:
    """Draws an SVG on white, size pixels wide and high.

    Fonts of this machine are not used, so that every machine draws the same.

    Args:
        svg: the text of the file.
        size: pixels of a side.

    Returns:
        uint8 [size, size, 3].

    Raises:
        InvalidInput: no size, or the renderer is not installed.
        BadFile: not an SVG.
    """
    try:
        import resvg_py  # optional
    except ImportError as error:
        raise InvalidInput(
            "a drawing to render without resvg-py",
            "resvg-py 0.5 or later",
            'pip install "diffprog[drawings]"',
        ) from error
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InvalidInput(f"a picture of {size!r} pixels", "a whole number, 1 or more", "size=32")
    try:
        png = resvg_py.svg_to_bytes(
            svg_string=svg, width=size, height=size, background="#ffffff", skip_system_fonts=True
        )
    except ValueError as error:
        raise BadFile(f"a drawing that cannot be rendered: {error}", "an SVG", "another file") from error
    with Image.open(io.BytesIO(bytes(png))) as picture:
        # A drawing that is not square is centered on white.
        square = Image.new("RGB", (size, size), "white")
        square.paste(picture.convert("RGB"), ((size - picture.width) // 2, (size - picture.height) // 2))
    return np.asarray(square)
