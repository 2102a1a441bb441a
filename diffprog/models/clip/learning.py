"""Learn byte pairs from texts: a vocabulary for a text tower of one's own.

The commonest pair of neighbouring pieces becomes a piece, again and again, by the `tokenizers` library; the pieces are
those of `Tokenizer`, which merges them in the same order.

Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units" (2016).
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import tokenizers
from tokenizers import models, trainers

from diffprog.models.clip.tokenizer import clean, words_of_bytes
from diffprog.models.clip.vocabulary import WORD_END, Vocabulary, byte_letters, from_merges


def learned(texts: Iterable[str], merges: int = 1000) -> Vocabulary:
    """A vocabulary of 256 bytes, the same ending a word, so many merges at most, start and end.

    Args:
        texts: to learn from; a pair that occurs once is not worth a token.
        merges: the most of them.

    Example:
        >>> vocabulary = learned(["red heart", "heart suit", "red apple"], merges=2)
        >>> vocabulary.merges[0], len(vocabulary.merges)
        (('a', 'r'), 2)
    """
    alphabet = list(byte_letters().values())
    learner = tokenizers.Tokenizer(models.BPE(end_of_word_suffix=WORD_END))
    learner.pre_tokenizer = words_of_bytes()
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + merges,
        min_frequency=2,
        initial_alphabet=alphabet,
        end_of_word_suffix=WORD_END,
        show_progress=False,
    )
    learner.train_from_iterator((clean(text) for text in texts), trainer)
    pairs = json.loads(learner.to_str())["model"]["merges"]
    return from_merges([(str(a), str(b)) for a, b in (_split(pair) for pair in pairs)][:merges], "learned")


def _split(pair: str | list[str]) -> list[str]:
    """A pair as older and newer versions of the library write it."""
    return pair.split(" ") if isinstance(pair, str) else pair
