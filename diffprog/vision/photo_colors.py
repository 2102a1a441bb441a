"""From whatever colours a picture file has to RGB in [0, 1]: grey, palettes, opacity, CMYK, 16 bits, colour profiles.

Every conversion that changes what one sees is named in a note. What opacity leaves open is filled with white, as paper
and browsers do.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from diffprog.errors import InvalidInput

GREY_MODES = ("1", "L", "LA", "La")
DIRECT_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV")
# The colour space that a profile is about, and the modes of Pillow it can be applied to.
PROFILED = {"RGB": ("RGB", "RGBA"), "CMYK": ("CMYK",)}


def to_rgb(picture: Image.Image, kind: str) -> tuple[np.ndarray, list[str]]:
    """The pixels as float32 [H, W, 3] in [0, 1], and what was done to them.

    Args:
      picture: a decoded picture of any mode.
      kind: the format of its file.

    Raises:
      InvalidInput: numbers whose range is not known.
    """
    if picture.mode.startswith("I;16") or (picture.mode == "I" and kind == "PPM"):
        return _deep_grey(picture)
    if picture.mode not in DIRECT_MODES:
        raise InvalidInput(
            f"a picture of the mode {picture.mode}, whose values may mean anything",
            "grey, RGB or CMYK of 8 or 16 bits",
            "saving it as an 8-bit PNG",
        )
    notes = ["grey; red, green and blue are the same"] if picture.mode in GREY_MODES else []
    picture, changed = _in_srgb(picture)
    return _over_white(picture, notes + changed)


def has_sixteen_bits(picture: Image.Image) -> bool:
    """Whether the file holds 16 bits a colour; to be asked before the picture is loaded."""
    return any(";16" in str(tile[3]) for tile in getattr(picture, "tile", ()))


def _deep_grey(picture: Image.Image) -> tuple[np.ndarray, list[str]]:
    values = np.asarray(picture).astype(np.float32) / 65535
    note = "grey; red, green and blue are the same"
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        values = np.where(values == np.float32(transparent) / 65535, np.float32(1), values)
        note += "; over white where it is transparent"
    return np.repeat(values[..., None], 3, axis=-1), [note]


def _over_white(picture: Image.Image, notes: list[str]) -> tuple[np.ndarray, list[str]]:
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("RGB")).astype(np.float32) / 255, notes
    layered = np.asarray(picture.convert("RGBA")).astype(np.float32) / 255
    opacity = layered[..., 3:]
    if opacity.min() == 1:
        return np.ascontiguousarray(layered[..., :3]), notes
    return layered[..., :3] * opacity + (1 - opacity), [*notes, "partly transparent; laid over white"]


def _in_srgb(picture: Image.Image) -> tuple[Image.Image, list[str]]:
    """The picture with its colours as sRGB means them, where it carries another profile."""
    data, cmyk = picture.info.get("icc_profile"), picture.mode == "CMYK"
    plain = [
        "CMYK without a colour profile that can be used; turned to RGB by formula, so colours are only near"
    ]
    if not isinstance(data, bytes) or not data or picture.mode in GREY_MODES:
        return picture, plain if cmyk else []
    if not cmyk:
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    try:
        return _by_profile(picture, data)
    except Exception:  # a profile is a small program for a colour engine, with its own ways to be broken
        return picture, plain if cmyk else ["a colour profile that cannot be used; left out"]


def _by_profile(picture: Image.Image, data: bytes) -> tuple[Image.Image, list[str]]:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
    title = ImageCms.getProfileDescription(profile).strip()
    if picture.mode not in PROFILED.get(profile.profile.xcolor_space.strip(), ()):
        raise ValueError("a profile for other colours")
    if "sRGB" in title:
        return picture, []
    mode = "RGB" if picture.mode == "CMYK" else picture.mode
    srgb = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(picture, profile, srgb, outputMode=mode)
    assert converted is not None  # only in-place conversion gives None
    named = "".join(c for c in title if c.isprintable())[:60]
    return converted, [f"its colours, {named or 'of a profile without a name'}, turned to sRGB"]
