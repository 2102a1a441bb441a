"""What comes out of guidance: pictures with their scores, the latents behind them, and how they came about.

`save` writes one PNG, a contact sheet when there are several pictures, and a manifest in its metadata; `save_film`
writes how they came about. Files appear whole or not at all.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.files import check_path, write_whole
from diffprog.guide.prompts import Prompt
from diffprog.vision.films import check_film, write_film
from diffprog.vision.picture_files import png, read_png, to_bytes, versions
from diffprog.vision.sheet import laid_out

METADATA_KEY = "diffprog guide"
SHOWN = 128  # smaller pictures are shown enlarged, by a whole factor, so that a face can be seen
MOST_FRAMES = 100
FRAMES_PER_SECOND = 16.0
REST_SECONDS = 1.5


@dataclass(frozen=True, eq=False)
class Guided:
    """Pictures and how they came about; a notebook shows them. m members: prompt by prompt, n for each.

    Attributes:
      images: float32 [m, H, W, 3], RGB in [0, 1], every member's best.
      latents: behind them, leaves [m, ...].
      scores: [m], of the pictures as they are.
      augmented: [m], their mean score under fresh random views. How far the two are apart says how much of the
        score the eye cannot see.
      start_images: the pictures that optimization started from, after screening.
      start_scores: [m], of those.
      history: what was seen at every step: "plain", "augmented" and "price", each [steps, m].
      frames: uint8 [steps, m, h, w, 3], if a trajectory was asked for.
      prompts: m of them.
      keys: the words of every member's PRNG key.
      settings: what it was made with, in words and numbers.
      stopped: 'finished', 'interrupted', 'callback', 'not finite', ...
      why: that in a sentence.
    """

    images: np.ndarray
    latents: Any
    scores: np.ndarray
    augmented: np.ndarray
    start_images: np.ndarray
    start_scores: np.ndarray
    history: dict[str, np.ndarray]
    frames: np.ndarray | None
    prompts: tuple[Prompt, ...]
    keys: tuple[tuple[int, ...], ...]
    settings: dict[str, Any]
    stopped: str
    why: str

    @property
    def best(self) -> int:
        """The number of the member with the highest score."""
        return int(np.argmax(self.scores))

    def sheet(self) -> Image.Image:
        """The picture, or all of them in a grid, prompt by prompt."""
        return sheet(self.images, self.settings["n"])

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a PNG that carries what it was made with.

        Raises:
          InvalidInput: a path that does not end in .png.
          Unreachable: a folder that is not there or cannot be written.
        """
        path = check_path(path, (".png",))
        write_whole(path, png(self.sheet(), self.manifest(), METADATA_KEY, optimize=True))
        return path

    def save_film(self, path: str | os.PathLike[str]) -> Path:
        """Write how the pictures came about, as a GIF or MP4 of at most a hundred steps that rests at its end.

        The film carries the manifest, as its comment.

        Raises:
          InvalidInput: a path that ends in neither, no trajectory, or an MP4 without `diffprog[film]`.
          Unreachable: a folder that is not there or cannot be written.
        """
        path = check_film(path)
        if self.frames is None or not len(self.frames):
            raise InvalidInput(
                "pictures without a trajectory", "those of every step", "guide(..., trajectory=True)"
            )
        every = -(-len(self.frames) // MOST_FRAMES)
        numbers = [*range(0, len(self.frames) - 1, every), len(self.frames) - 1]
        sheets = [self._frame(number) for number in numbers]
        rest = [sheets[-1]] * round(REST_SECONDS * FRAMES_PER_SECOND)
        return write_film(path, np.stack(sheets + rest), self.manifest(), FRAMES_PER_SECOND)

    def save_gif(self, path: str | os.PathLike[str]) -> Path:
        """`save_film` to a path that ends in .gif."""
        return self.save_film(check_path(path, (".gif",)))

    def _frame(self, number: int) -> np.ndarray:
        assert self.frames is not None
        return np.asarray(sheet(self.frames[number].astype(np.float32) / 255, self.settings["n"]))

    def manifest(self) -> dict[str, Any]:
        """What the PNG carries: plain numbers, strings, lists and dictionaries."""
        return {
            "prompts": [str(one) for one in self.prompts],
            "keys": [list(words) for words in self.keys],
            **self.settings,
            "scores": _rounded(self.scores),
            "augmented_scores": _rounded(self.augmented),
            "start_scores": _rounded(self.start_scores),
            "stopped": self.stopped,
            "versions": versions(),
        }

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.sheet().save(buffer, "PNG")
        return buffer.getvalue()


def sheet(images: np.ndarray, each: int = 1) -> Image.Image:
    """Pictures [m, H, W, 3] in [0, 1] in a grid, small ones enlarged; one alone without a margin.

    Args:
      images: float32 [m, H, W, 3].
      each: how many of them are of one prompt; where there are several of several, each prompt gets a row.
    """
    pixels = to_bytes(np.nan_to_num(images))
    factor = max(1, SHOWN // max(pixels.shape[1:3]))
    return Image.fromarray(laid_out(pixels.repeat(factor, 1).repeat(factor, 2), each))


def read_manifest(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a saved picture says of how it was made.

    Raises:
      Unreachable: no such file.
      BadFile: not a PNG that `Guided.save` wrote.
    """
    try:
        found = read_png(path, METADATA_KEY)
        if not isinstance(found, dict) or "prompts" not in found:
            raise ValueError("no prompts")
    except FileNotFoundError:
        raise Unreachable(f"no file {path}", "a PNG that diffprog saved", "another path") from None
    except Exception as error:
        raise BadFile(
            f"{path}, which does not say how it was made ({type(error).__name__})",
            "a PNG as `diffprog guide` saved it; other programs drop its metadata when they save it again",
            "the original file",
        ) from None
    return found


def _rounded(values: np.ndarray) -> list[float | None]:
    """Numbers for JSON, which has none that are not finite."""
    return [round(float(value), 5) if np.isfinite(value) else None for value in values]
