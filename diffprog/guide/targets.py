"""Prompts as numbers: for every one the embeddings e_1 of its terms, their weights and where they stop pulling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog import rules
from diffprog.errors import InvalidInput
from diffprog.guide.prompts import Prompt, Term
from diffprog.guide.scorers import Scorer


class Target(NamedTuple):
    """What a picture is compared with; several prompts carry a leading axis on all three.

    Attributes:
      vectors: e_1 of every term, [T, D].
      weights: [T]; 0 fills up prompts of fewer terms.
      stops: [T].
    """

    vectors: Array
    weights: Array
    stops: Array


def targets(prompts: Sequence[Prompt], scorer: Scorer) -> Target:
    """All prompts as one stacked target [P, T, ...].

    Raises:
      InvalidInput: words that the scorer cannot read, embeddings of different sizes, or a prompt that becomes NaN.
    """
    most = max(len(one.terms) for one in prompts)
    width = jax.eval_shape(
        scorer.look, jax.ShapeDtypeStruct((1, scorer.size, scorer.size, 3), jnp.float32)
    ).shape
    rows = [_target(one, scorer, most, width) for one in prompts]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *rows)


def score(target: Target, seen: Array, scorer: Scorer, *, pulling: bool = False) -> Array:
    """The weighted similarity of one embedding, or of several, to one target.

    Args:
      target: of one prompt.
      seen: e_2, [..., D].
      scorer: whose similarity it is.
      pulling: whether terms beyond their stop give no more, as while optimizing.

    Returns:
      [...].
    """
    alike = scorer.similarity(seen[..., None, :], target.vectors)  # [..., T]
    signed = alike * jnp.sign(target.weights)
    signed = jnp.minimum(signed, target.stops) if pulling else signed
    return jnp.sum(jnp.abs(target.weights) * signed, -1)


def _target(prompt: Prompt, scorer: Scorer, most: int, width: tuple[int, ...]) -> Target:
    vectors = np.stack([np.asarray(_embedded(term, scorer)) for term in prompt.terms])
    if vectors.ndim != 2 or len(width) != 2 or vectors.shape[1:] != width[1:]:
        raise InvalidInput(
            f"embeddings of texts {vectors.shape[1:]} and of pictures {width[1:]} by {scorer.name}",
            "vectors of one length, or they cannot be compared",
            "the text tower that belongs to the picture tower",
        )
    if not np.isfinite(vectors).all():
        raise InvalidInput(
            f"the prompt {prompt}, whose embedding by {scorer.name} is not finite",
            "finite numbers",
            "other weights",
        )
    fill = most - len(vectors)
    return Target(
        jnp.asarray(
            np.pad(vectors, ((0, fill), (0, 0)), mode="edge")
        ),  # a vector of zeros would have no direction
        jnp.asarray([*(term.weight for term in prompt.terms), *[0.0] * fill], jnp.float32),
        jnp.asarray([*(term.stop for term in prompt.terms), *[jnp.inf] * fill], jnp.float32),
    )


def _embedded(term: Term, scorer: Scorer) -> Array:
    """e_1 of one term: [D]."""
    if isinstance(term.content, str):
        return scorer.read([term.content])[0]
    shape = (1, scorer.size, scorer.size, 3)
    picture = rules.resize(jnp.asarray(term.content)[None], shape, "bicubic").clip(0, 1)
    return (scorer.see or scorer.look)(picture)[0]
