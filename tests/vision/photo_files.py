"""Photographs as they come from outside: every kind of file that the tests of photographs read, made here."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

HEIGHT, WIDTH = 6, 8
ORIENTATION = 0x0112


def colours(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """uint8 [H, W, 3], another colour at every pixel, so that no turn or mirror image looks like it."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 40, columns * 30, (rows * columns * 5)], -1).astype(np.uint8)


def png(width: int, height: int, bits: int, kind: int, rows: bytes) -> bytes:
    """A PNG by hand, of any depth and colour type, which may also lie about its size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def deep_png(values: np.ndarray) -> bytes:
    """uint16 [H, W] or [H, W, 3] as a PNG of 16 bits."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(values.shape[1], values.shape[0], 16, 2 if values.ndim == 3 else 0, rows)


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(orientation: int) -> bytes:
    """A PNG that a viewer has to turn to show `colours()`."""
    undo: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda p: p, 2: np.fliplr, 3: lambda p: np.rot90(p, 2), 4: np.flipud,
        5: lambda p: p.swapaxes(0, 1), 6: lambda p: np.rot90(p, 1),
        7: lambda p: np.rot90(p, 2).swapaxes(0, 1), 8: lambda p: np.rot90(p, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(Image.fromarray(np.ascontiguousarray(undo[orientation](colours()))), exif=exif)


def animation(kind: str = "GIF") -> bytes:
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue", "lime")]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)


def translucent() -> bytes:
    """Red at opacities 255, 0 and 51."""
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [255, 0, 0, 51]]], np.uint8)
    return saved(Image.fromarray(pixels, "RGBA"))


def swapped_profile() -> bytes:
    """A colour profile that is not sRGB: Lab's is of another colour space and cannot be applied to RGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def bomb() -> bytes:
    """A PNG of a hundred bytes that says it has 3.6 billion pixels."""
    return png(60_000, 60_000, 8, 2, b"\0" * 64)


def patient_bomb() -> bytes:
    """One of 121 million pixels: over our limit, under the limit at which Pillow refuses."""
    return png(11_000, 11_000, 8, 2, b"\0" * 64)


def noise(size: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8))


def cut(data: bytes, part: float = 0.6) -> bytes:
    return data[: int(len(data) * part)]


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
