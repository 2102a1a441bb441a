"""Take one file out of a wheel, zip or tar archive; its size is bounded and no path in it is used on disk.

Archives come here only after their hash was compared with a pinned one; what is checked here is that a
mistaken pin is told in words and cannot fill the disk.
"""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

from diffprog.weights.bounds import MEBIBYTE, clip, refused

MAX_MEMBER = 8 * 1024 * MEBIBYTE


def extract(archive: Path, member: str, target: Path) -> Path:
    """Writes `member` of a zip or tar archive to `target`, which is returned.

    Raises:
        BadFile: not an archive, no such member, or a member that is too large or damaged.
    """
    try:
        if zipfile.is_zipfile(archive):
            _from_zip(archive, member, target)
        else:
            _from_tar(archive, member, target)
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise refused(f"{archive.name} is not a readable zip or tar archive: {error}") from error
    return target


def _from_zip(archive: Path, member: str, target: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        if member not in opened.namelist():
            raise _missing(archive, member, opened.namelist())
        entry = opened.getinfo(member)
        with opened.open(entry) as file:
            _copy(file, entry.file_size, target)


def _from_tar(archive: Path, member: str, target: Path) -> None:
    with tarfile.open(archive) as opened:
        names = []
        for entry in opened:
            names.append(entry.name)
            if entry.name == member and entry.isreg():
                file = opened.extractfile(entry)
                assert file is not None  # it is a regular file
                return _copy(file, entry.size, target)
    raise _missing(archive, member, names)


def _copy(file: IO[bytes], size: int, target: Path) -> None:
    if size > MAX_MEMBER:
        raise refused(f"a member of {size:,} bytes", f"at most {MAX_MEMBER:,}")
    with open(target, "wb") as output:
        shutil.copyfileobj(file, output, MEBIBYTE)


def _missing(archive: Path, member: str, names: list[str]) -> Exception:
    last = member.rsplit("/", 1)[-1]
    like = [name for name in names if name.endswith(last)] or names
    return refused(
        f"{archive.name} has no file {clip(member, 120)!r}",
        f"one of its {len(names)} members, such as {clip(', '.join(like[:5]), 300)}",
        "correct the member of the source",
    )
