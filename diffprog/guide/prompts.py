"""Prompts: what a picture should be like, in words or by another picture, weighted, several, or the contrary.

Prompts add and scale, like objectives: `prompt("a face") + 0.5 * prompt("sunglasses") - prompt("a hat")`. A negative
weight asks for unlikeness. `stop` is the similarity at which a prompt has pulled enough. Written as one string it is
`"a face | sunglasses:0.5 | a hat:-1"`, with `:weight:stop` behind the words (the form of VQGAN-CLIP).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from diffprog.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Term:
    """One thing to be like.

    Attributes:
      content: words, or a picture float32 [H, W, 3] in [0, 1].
      weight: how much it counts; negative: be unlike it.
      stop: pull no more beyond this similarity times the weight's sign; infinity pulls always.
    """

    content: str | np.ndarray
    weight: float = 1.0
    stop: float = math.inf

    def __str__(self) -> str:
        words = self.content if isinstance(self.content, str) else "<a picture>"
        stop = "" if math.isinf(self.stop) else f":{self.stop:g}"
        return words if self.weight == 1 and not stop else f"{words}:{self.weight:g}{stop}"


@dataclass(frozen=True, eq=False)
class Prompt:
    """A weighted sum of terms; `str` gives it in the form that `prompt` reads."""

    terms: tuple[Term, ...]

    def __add__(self, other: Prompt) -> Prompt:
        return Prompt((*self.terms, *other.terms))

    def __mul__(self, factor: float) -> Prompt:
        return Prompt(tuple(replace(term, weight=term.weight * factor) for term in self.terms))

    __rmul__ = __mul__

    def __neg__(self) -> Prompt:
        return -1.0 * self

    def __sub__(self, other: Prompt) -> Prompt:
        return self + -other

    def __str__(self) -> str:
        return " | ".join(map(str, self.terms))


def prompt(content: Any, weight: float = 1.0, stop: float = math.inf) -> Prompt:
    """A prompt of words, of a picture, or of what is one already.

    Args:
      content: words, with "|" between several and `:weight:stop` behind each; or a picture [H, W, 3] in [0, 1].
      weight: on all of it.
      stop: the similarity (see the scorer) beyond which nothing pulls; of words that do not say their own.

    Raises:
      InvalidInput: no words, a weight that is zero or not finite, a picture of another form.

    Example:
      >>> print(prompt("a face | sunglasses:0.5") - prompt("a hat"))
      a face | sunglasses:0.5 | a hat:-1
    """
    if isinstance(content, Prompt):
        return content * weight
    if isinstance(content, str):
        terms = tuple(_parsed(part, stop) for part in content.split("|"))
    else:
        terms = (Term(_picture(content), 1.0, stop),)
    found = Prompt(terms) * float(weight)
    for term in found.terms:
        if not math.isfinite(term.weight) or term.weight == 0 or math.isnan(term.stop):
            raise InvalidInput(
                f"the prompt {str(term)!r} of weight {term.weight}",
                "a finite weight that is not zero; a negative one asks for the contrary",
                "leaving the prompt out",
            )
    return found


def prompts(content: Any) -> tuple[Prompt, ...]:
    """One prompt, or a list of them, as a tuple.

    Raises:
      InvalidInput: an empty list, or what is no prompt.
    """
    several = isinstance(content, Sequence) and not isinstance(content, str)
    found = tuple(prompt(one) for one in (content if several else [content]))
    if not found:
        raise InvalidInput("an empty list of prompts", "at least one prompt", "'a person wearing sunglasses'")
    return found


def _parsed(part: str, stop: float) -> Term:
    """Words and up to two numbers behind them; a colon that no number follows belongs to the words."""
    words, numbers = part.strip(), list[float]()
    while ":" in words and len(numbers) < 2:
        rest, last = words.rsplit(":", 1)
        try:
            numbers.insert(0, float(last))
        except ValueError:
            break
        words = rest.strip()
    if not words:
        raise InvalidInput(
            f"the prompt {part!r} without words",
            "words that say what to draw",
            "'a person wearing sunglasses'",
        )
    return Term(words, *numbers, *([1.0, stop][len(numbers) :]))


def _picture(content: Any) -> np.ndarray:
    picture = np.asarray(content)
    if picture.ndim != 3 or picture.shape[-1] != 3 or not np.issubdtype(picture.dtype, np.floating):
        raise InvalidInput(
            f"a prompt of type {type(content).__name__} with shape {picture.shape} and dtype {picture.dtype}",
            "words, or a picture [H, W, 3] of floating numbers in [0, 1]",
            "np.asarray(picture, np.float32) / 255 for a picture of bytes",
        )
    if not np.isfinite(picture).all() or picture.min() < 0 or picture.max() > 1:
        raise InvalidInput(
            f"a picture with values from {picture.min():g} to {picture.max():g}",
            "finite values in [0, 1]",
            "np.clip(picture, 0, 1), or / 255",
        )
    return picture.astype(np.float32)
