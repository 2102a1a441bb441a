"""Frames as a film: a GIF by Pillow, or an MP4 by FFmpeg, which the extra `diffprog[film]` brings along."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diffprog.errors import InvalidInput, Unreachable
from diffprog.files import check_path, write_whole

FILMS = (".gif", ".mp4")
MP4_RATE_FACTOR = 18  # x264 calls this visually lossless


def check_film(path: str | os.PathLike[str]) -> Path:
    """The path as one that a film can be written to, or why not; to be asked before the work.

    Raises:
      InvalidInput: another ending than .gif and .mp4, or MP4 without what it takes.
      Unreachable: a folder that is not there or cannot be written.
    """
    path = check_path(path, FILMS)
    if path.suffix.lower() == ".mp4":
        _ffmpeg(path)
    return path


def write_film(
    path: str | os.PathLike[str],
    frames: np.ndarray,
    settings: dict[str, Any],
    frames_per_second: float = 12.0,
) -> Path:
    """Write uint8 [frames, H, W, 3] as GIF or MP4, whole or not at all, with the settings as its comment.

    An MP4 has even sides: an odd last row or column is left out.

    Raises:
      InvalidInput: another ending, a rate that is not above 0, or MP4 without what it takes.
      Unreachable: a folder that is not there or cannot be written.
    """
    path = check_film(path)
    if not 0.1 <= frames_per_second <= 100:
        raise InvalidInput(f"{frames_per_second} frames per second", "a number from 0.1 to 100", "12.0")
    make = _gif if path.suffix.lower() == ".gif" else _mp4
    write_whole(path, make(frames, json.dumps(settings), frames_per_second))
    return path


def _gif(frames: np.ndarray, comment: str, rate: float) -> bytes:
    first, *rest = (Image.fromarray(frame) for frame in frames)
    buffer = io.BytesIO()
    duration = round(1000 / rate)
    first.save(
        buffer, "GIF", save_all=True, append_images=rest, duration=duration, loop=0, comment=comment.encode()
    )
    return buffer.getvalue()


def _mp4(frames: np.ndarray, comment: str, rate: float) -> bytes:
    height, width = (length // 2 * 2 for length in frames.shape[1:3])
    pixels = np.ascontiguousarray(frames[:, :height, :width])
    if not pixels.size:
        raise InvalidInput("frames of one pixel's height or width", "an MP4 has even sides", "a .gif")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.mp4"
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{rate:g}", "-i", "-"]
        coded = ["-c:v", "libx264", "-crf", str(MP4_RATE_FACTOR), "-pix_fmt", "yuv420p"]
        told = ["-movflags", "+faststart", "-metadata", f"comment={comment}"]
        command = [_ffmpeg(file), "-loglevel", "error", *raw, *coded, *told, str(file)]
        # In a process group of its own, so that Ctrl-C does not cut a film that is being written.
        done = subprocess.run(command, input=pixels.tobytes(), capture_output=True, process_group=0)
        if done.returncode or not file.exists():
            said = done.stderr.decode(errors="replace").strip()[-200:]
            raise Unreachable(f"FFmpeg failed: {said}", "an MP4", "a .gif instead")
        return file.read_bytes()


def _ffmpeg(path: Path) -> str:
    """Where FFmpeg is."""
    try:
        import imageio_ffmpeg
    except ImportError:
        raise InvalidInput(
            f"{path.name} without FFmpeg",
            "the extra that brings FFmpeg along",
            f"pip install 'diffprog[film]', or {path.stem}.gif, which needs nothing more",
        ) from None
    return str(imageio_ffmpeg.get_ffmpeg_exe())
