"""The rule book: the records of all rules, in the order in which they are read.

book.find("max pool")        one record, by name
book.BOOK                    all of them
"""

from __future__ import annotations

import difflib

from diffprog.errors import InvalidInput
from diffprog.rules.attention import attention, softmax
from diffprog.rules.convolution import records as convolution
from diffprog.rules.core.record import Rule
from diffprog.rules.losses import binary, contrastive, cross_entropy, errors, similarity
from diffprog.rules.normalization import l2
from diffprog.rules.normalization import records as normalization
from diffprog.rules.pointwise import gated, piecewise, power, powers, rectifiers, sigmoids
from diffprog.rules.pooling import average, maximum, sums
from diffprog.rules.products import dot_general, embedding, linear
from diffprog.rules.sampling import affine, resize
from diffprog.rules.structure import branch, join, shapes

# From the simplest to those built of others; a module of rules that is missing here fails a test.
MODULES = (
    linear,
    dot_general,
    embedding,
    branch,
    join,
    shapes,
    rectifiers,
    piecewise,
    sigmoids,
    gated,
    powers,
    power,
    convolution,
    maximum,
    sums,
    average,
    resize,
    affine,
    normalization,
    l2,
    softmax,
    attention,
    errors,
    binary,
    cross_entropy,
    similarity,
    contrastive,
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
