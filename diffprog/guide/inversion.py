"""Inversion: find the latent whose picture is a given picture.

    argmin_z  mean |G(z) - picture|^2 + price(z)

With the distance of pixels alone, or beside it the likeness that a scorer sees. A generator cannot make every picture:
how near it comes says what it knows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog import rules
from diffprog.errors import InvalidInput
from diffprog.guide.generators import Generator, as_generator, checked
from diffprog.guide.guide import check_numbers
from diffprog.guide.methods import Adam, as_transformation
from diffprog.guide.priors import FREE, Prior
from diffprog.guide.prompts import prompt
from diffprog.guide.scorers import as_scorer
from diffprog.guide.targets import score, targets
from diffprog.guide.views import whole
from diffprog.optimize import Checkpoint, optimize
from diffprog.optimize.progress import Progress, bar, silent

DEFAULT_METHOD = Adam(0.1)
RANGE = 1.0  # the peak of a picture's values, for the signal-to-noise ratio


class Inverted(NamedTuple):
    """A latent and how near its picture is.

    Attributes:
      latent: one latent of the generator.
      image: its picture, float32 [H, W, 3].
      wanted: the picture that was asked for, at the generator's size.
      error: mean squared difference.
      decibels: peak signal-to-noise ratio, -10 log10(error).
      history: [steps, n], the error of every start at every step.
      why: how the run ended.
    """

    latent: Any
    image: np.ndarray
    wanted: np.ndarray
    error: float
    decibels: float
    history: np.ndarray
    why: str


def invert(
    generator: Any,
    picture: Any,
    *,
    scorer: Any = None,
    weight: float = 0.1,
    prior: Prior = FREE,
    method: Any = DEFAULT_METHOD,
    n: int = 4,
    steps: int = 300,
    key: Array | int = 0,
    progress: Progress | bool | None = None,
    checkpoint: Checkpoint | None = None,
) -> Inverted:
    """The latent whose picture is nearest to a picture.

    Args:
      generator: as `guide` takes it.
      picture: float32 [H, W, 3] in [0, 1]; resized to the generator's size.
      scorer: whose likeness to the picture counts as well; None: pixels alone.
      weight: of that likeness.
      prior: what keeps latents where the generator was trained.
      method: as `guide` takes it.
      n: starts, of which the nearest is returned.
      steps: of the method.
      key: a key, or a number for one.
      progress: True for a bar; or a progress of your own.
      checkpoint: where to keep the run.

    Raises:
      InvalidInput: what is no picture; numbers out of range.

    Example:
      >>> from diffprog.guide import generators
      >>> from diffprog.vision.canvases import Pixel
      >>> found = invert(generators.canvas(Pixel(), 8), jnp.full((8, 8, 3), 0.7), n=1, steps=60)
      >>> found.error < 1e-4
      True
    """
    check_numbers(n=(n, 1), steps=(steps, 1))
    making = as_generator(generator)
    wish = prompt(picture if not isinstance(picture, str) else _no_words(picture))
    height, width = checked(making, jax.random.key(0))
    given = jnp.asarray(wish.terms[0].content)
    wanted = rules.resize(given[None], (1, height, width, 3), "bicubic")[0].clip(0, 1)
    liking = None if scorer is None else as_scorer(scorer)
    cost = _cost(making, liking, prior, float(weight))
    target = None if liking is None else jax.tree.map(lambda leaf: leaf[0], targets([wish], liking))
    seed = jax.random.key(key) if isinstance(key, int) else key
    start = jax.vmap(making.draw)(jax.random.split(seed, n))
    shown = (
        bar("inverting", lambda report: float(np.min(report.cost)))
        if progress is True
        else (progress or silent)
    )
    run = optimize(
        cost, start, as_transformation(method, steps), steps=steps, args=(wanted, target), population=True,
        progress=shown, checkpoint=checkpoint,
    )  # fmt: skip
    image = making.images(jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], run.value))[0]
    error = float(jnp.mean((image - wanted) ** 2))
    history = np.zeros((0, n)) if run.records is None else run.records
    return Inverted(
        run.value, np.asarray(image), np.asarray(wanted), error, -10 * np.log10(max(error, 1e-12) / RANGE),
        history, run.why,
    )  # fmt: skip


@lru_cache(maxsize=8)
def _cost(making: Generator, liking: Any, prior: Prior, weight: float) -> Callable[..., Any]:
    def cost(z: Any, wanted: Array, target: Any) -> tuple[Array, Array]:
        image = making.images(jax.tree.map(lambda leaf: leaf[None], z))[0]
        error = jnp.mean((image - wanted) ** 2)
        likeness = jnp.zeros(())
        if liking is not None:
            likeness = score(target, liking.look(whole(image[None], liking.size))[0], liking)
        return error + prior.penalty(z) - weight * likeness, error

    return cost


def _no_words(words: str) -> Any:
    raise InvalidInput(
        f"the words {words!r} to invert",
        "a picture [H, W, 3] in [0, 1]",
        "guide(words, ...), which takes words",
    )
