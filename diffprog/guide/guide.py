"""From words to pictures: move the latent of any generator until any scorer finds what the words say.

    argmax_z  mean over views v of  sim(e_2(v(G(z))), e_1) - price(z)

    sentence -> e_1                                    once
    z -> G(z) -> views -> e_2                          at every step, and the gradient back to z

Every member of the population is drawn many times and begins with the draw that scores best. What it remembers as its
best is by the score of the picture as it is, which it does not optimize. Built on `diffprog.optimize`: its loop, its
checkpoints, its rules of stopping.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.guide.augments import WINDOWS, Augment
from diffprog.guide.generators import Generator, as_generator
from diffprog.guide.guided import Guided
from diffprog.guide.members import OnEach, started
from diffprog.guide.methods import Adam, as_transformation
from diffprog.guide.priors import Chi, Free, Prior
from diffprog.guide.program import Program, program
from diffprog.guide.prompts import Prompt, prompts
from diffprog.guide.scorers import as_scorer, words
from diffprog.guide.targets import targets
from diffprog.models import load
from diffprog.optimize import Checkpoint, Result, optimize
from diffprog.optimize.loop import Callback
from diffprog.optimize.progress import Progress, bar, silent
from diffprog.vision.visualize import picture_keys

STEPS = 150
SCREEN = 32
DEFAULT_METHOD = Adam(0.05)
DEFAULT_PRIOR = Chi(0.01)


def guide(
    prompt: Any,
    *,
    generator: Any = None,
    scorer: Any = None,
    prior: Prior | None = None,
    augment: Augment = WINDOWS,
    method: Any = None,
    n: int = 8,
    steps: int = STEPS,
    screen: int = SCREEN,
    ema: float = 0.9,
    key: Array | int | None = None,
    start: Any = None,
    chunks: int = 1,
    remat: bool = False,
    trajectory: bool = False,
    progress: Progress | bool | None = None,
    callback: Callback | None = None,
    checkpoint: Checkpoint | None = None,
) -> Guided:
    """Pictures that do what a prompt says.

    Args:
      prompt: words, a picture, or a `prompt(...)` of several with weights; or a list of them, all drawn at once.
      generator: a generator network, a canvas, a `Generator`; left out, `models.load("dcgan-faces")`.
      scorer: a `Scorer`, a network (the words must name a class), or anything with embeddings of pictures and texts;
        left out, `scorers.words()`.
      prior: what keeps latents where the generator was trained; left out, the generator's own, else `Chi(0.01)` for
        generators of normal latents and `Free()` for others.
      augment: the random views under which pictures must score.
      method: an `Adam(...)` of this room, with its schedule, or any optax transformation; left out, the generator's
        own, else `Adam(0.05)`.
      n: how many members for every prompt, each with a key of its own.
      steps: of the method.
      screen: how many draws every member begins from, of which the best by the plain score is taken.
      ema: decay of the running average of the latents; what is better of it and of the best on the way is returned.
      key: a number s, and member i has the key of number s + i; a PRNG key, folded with i; or an array of n keys.
      start: latents to begin from, leaves [prompts * n, ...], in place of draws.
      chunks: look at the views in so many parts, one after the other: the same gradient in less memory.
      remat: do not keep what the generator computed, but compute it again for the gradient.
      trajectory: keep the pictures of every step.
      progress: True for a bar with the score and the seconds left; or a progress of your own.
      callback: as of `optimize`.
      checkpoint: where to keep the run; if the file is there, the run goes on from it, bit for bit.

    Returns:
      A `Guided` with n pictures for every prompt. Ctrl-C returns what there is. A member whose score is no longer
      finite moves no more and returns its best so far, while the others go on.

    Raises:
      InvalidInput: an empty prompt or one that the scorer cannot read, numbers out of range, a generator or scorer of
        another form, a start of another shape.
      Unreachable: weights that are not in the cache and cannot be fetched.

    Example:
      >>> from diffprog.vision.canvases import Fourier
      >>> from diffprog.guide import generators, scorers
      >>> small, scorer = generators.canvas(Fourier(), 32), scorers.classifier("squeezenet")
      >>> made = guide("sunglasses", generator=small, scorer=scorer, n=1, steps=2, screen=1)
      >>> made.images.shape, made.stopped
      ((1, 32, 32, 3), 'finished')
    """
    wishes = prompts(prompt)
    check_numbers(n=(n, 1), steps=(steps, 1), screen=(screen, 1), chunks=(chunks, 1))
    making = as_generator(load("dcgan-faces") if generator is None else generator)
    scoring = as_scorer(words() if scorer is None else scorer)
    method = next(one for one in (method, making.method, DEFAULT_METHOD) if one is not None)
    usual = DEFAULT_PRIOR if making.normal else Free()
    price = next(one for one in (prior, making.prior, usual) if one is not None)
    moving = OnEach(as_transformation(method, steps), price, ema)
    parts = program(making, scoring, augment, price, chunks, trajectory, remat)
    own = picture_keys(key, n)
    keys = jnp.tile(own, len(wishes))
    wanted = jax.tree.map(lambda leaf: jnp.repeat(leaf, n, 0), targets(wishes, scoring))
    args = (wanted, parts.consts)
    latents = parts.screen(keys, *args, screen) if start is None else _started(making, start, len(keys))
    first_images, first_scores = parts.scores(latents, *args)
    run = optimize(
        parts.cost, started(latents), moving, steps=steps, key=keys, args=args, callback=callback,
        checkpoint=checkpoint, progress=_shown(progress),
    )  # fmt: skip
    settings = {
        "generator": making.name,
        "scorer": scoring.name,
        "prior": repr(price),
        "augment": repr(augment),
        "method": repr(method) if isinstance(method, Adam) else f"optax, of {type(method).__name__}",
        "steps": steps,
        "screen": screen if start is None else "a start was given",
        "ema": ema,
        "n": n,
    }
    everyone = tuple(wish for wish in wishes for _ in range(n))
    return _told(parts, run, keys, args, ema, everyone, settings, (first_images, first_scores))


def _told(
    parts: Program, run: Result, keys: Array, args: tuple[Any, ...], ema: float, wishes: tuple[Prompt, ...],
    settings: dict[str, Any], first: tuple[Array, Array],
) -> Guided:  # fmt: skip
    found = parts.judge(run.value, keys, *args, ema, jnp.asarray(run.steps))
    look = run.records
    empty = np.zeros((0, len(keys)), np.float32)
    history = {
        name: empty if look is None else getattr(look, name) for name in ("plain", "augmented", "price")
    }
    lost = int(np.sum(~np.isfinite(look.cost[-1]))) if look is not None and len(look.cost) else 0
    why = run.why + (
        f" {lost} of {len(keys)} members stopped where their score was not finite." if lost else ""
    )
    return Guided(
        images=np.asarray(found.images),
        latents=jax.tree.map(np.asarray, found.latents),
        scores=np.asarray(found.scores),
        augmented=np.asarray(found.augmented),
        start_images=np.asarray(first[0]),
        start_scores=np.asarray(first[1]),
        history=history,
        frames=None if look is None else look.frames,
        prompts=wishes,
        keys=tuple(tuple(int(word) for word in words) for words in np.asarray(jax.random.key_data(keys))),
        settings=settings,
        stopped=run.stopped,
        why=why,
    )


def _shown(progress: Progress | bool | None) -> Progress:
    if progress is True:
        return bar("guiding", lambda report: float(np.mean(report.record.plain)))
    return progress or silent


def _started(generator: Generator, start: Any, count: int) -> Any:
    """A start as arrays, if it is a stack of this generator's latents."""
    one = jax.eval_shape(generator.draw, jax.random.key(0))
    wanted = jax.tree.map(lambda leaf: (count, *leaf.shape), one)
    got = jax.tree.map(jnp.shape, start)
    if got != wanted:
        raise InvalidInput(
            f"a start of shape {got}",
            f"{wanted}: a latent of {generator.name} for every prompt and member",
            "the `latents` of an earlier run, or jax.vmap(generator.draw)(jax.random.split(key, n))",
        )
    return jax.tree.map(lambda leaf, like: jnp.asarray(leaf, like.dtype), start, one)


def check_numbers(**numbers: tuple[Any, int]) -> None:
    """Refuse what is no whole number of at least so much: name=(number, least)."""
    for name, (number, least) in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise InvalidInput(
                f"{name}={number!r}", f"a whole number of at least {least}", f"{name}={max(least, 8)}"
            )
