"""A regularizer whose weight is found at the start of every picture, from how hard its objective pulls.

    w = share * sum |g_objective| / sum |g_regularizer|,        both with respect to the canvas's parameters

so that, on the first step, the regularizer pulls `share` times as hard as the objective, however loud the unit is. The
weight then stays. Each picture has its own.

A penalty whose own gradient is 0 at the start (the likeness to the photograph that one starts from) cannot be balanced
and is refused; one that is nearly 0 there (distance from grey, of a first picture that is grey) gets a weight that is
far too large later. Balance what is already there at the start: detail, total variation.
"""

from __future__ import annotations

from dataclasses import dataclass

from jax import Array

from diffprog.errors import InvalidInput
from diffprog.vision.regularizers.regularizer import Regularizer


@dataclass(frozen=True)
class Balanced:
    """A regularizer with a weight such that its first gradient is `share` of the objective's.

    Attributes:
      regularizer: whose own weight then does not matter.
      share: of the sum of the absolute gradient, at the start.

    Raises:
      InvalidInput: a share that is not positive.

    Source: Hamblin et al. 2024, "Feature accentuation", whose code balances its regularizer so.
    """

    regularizer: Regularizer
    share: float = 0.1

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise InvalidInput(f"share={self.share!r}", "a positive number", "share=0.1")

    def __call__(self, image: Array) -> Array:
        """The penalty, before it is weighted."""
        return self.regularizer(image)
