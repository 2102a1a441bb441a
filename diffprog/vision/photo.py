"""Photographs from outside, read safely: float32 RGB [H, W, 3] in [0, 1], upright, and all that was changed is said.

A file is a claim until it is checked: what it is and how large it says it is are looked at before memory is taken, and
only formats that Pillow decodes itself are opened. A photograph of any colours comes out as the same kind of array;
turning it upright, laying it over white or taking its first frame is said once, in words. What becomes of colours is
left to `photo_colors`.
"""

from __future__ import annotations

import os
import stat
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from diffprog.errors import BadFile, DiffprogError, InvalidInput, Unreachable
from diffprog.vision.photo_colors import has_sixteen_bits, to_rgb

# Formats that Pillow decodes by itself: none of them starts another program, as PostScript would.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM")
MOST_PIXELS = 100_000_000  # 1.2 GB as float32; the largest that phones make by default are half of it
ORIENTATION, UPRIGHT, TURNED = 0x0112, 1, range(2, 9)
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1")

Announce = Callable[[str], None]


def print_note(note: str) -> None:
    """Say something once, on standard error."""
    print(f"diffprog: {note}", file=sys.stderr)


def keep_quiet(note: str) -> None:
    """Say nothing; the notes stay with the photograph."""
    del note


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph as numbers.

    Attributes:
      pixels: float32 [H, W, 3], RGB in [0, 1], upright.
      name: where it comes from, for people; None for an array of the user's.
      notes: what was changed on the way, in words.
    """

    pixels: np.ndarray
    name: str | None = None
    notes: tuple[str, ...] = field(default=())


def read_photo(
    path: str | os.PathLike[str], *, most_pixels: int = MOST_PIXELS, announce: Announce = print_note
) -> Photo:
    """Read a photograph.

    Args:
      path: a JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP or PPM file.
      most_pixels: how many pixels it may have; Pillow's own guard stops at 178,956,970.
      announce: is told once of every change: frames left out, turned upright, colours converted.

    Returns:
      The photograph: float32 [H, W, 3], RGB in [0, 1].

    Raises:
      Unreachable: no such file, a folder, a device, or a file that may not be read.
      BadFile: not a picture, damaged or cut short, or of more pixels than allowed; no pixel was decoded then.
      InvalidInput: a picture of numbers whose range nothing tells.
    """
    path = Path(path)
    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's warnings of large files and odd metadata: checked here
            with Image.open(path, formats=_formats()) as picture:
                _check_pixels(path, picture.size, most_pixels)
                pixels, notes = _decoded(picture)
    except DiffprogError:
        raise
    except UnidentifiedImageError:
        raise _no_picture(path) from None
    except Image.DecompressionBombError:
        raise _too_large(path, "over 178,956,970", most_pixels) from None
    except PermissionError:
        raise Unreachable(
            f"{path}, which may not be read", "a file that you may read", f"chmod u+r '{path}'"
        ) from None
    except Exception as error:  # whatever a damaged file makes a decoder stumble over
        raise _damaged(path, error) from None
    for note in notes:
        announce(f"{path.name}: {note}")
    return Photo(pixels, path.name, tuple(notes))


def _decoded(picture: Image.Image) -> tuple[np.ndarray, list[str]]:
    notes, kind, deep = [], picture.format or "", has_sixteen_bits(picture)
    if getattr(picture, "is_animated", False):
        notes.append("several frames or pictures in one file; the first was taken")
    picture.load()
    if deep and not picture.mode.startswith("I"):
        notes.append("16 bits a colour, of which the upper 8 were read")
    upright = _upright(picture, notes)
    pixels, changed = to_rgb(upright, kind)
    return pixels, notes + changed


def _upright(picture: Image.Image, notes: list[str]) -> Image.Image:
    try:
        orientation = picture.getexif().get(ORIENTATION, UPRIGHT)
    except Exception:  # EXIF is a small file of its own, with its own ways to be broken
        notes.append("EXIF data that cannot be read; left out, with the orientation it may have told")
        return picture
    if orientation not in TURNED:
        return picture
    notes.append("lying or mirrored by its EXIF data; turned upright")
    return ImageOps.exif_transpose(picture)


def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _check_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise Unreachable(
            f"no file {path} ({error.strerror})", "a photograph that is there", "another path"
        ) from None
    except ValueError:
        raise Unreachable(f"the path {str(path)!r}", "a path without null bytes", "another path") from None
    if not stat.S_ISREG(mode):  # a pipe or a device would be waited for without end
        what = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
        raise Unreachable(f"{path}, which is {what}", "a photograph: JPEG, PNG, WebP, ...", "a file in it")


def _check_pixels(path: Path, size: tuple[int, int], most: int) -> None:
    width, height = size
    if width * height > most:
        raise _too_large(path, f"{width} x {height} =", most, f" {width * height:,}")


def _too_large(path: Path, size: str, most: int, pixels: str = "") -> BadFile:
    return BadFile(
        f"{path}, a picture of {size}{pixels} pixels",
        f"at most {most:,} pixels, because a small file can unfold to more than the memory there is",
        "a smaller copy, or read_photo(path, most_pixels=...) if you trust the file",
    )


def _no_picture(path: Path) -> BadFile:
    with open(path, "rb") as file:
        head = file.read(16)
    expected = "a photograph: JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP or PPM"
    if not head:
        return BadFile(f"{path}, an empty file", expected, "fetching or copying it again")
    if head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS:
        return BadFile(f"{path}, a HEIC picture", expected, "exporting it as JPEG")
    return BadFile(
        f"{path}, which is no picture or lacks its beginning",
        expected,
        "opening it in a picture viewer to see",
    )


def _damaged(path: Path, error: Exception) -> BadFile:
    first = (str(error).splitlines() or [""])[0][:120]
    return BadFile(
        f"{path}, a picture that is damaged or cut short ({type(error).__name__}: {first})",
        "a file that is complete",
        "fetching or copying it again, or saving it anew from a picture viewer",
    )


def as_photo(photo: Photo | np.ndarray | str | os.PathLike[str], announce: Announce = print_note) -> Photo:
    """A photograph from whatever stands for one: itself, an array, or a path.

    Raises:
      InvalidInput: an array that is not floating [H, W, 3] with finite values in [0, 1].
      Unreachable, BadFile: as `read_photo`.
    """
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, str | os.PathLike):
        return read_photo(photo, announce=announce)
    pixels = np.asarray(photo)
    _check_array(pixels)
    return Photo(np.array(pixels, np.float32))


def _check_array(pixels: np.ndarray) -> None:
    expected = "floating-point RGB [H, W, 3] in [0, 1]"
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or 0 in pixels.shape:
        raise InvalidInput(f"a photograph of shape {list(pixels.shape)}", expected, _reshaped(pixels.shape))
    if not np.issubdtype(pixels.dtype, np.floating):
        raise InvalidInput(f"a photograph of dtype {pixels.dtype}", expected, "photo.astype('float32') / 255")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0.0 and high <= 1.0):  # false for NaN as well
        remedy = "photo / 255" if high > 2.0 else "np.clip(np.nan_to_num(photo), 0, 1)"
        raise InvalidInput(f"a photograph with values from {low:g} to {high:g}", expected, remedy)


def _reshaped(shape: tuple[int, ...]) -> str:
    if len(shape) == 4:
        return "photo[0] for the first of a batch"
    if len(shape) == 3 and shape[-1] == 4:
        return "photo[..., :3] to leave out the opacity"
    return "np.stack([photo] * 3, axis=-1) for a grey one" if len(shape) == 2 else "read_photo(path)"
