"""Files that appear whole or not at all, at paths that were found good before the work began."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diffprog.errors import InvalidInput, Unreachable


def check_path(path: str | os.PathLike[str], endings: tuple[str, ...]) -> Path:
    """The path as one that a file can be written to, or why not.

    Args:
        path: where the file shall be.
        endings: what the name may end in, such as `(".png",)`; capitals make no difference.

    Raises:
        InvalidInput: another ending.
        Unreachable: a folder that is not there or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in endings:
        expected = f"one that ends in {' or '.join(endings)}"
        raise InvalidInput(f"the file name {path.name!r}", expected, f"{path.stem or 'picture'}{endings[0]}")
    folder = path.parent
    if not folder.is_dir():
        raise Unreachable(
            f"no folder {folder}", "a folder that is there", f"mkdir -p '{folder}', or another path"
        )
    if path.is_dir() or not os.access(folder, os.W_OK):
        raise Unreachable(
            f"{path}, which cannot be written", "a file in a folder you may write to", "another path"
        )
    return path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write a file at, which takes its place when it is complete, and leaves nothing if it never is.

    Raises:
        Unreachable: the folder cannot be written, or has no room.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole(Path(folder) / "note.txt") as part:
        ...         _ = part.write_text("all of it")
        ...     (Path(folder) / "note.txt").read_text()
        'all of it'
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise Unreachable(
            f"{path} cannot be written: {error.strerror or error}",
            "a folder that is there, may be written, and has room",
            "another folder, or free some space",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        Unreachable: the folder cannot be written, or has no room.
    """
    with whole(path) as part:
        part.write_bytes(data)
