"""The rule book: the records of all rules, in the order in which they are read.

book.find("max pool")        one record, by name
book.BOOK                    all of them
"""

from __future__ import annotations

import difflib

from diffprog.errors import InvalidInput
from diffprog.rules import (
    attention,
    average,
    contrastive,
    convolution_records,
    cross_entropy,
    dot_general,
    embedding,
    l2,
    linear,
    losses,
    normalization_book,
    pointwise,
    pooling,
    powers,
    resample,
    resize,
    similarity,
    smooth,
    softmax,
)
from diffprog.rules.record import Rule

# Every module of rules, from the simplest to those built of others. A module that is missing fails a test.
MODULES = (
    *(linear, dot_general, embedding),
    *(pointwise, smooth, powers),
    convolution_records,
    *(pooling, average, resize, resample),
    *(normalization_book, l2),
    *(softmax, attention),
    *(losses, cross_entropy, similarity, contrastive),
)

BOOK: tuple[Rule, ...] = tuple(rule for module in MODULES for rule in module.RULES)


def find(name: str) -> Rule:
    """The record of one rule.

    Args:
      name: as `Rule.name`; capitals, spaces, hyphens and underscores make no difference.

    Raises:
      InvalidInput: there is none of this name; the nearest ones are offered.

    Example:
      >>> find("ReLU").saved
      'the mask x_in > 0: one byte an element'
    """
    by_key = {_key(rule.name): rule for rule in BOOK}
    if _key(name) in by_key:
        return by_key[_key(name)]
    near = [by_key[key].name for key in difflib.get_close_matches(_key(name), by_key, n=4, cutoff=0.4)]
    raise InvalidInput(
        f"no rule named {name!r}",
        f"one of the {len(BOOK)} rules in the book",
        f"{', '.join(map(repr, near))}" if near else "the names in diffprog.rules.book.BOOK",
    )


def _key(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
