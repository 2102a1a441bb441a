"""Do networks that had no part in a picture see in it what was wanted? Rank and probability of the wanted class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from diffprog.errors import InvalidInput
from diffprog.graph.objectives import OUTPUT, Constant, Objective
from diffprog.graph.objectives.expression import Product
from diffprog.graph.objectives.units import Channel, LogProbability
from diffprog.vision.measures.sight import DEFAULT_SIZE, as_seen
from diffprog.vision.scoring import Model


class Transfer(NamedTuple):
    """What one network says of one picture.

    Attributes:
      judge: its name.
      rank: the place of the wanted class among all, 1 for the first.
      probability: of the wanted class.
      first: the class that it holds likeliest.
    """

    judge: str
    rank: int
    probability: float
    first: int

    @property
    def top1(self) -> bool:
        """Whether the wanted class is the first."""
        return self.rank == 1

    @property
    def top5(self) -> bool:
        """Whether it is among the first five."""
        return self.rank <= 5


def wanted_class(objective: Objective) -> int | None:
    """The one class that an objective asks for; None for units of layers, and for several classes at once.

    Example:
      >>> from diffprog.graph.objectives import channel, logit
      >>> wanted_class(2 * logit(7) - logit(9)), wanted_class(channel("conv", 7)), wanted_class(logit(1) + logit(2))
      (7, None, None)
    """
    found = _classes(objective)
    return found.pop() if len(found) == 1 else None


def transfer(
    judges: Mapping[str, Model], images: Sequence[np.ndarray], wanted: Sequence[int]
) -> list[tuple[Transfer, ...]]:
    """What other networks see in pictures, each shown in the network's own size.

    Args:
      judges: name -> a function of pictures [B, H, W, 3] to logits [B, classes].
      images: float32 [H, W, 3] in [0, 1], of any sizes; where one is not square, its middle is shown.
      wanted: the class that each should be.

    Returns:
      For every picture the verdicts, judge by judge.

    Raises:
      InvalidInput: a class that a judge does not have, or a judge whose scores are not finite.
    """
    return [
        tuple(_verdict(name, judge, image, number) for name, judge in judges.items())
        for image, number in zip(images, wanted, strict=True)
    ]


def _verdict(name: str, judge: Model, image: np.ndarray, wanted: int) -> Transfer:
    seen = as_seen(image, None, getattr(judge, "input_size", DEFAULT_SIZE))
    logits = np.asarray(judge(jnp.asarray(seen)[None]))
    if logits.ndim != 2 or not 0 <= wanted < logits.shape[1]:
        raise InvalidInput(
            f"class {wanted} for the judge {name}, which gives {list(logits.shape)} for a picture",
            "a classifier of the same classes as the network that was drawn from",
            "another judge",
        )
    if not np.isfinite(logits).all():
        raise InvalidInput(
            f"scores that are not finite, from the judge {name}",
            "a finite score for every class",
            "another judge",
        )
    rank = 1 + int((logits[0] > logits[0, wanted]).sum())
    weights = np.exp(logits[0].astype(np.float64) - logits[0].max())
    return Transfer(name, rank, float(weights[wanted] / weights.sum()), int(logits[0].argmax()))


def _classes(objective: Objective) -> set[int]:
    if isinstance(objective, LogProbability) or (isinstance(objective, Channel) and objective.name == OUTPUT):
        return {int(objective.index)}
    if isinstance(objective, Product) and _negative(objective):
        return set()
    return set[int]().union(*(_classes(part) for part in objective.parts))


def _negative(product: Any) -> bool:
    constants = [float(part.number) for part in product.parts if isinstance(part, Constant)]
    return any(number <= 0 for number in constants)
