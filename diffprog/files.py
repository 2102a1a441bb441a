"""Files that appear whole or not at all, at paths that were found good before the work began."""

from __future__ import annotations

import os
import tempfile
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


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        Unreachable: the folder cannot be written, or the disk is full; what was at the path is still there.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise Unreachable(f"{path}: {error.strerror}", "a folder you may write to", "another path") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        os.unlink(temporary)
        raise Unreachable(
            f"{path}, which could not be written: {error.strerror}",
            "a disk with room",
            "another path, or freeing some space",
        ) from None
    except BaseException:
        os.unlink(temporary)
        raise
