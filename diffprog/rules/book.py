"""The rule book: the records of all rules, in the order in which they are read.

book.find("max pool")        one record, by name
book.BOOK                    all of them
"""

from __future__ import annotations

import difflib

from diffprog.errors import InvalidInput
from diffprog.rules.attention import RULES as ATTENTION
from diffprog.rules.average import RULES as AVERAGE
from diffprog.rules.contrastive import RULES as CONTRASTIVE
from diffprog.rules.convolution_records import RULES as CONVOLUTION_RECORDS
from diffprog.rules.cross_entropy import RULES as CROSS_ENTROPY
from diffprog.rules.dot_general import RULES as DOT_GENERAL
from diffprog.rules.embedding import RULES as EMBEDDING
from diffprog.rules.l2 import RULES as L2
from diffprog.rules.linear import RULES as LINEAR
from diffprog.rules.losses import RULES as LOSSES
from diffprog.rules.normalization_book import RULES as NORMALIZATION_BOOK
from diffprog.rules.pointwise import RULES as POINTWISE
from diffprog.rules.pooling import RULES as POOLING
from diffprog.rules.powers import RULES as POWERS
from diffprog.rules.record import Rule
from diffprog.rules.resample import RULES as RESAMPLE
from diffprog.rules.resize import RULES as RESIZE
from diffprog.rules.similarity import RULES as SIMILARITY
from diffprog.rules.smooth import RULES as SMOOTH
from diffprog.rules.softmax import RULES as SOFTMAX
from diffprog.rules.structure import RULES as STRUCTURE

# From the simplest to those built of others; a module of rules that is missing here fails a test.
BOOK: tuple[Rule, ...] = (
    *LINEAR,
    *DOT_GENERAL,
    *EMBEDDING,
    *STRUCTURE,
    *POINTWISE,
    *SMOOTH,
    *POWERS,
    *CONVOLUTION_RECORDS,
    *POOLING,
    *AVERAGE,
    *RESIZE,
    *RESAMPLE,
    *NORMALIZATION_BOOK,
    *L2,
    *SOFTMAX,
    *ATTENTION,
    *LOSSES,
    *CROSS_ENTROPY,
    *SIMILARITY,
    *CONTRASTIVE,
)


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
