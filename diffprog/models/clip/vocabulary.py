"""CLIP's vocabulary, 256 bytes and what they merge into, from any of the files that carry it.

bpe_simple_vocab_16e6.txt.gz          OpenAI's: the merges in order; the vocabulary follows from them
tokenizer.json                        Hugging Face's, whole
vocab.json with merges.txt            Hugging Face's, in two

The published vocabulary is not shipped. It is fetched, once, from the package that carries it.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from diffprog import weights
from diffprog.errors import BadFile, InvalidInput, Unreachable

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
MOST_BYTES = 1 << 24  # the published files unfold to 3 MB
PUBLISHED_SIZE = 49408
FILES = ("tokenizer.json", "vocab.json", "bpe_simple_vocab_16e6.txt.gz")
PACKAGE = weights.PackageFile(
    "open_clip_torch",
    "3.3.0",
    "c549ad5ed6bfc119cc11105033c0a2b9d7a2a4afeb40a58a09aab3da1a0043ce",
    "open_clip/bpe_simple_vocab_16e6.txt.gz",
    size=1_547_268,
)
PUBLISHED_SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"


class Vocabulary(NamedTuple):
    """Numbers of the tokens, and which pairs merge, earliest first."""

    numbers: dict[str, int]
    merges: list[tuple[str, str]]
    source: str


def published() -> Path:
    """The published vocabulary's file, fetched if it is not in the cache.

    Raises:
        Unreachable: it cannot be fetched.
        BadFile: what was fetched is not what was pinned.
    """
    return weights.fetch_cached("clip-vocabulary", PACKAGE, PUBLISHED_SHA256)


def beside(path: Path) -> Path | None:
    """The vocabulary in the folder of a weight file, or None."""
    return next((file for name in FILES if (file := path.parent / name).is_file()), None)


def read_vocabulary(path: Path, size: int) -> Vocabulary:
    """A vocabulary of `size` tokens.

    Args:
        path: one of the three files, or a folder with one of them.
        size: of the text tower's vocabulary.

    Raises:
        Unreachable: no such file.
        BadFile: a file of another form, or a vocabulary that does not belong to such a tower.
    """
    if path.is_dir():
        found = beside(path / "any")
        if found is None:
            raise Unreachable(
                f"{path}: no vocabulary in this folder", " or ".join(FILES), "the file's own path"
            )
        path = found
    content = _content(path)
    try:
        vocabulary = _parsed(path, content, size)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, BadFile):
            raise
        raise _refused(path, f"a file of another form ({type(error).__name__})", size) from None
    check_vocabulary(path, vocabulary, size)
    return vocabulary


def _content(path: Path) -> str:
    """The text of a file, unpacked if need be."""
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            data = (gzip.GzipFile(fileobj=raw) if packed else raw).read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise BadFile(
                f"{path}: more than {MOST_BYTES:,} bytes", "a vocabulary of some megabytes", "the right file"
            )
        return data.decode("utf-8")
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: {error}", "a complete vocabulary in UTF-8", "copying it again") from None
    except OSError as error:
        raise Unreachable(f"{path}: {error.strerror or error}", "a readable file", "check the path") from None


def _parsed(path: Path, content: str, size: int) -> Vocabulary:
    if content.lstrip().startswith("{"):
        table = json.loads(content)
        if "model" in table:
            model = table["model"]
            return Vocabulary(dict(model["vocab"]), [_pair(merge) for merge in model["merges"]], str(path))
        merges = _content(path.with_name("merges.txt"))
        return Vocabulary(table, _merges(merges.splitlines()), str(path))
    return from_merges(_merges(content.splitlines())[: size - 514], str(path))


def _merges(lines: Iterable[str]) -> list[tuple[str, str]]:
    """The pairs in lines of two; the first line may say a version."""
    return [
        _pair(line) for i, line in enumerate(lines) if line.strip() and not (i == 0 and "#version" in line)
    ]


def _pair(merge: Any) -> tuple[str, str]:
    first, second = merge.split() if isinstance(merge, str) else merge
    return str(first), str(second)


def from_merges(merges: list[tuple[str, str]], source: str = "merges") -> Vocabulary:
    """The vocabulary that merges make: bytes, bytes that end a word, merges, start and end of text.

    Example:
        >>> len(from_merges([("h", "i</w>")]).numbers)
        515
    """
    letters = list(byte_letters().values())
    tokens = letters + [letter + WORD_END for letter in letters] + [a + b for a, b in merges] + [START, END]
    return Vocabulary({token: number for number, token in enumerate(tokens)}, merges, source)


def byte_letters() -> dict[int, str]:
    """A printable letter for every byte: itself where it has one, else one from 256 on. The order is the tokens'."""
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in own]
    return {byte: chr(byte) for byte in own} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def check_vocabulary(path: Path, vocabulary: Vocabulary, size: int) -> None:
    """Refuse a vocabulary that is not of a text tower of so many tokens.

    Raises:
        BadFile: with what does not match.
    """
    numbers = vocabulary.numbers
    if len(numbers) != size or sorted(numbers.values()) != list(range(size)):
        raise _refused(path, f"{len(numbers):,} tokens", size)
    if numbers.get(END) != size - 1 or START not in numbers:
        raise _refused(path, f"no {START} and, as the last token, {END}", size)
    letters = byte_letters().values()
    if not all(letter in numbers and letter + WORD_END in numbers for letter in letters):
        raise _refused(path, f"bytes without a token, or words that do not end in {WORD_END}", size)
    if not all({a, b, a + b} <= numbers.keys() for a, b in vocabulary.merges):
        raise _refused(path, "merges of tokens that it does not have", size)


def _refused(path: Path, what: str, size: int) -> BadFile:
    return BadFile(
        f"{path}: a vocabulary that does not match these weights: {what}",
        f"CLIP's byte pairs, {size:,} tokens with {END} last, as the text tower has",
        "tokenizer=None for the published one"
        if size == PUBLISHED_SIZE
        else "the vocabulary it was trained with",
    )


def for_tower(path: Path, chosen: Any, size: int) -> Path:
    """The vocabulary file for a text tower: the caller's, the one beside the weights, or the published one.

    Raises:
        InvalidInput: there is none, and the tower's vocabulary is not of the published size.
    """
    if chosen is not None:
        return Path(chosen)
    if (found := beside(path)) is not None:
        return found
    if size != PUBLISHED_SIZE:
        raise InvalidInput(
            f"a text tower of {size:,} tokens without its vocabulary",
            f"{' or '.join(FILES)} beside the weights; the published vocabulary has {PUBLISHED_SIZE:,} tokens",
            "load(path, tokenizer=...)",
        )
    return published()
