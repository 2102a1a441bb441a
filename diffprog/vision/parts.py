"""What goes into a group of pictures and what comes out: the jobs, what a step takes beside its state, the parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jax import Array

from diffprog.graph.objectives import Objective


class Job(NamedTuple):
    """One picture to draw."""

    objective: Objective
    key: Array


class Part(NamedTuple):
    """A group of pictures as drawn; `history` is [steps, pictures]."""

    images: np.ndarray
    scores: np.ndarray
    robust_scores: np.ndarray
    history: np.ndarray
    stopped: str


class Arguments(NamedTuple):
    """What a step takes beside its state.

    Attributes:
      scored: the objective that is told.
      driven: what the picture follows: the objective, with the class's log-probability where the recipe has it.
      prior: what the recipe wants of every picture.
      consts: the network's parameters.
      weights: of the regularizers, [pictures, regularizers].
    """

    scored: Objective
    driven: Objective
    prior: Objective
    consts: Sequence[Any]
    weights: Array


def chosen(first: np.ndarray, one: Part, other: Part) -> Part:
    """Picture by picture, that of one group where `first`, else that of the other."""
    rows = min(len(one.history), len(other.history))

    def pick(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(first.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return Part(
        pick(one.images, other.images),
        pick(one.scores, other.scores),
        pick(one.robust_scores, other.robust_scores),
        np.where(first, one.history[:rows], other.history[:rows]),
        one.stopped if one.stopped != "finished" else other.stopped,
    )
