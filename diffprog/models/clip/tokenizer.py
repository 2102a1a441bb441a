"""From a prompt to tokens: CLIP's byte pairs, with nothing cut in silence.

A prompt is cleaned as published (HTML entities, blanks, lower case), split into words, and every word merged from its
bytes by the `tokenizers` library. Two things differ by design. Text that was decoded wrongly is not repaired, as ftfy
would; it is composed (NFC) only. And `<|endoftext|>` in a prompt is text like any other, since a prompt comes from
outside and the features are read at that token.

Source: Sennrich et al. 2016 (byte pairs); Radford et al. 2021.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence

import numpy as np
import tokenizers
from tokenizers import models, pre_tokenizers

from diffprog.errors import InvalidInput
from diffprog.models.clip.vocabulary import END, START, WORD_END, Vocabulary

WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


class Tokenizer:
    """Call it with prompts to get tokens int32[prompts, context], padded with 0 behind the end of each text.

    Args:
        vocabulary: what the text tower was trained with.
        context: the most tokens, start and end of text included.

    Example:
        >>> from diffprog.models.clip.vocabulary import from_merges
        >>> tokenizer = Tokenizer(from_merges([("h", "i</w>")]), context=5)
        >>> tokenizer("Hi")
        array([[513, 512, 514,   0,   0]], dtype=int32)
    """

    def __init__(self, vocabulary: Vocabulary, context: int = 77):
        self.context, self.vocabulary = context, vocabulary
        self.start, self.end = vocabulary.numbers[START], vocabulary.numbers[END]
        pairs = models.BPE(vocab=vocabulary.numbers, merges=vocabulary.merges, end_of_word_suffix=WORD_END)
        self._words = tokenizers.Tokenizer(pairs)
        self._words.pre_tokenizer = words_of_bytes()

    def __call__(self, prompts: str | Sequence[str], *, truncate: bool = False) -> np.ndarray:
        """Tokens of one prompt or several.

        Args:
            prompts: text, or a sequence of texts.
            truncate: cut what is too long, keeping the end of text, instead of refusing it.

        Returns:
            int32[prompts, context].

        Raises:
            InvalidInput: no prompt, something else than text, an empty prompt, or one that is too long.
        """
        texts = [prompts] if isinstance(prompts, str) else prompts
        if not isinstance(texts, list | tuple) or not texts or not all(isinstance(t, str) for t in texts):
            raise InvalidInput(
                f"prompts {prompts!r:.80}", "a text, or a list of texts", '["a red chameleon"]'
            )
        rows = np.zeros((len(texts), self.context), np.int32)
        for row, text in zip(rows, texts, strict=True):
            tokens = self._fitting(text, truncate)
            row[: len(tokens)] = tokens
        return rows

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, however many, without start and end.

        Raises:
            InvalidInput: nothing is left of the text when it is cleaned.
        """
        cleaned = clean(text)
        if not cleaned:
            raise InvalidInput(f"the empty prompt {text!r:.80}", "a few words", '"a red chameleon"')
        return list(self._words.encode(cleaned, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> list[str]:
        """The pieces of text that tokens stand for, start, end and padding left out."""
        kept = [int(token) for token in tokens if int(token) not in (0, self.start, self.end)]
        return [str(self._words.id_to_token(token)).replace(WORD_END, " ").strip() for token in kept]

    def _fitting(self, text: str, truncate: bool) -> list[int]:
        tokens, room = self.encode(text), self.context - 2
        if len(tokens) > room and not truncate:
            lost = " ".join(self.decode(tokens[room:]))
            raise InvalidInput(
                f"a prompt of {len(tokens)} tokens, {text!r:.60}",
                f"at most {room}, besides start and end; this would be lost: {lost!r:.80}",
                "a shorter prompt, or truncate=True",
            )
        return [self.start, *tokens[:room], self.end]


def words_of_bytes() -> pre_tokenizers.PreTokenizer:
    """What splits a clean text into words, and each of those into the letters of its bytes."""
    split = pre_tokenizers.Split(tokenizers.Regex(WORDS), behavior="removed", invert=True)
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def clean(text: str) -> str:
    """The text as the vocabulary knows it: entities resolved (twice), composed, single blanks, lower case.

    Example:
        >>> clean("  Fish &amp;amp;\\n CHIPS ")
        'fish & chips'
    """
    plain = unicodedata.normalize("NFC", html.unescape(html.unescape(text)))
    return " ".join(plain.split()).lower()
