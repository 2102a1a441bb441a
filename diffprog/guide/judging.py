"""Honest judging: a scorer that had no part looks at what came out, and at what chance would have found.

Optimization raises the score it is given, by pictures that people agree with or by patterns that only this scorer
sees. Three numbers tell them apart: what another scorer thinks of the result, the same for the best of as many random
draws as optimization made pictures, and how far the score of a picture as it is lies from its score under random views
(the adversarial gap).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.errors import InvalidInput
from diffprog.guide.augments import WHOLE
from diffprog.guide.generators import as_generator
from diffprog.guide.guided import Guided
from diffprog.guide.priors import FREE
from diffprog.guide.program import program
from diffprog.guide.scorers import as_scorer
from diffprog.guide.targets import score, targets
from diffprog.guide.views import whole

SEARCH = 0xFFFFFFFB  # folded into the first member's key, where neither steps nor screening draw
BLOCK = 256  # random draws looked at before the best are kept


class Verdict(NamedTuple):
    """What a judge says of the pictures of one prompt; pictures are those that the guiding scorer ranks.

    Attributes:
      prompt: in words.
      judge: the name of the scorer that had no part.
      draws: random draws, as many as optimization made pictures.
      guided: [n], the judge's scores of the guided pictures.
      started: [n], of the pictures that optimization began from.
      random: [n], of the n best of the random draws, best first.
      best_guided: the judge's score of the one that the guiding scorer holds best.
      best_random: the same, of the random draws.
      own_random: [n], the guiding scorer's own scores of the random ones.
      gap: mean score under random views minus mean score as they are, of the guided pictures; far below 0 says
        that the score is a pattern that does not survive a shift.
      random_images: the pictures of the n best draws.
    """

    prompt: str
    judge: str
    draws: int
    guided: np.ndarray
    started: np.ndarray
    random: np.ndarray
    best_guided: float
    best_random: float
    own_random: np.ndarray
    gap: float
    random_images: np.ndarray

    @property
    def prefers(self) -> bool:
        """Whether the judge prefers the best guided picture to the best of the random draws."""
        return self.best_guided > self.best_random

    def __str__(self) -> str:
        word = "prefers" if self.prefers else "does not prefer"
        return (
            f"{self.judge} {word} the guided picture of {self.prompt!r}: {self.best_guided:.3f} against "
            f"{self.best_random:.3f} for the best of {self.draws} random draws; mean of all {len(self.guided)} "
            f"{self.guided.mean():.3f} (at the start {self.started.mean():.3f}) against {self.random.mean():.3f}; "
            f"adversarial gap {self.gap:+.3f}"
        )


def judged(
    made: Guided, *, generator: Any, scorer: Any, judge: Any, draws: int | None = None
) -> tuple[Verdict, ...]:
    """Ask a scorer that had no part, once for every prompt.

    Args:
      made: what `guide` returned.
      generator: which it was made with.
      scorer: which it was made with; it picks the best of the random draws, as it picked the best of the guided.
      judge: another scorer, or a network, or what has embeddings.
      draws: random draws to compare with; left out, as many pictures as one prompt's members made.

    Raises:
      InvalidInput: the judge is the scorer.
    """
    making, scoring, judging = as_generator(generator), as_scorer(scorer), as_scorer(judge)
    if judging is scoring or judging.name == scoring.name:
        raise InvalidInput(
            f"the judge {judging.name}, which is the scorer",
            "a scorer that had no part, of another network at best",
            "scorers.conse('efficientnet-lite1'), or scorers.conse('squeezenet')",
        )
    names = [str(one) for one in made.prompts]
    n = made.settings["n"]
    calls = n * (len(made.history["plain"]) + (made.settings["screen"] if _screened(made) else 0))
    verdicts = []
    for first in range(0, len(names), n):
        part = slice(first, first + n)
        verdicts.append(_verdict(made, part, making, scoring, judging, max(draws or calls, n)))
    return tuple(verdicts)


def _screened(made: Guided) -> bool:
    return isinstance(made.settings["screen"], int)


def _verdict(made: Guided, part: slice, making: Any, scoring: Any, judging: Any, draws: int) -> Verdict:
    prompt, n = made.prompts[part.start], part.stop - part.start
    key = jax.random.wrap_key_data(jnp.asarray(made.keys[part.start], jnp.uint32))
    images, own = _search(making, scoring, prompt, jax.random.fold_in(key, jnp.uint32(SEARCH)), draws, n)
    groups = (made.images[part], made.start_images[part], images)
    guided, started, random = (scores_of(judging, prompt, group) for group in groups)
    best = int(np.argmax(made.scores[part]))
    gap = float(np.mean(made.augmented[part] - made.scores[part]))
    return Verdict(
        str(prompt),
        judging.name,
        draws,
        guided,
        started,
        random,
        float(guided[best]),
        float(random[0]),
        own,
        gap,
        images,
    )


def _search(
    making: Any, scoring: Any, prompt: Any, key: Any, draws: int, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """The n best of so many random draws by the guiding scorer, best first: pictures and scores."""
    parts = program(making, scoring, WHOLE, FREE, 1, False, False)
    wanted = targets([prompt], scoring)
    images, scores = np.zeros((0, parts.height, parts.width, 3), np.float32), np.zeros(0, np.float32)
    for start in range(0, draws, BLOCK):
        # Whole blocks, so that one program serves all; what is drawn too many does not count.
        zs = jax.vmap(making.draw)(jax.random.split(jax.random.fold_in(key, start), BLOCK))
        fresh, theirs = parts.scores(
            zs, jax.tree.map(lambda leaf: jnp.repeat(leaf, BLOCK, 0), wanted), parts.consts
        )
        count = min(BLOCK, draws - start)
        images, scores = np.concatenate([images, fresh[:count]]), np.concatenate([scores, theirs[:count]])
        order = np.argsort(-np.where(np.isfinite(scores), scores, -np.inf), kind="stable")[:n]
        images, scores = images[order], scores[order]
    return images, scores


def scores_of(judging: Any, prompt: Any, images: np.ndarray) -> np.ndarray:
    """A scorer's scores of pictures as they are."""
    target = jax.tree.map(lambda leaf: leaf[0], targets([prompt], judging))

    @jax.jit
    def one(image: jax.Array) -> jax.Array:
        return score(target, judging.look(whole(image[None], judging.size))[0], judging)

    return np.array([float(one(jnp.asarray(image))) for image in images])
