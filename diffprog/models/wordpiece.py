"""WordPiece: from sentences to the numbers of their pieces, as BERT's uncased vocabularies were made for.

Text is cleaned, lowered and freed of accents, split at spaces and punctuation, and every word is cut into the longest
pieces of the vocabulary, from the left; "##" marks a piece that does not begin a word. A word that cannot be cut is
[UNK]. The vocabulary comes with the package.

Source: Wu et al., "Google's Neural Machine Translation System" (2016); Devlin et al., BERT (2019).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from diffprog.errors import InvalidInput

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
LONGEST_WORD = 100  # characters; a longer one is unknown
CJK = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F)),
    *((0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


class Tokens(NamedTuple):
    """Sentences as numbers: int32 [B, T] padded with zeros, and a mask [B, T] that is 1 where a token is."""

    ids: np.ndarray
    mask: np.ndarray


@lru_cache(maxsize=1)
def vocabulary() -> Mapping[str, int]:
    """The pieces of BERT's uncased English vocabulary, numbered."""
    text = files("diffprog.models").joinpath("data/bert_uncased_vocabulary.txt").read_text(encoding="utf-8")
    return {piece: number for number, piece in enumerate(text.split("\n")[:-1])}


def pieces(sentence: str, known: Mapping[str, int] | None = None) -> list[str]:
    """The pieces of one sentence, without the marks of its start and end.

    Example:
        >>> pieces("A person wearing SUNGLASSES, naïvely")
        ['a', 'person', 'wearing', 'sunglasses', ',', 'naive', '##ly']
    """
    known = vocabulary() if known is None else known
    return [piece for word in words(sentence) for piece in cut(word, known)]


def tokenize(sentences: Sequence[str], most: int, known: Mapping[str, int] | None = None) -> Tokens:
    """Numbers of the pieces of several sentences, with the marks of start and end, padded to the longest.

    Args:
        sentences: one or more.
        most: the most tokens of one sentence, marks included.
        known: piece -> number.

    Raises:
        InvalidInput: a sentence without a piece, or with too many.
    """
    known = vocabulary() if known is None else known
    rows = [[START, *pieces(sentence, known), END] for sentence in sentences]
    for sentence, row in zip(sentences, rows, strict=True):
        if len(row) == 2:
            raise InvalidInput(f"the sentence {sentence[:40]!r}", "at least one word", "a person, a dog")
        if len(row) > most:
            raise InvalidInput(
                f"a sentence of {len(row)} tokens, {sentence[:40]!r}...",
                f"at most {most} tokens, start and end included; nothing is cut off in silence",
                "fewer words, or several prompts with weights",
            )
    longest = max(map(len, rows))
    ids = np.zeros((len(rows), longest), np.int32)
    mask = np.zeros((len(rows), longest), np.int32)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = [known[piece] for piece in row]
        mask[number, : len(row)] = 1
    return Tokens(ids, mask)


def words(text: str) -> Iterator[str]:
    """Lower-case words without accents; every mark of punctuation and every Chinese character is one."""
    plain = unicodedata.normalize("NFD", "".join(map(_spaced, text)).lower())
    word = ""
    for character in plain:
        if unicodedata.category(character) == "Mn":
            continue
        apart = _punctuates(character)
        if (apart or character.isspace()) and word:
            yield word
            word = ""
        if apart:
            yield character
        elif not character.isspace():
            word += character
    if word:
        yield word


def cut(word: str, known: Mapping[str, int]) -> list[str]:
    """The longest known pieces from the left, or [UNK] for a word that they do not make up."""
    found: list[str] = []
    start = 0
    while start < len(word):
        ends = range(len(word), start, -1)
        marked = ((end, ("##" if start else "") + word[start:end]) for end in ends)
        end, piece = next(((end, piece) for end, piece in marked if piece in known), (0, ""))
        if not end or len(word) > LONGEST_WORD:
            return [UNKNOWN]
        found.append(piece)
        start = end
    return found


def _spaced(character: str) -> str:
    """A character without a meaning is nothing, white space is a blank, a Chinese character stands alone."""
    if character in "\t\n\r" or unicodedata.category(character) == "Zs":
        return " "
    if character in "\0�" or unicodedata.category(character).startswith("C"):
        return ""
    return f" {character} " if any(low <= ord(character) <= high for low, high in CJK) else character


def _punctuates(character: str) -> bool:
    """All that is no letter, digit or blank in ASCII ("$" and "^", too), and what Unicode calls punctuation."""
    ascii_mark = (
        character.isascii() and character.isprintable() and not (character.isalnum() or character == " ")
    )
    return ascii_mark or unicodedata.category(character).startswith("P")
