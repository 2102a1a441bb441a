"""Draw what excites a unit of any network that is a function of pictures.

    argmax_x  y_j(x) - lambda R(x)      over the parameters of a canvas, seen through random transforms

One picture is one optimization of its own, with its own key: picture i of several is the picture one gets from its
key alone. On CPUs pictures are drawn one after the other, because that is faster than batches there; on
accelerators all at once. Different units of one layer share one compiled program. An objective that compares pictures
with each other (diversity, alignment, interpolation) draws the n pictures of one objective as one group everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.objectives import Objective
from diffprog.optimize.progress import Progress, Told, bar, silent
from diffprog.vision.canvases import Size
from diffprog.vision.drawing import Drawing
from diffprog.vision.parts import Job, Part
from diffprog.vision.program import DEFAULT_SIZE, Program
from diffprog.vision.recipes import Recipe, default_for
from diffprog.vision.scoring import Model
from diffprog.vision.steady import steady

PATIENCE = 32  # steps: a unit that is silent for fewer may only not have been woken yet


def visualize(
    model: Model,
    objective: Objective | Sequence[Objective],
    *,
    recipe: Recipe | None = None,
    size: Size | None = None,
    steps: int | None = None,
    n: int = 1,
    key: Array | int | None = None,
    title: str | None = None,
    progress: Progress | bool | None = None,
) -> Drawing:
    """Pictures that maximize an objective.

    Args:
      model: any JAX function of pictures [B, H, W, 3], RGB in [0, 1]; a `Network`, a Flax module, a lambda.
      objective: what to excite, or a list of them, all of the same form, drawn in turn.
      recipe: how to draw, see `diffprog.vision.recipes`; left out, `recipes.default_for(model, objective)`, with small
        moves (`steady`) for objectives that compare with another picture position by position.
      size: height and width in pixels, or (height, width), in place of the recipe's (and of the model's `input_size`).
        A photograph's or a generator's canvas has a size of its own.
      steps: in place of the recipe's.
      n: how many pictures of every objective, each with a key of its own.
      key: a number s, and picture i has the key of number s + i (0 when left out); or a PRNG key, and it has
        that key folded with i; or an array of n keys, one for each picture.
      title: what the picture is of, for people.
      progress: True for a bar with the score and the seconds left; or a progress of your own.

    Returns:
      A `Drawing` of n pictures for every objective, objective by objective.

    Raises:
      InvalidInput: sizes, steps or n below one; an unknown layer or a channel out of range; a model that
        cannot take such pictures or does not return an array with a row for each; an objective whose gradient is
        zero everywhere; more memory than there is.
    """
    objectives = [objective] if isinstance(objective, Objective) else list(objective)
    _check_request(objectives, n)
    recipe = _settled(recipe or _default(model, objectives), model, size, steps)
    keys = picture_keys(key, n)
    jobs = [Job(o, k) for o in objectives for k in keys]
    group = _group(objectives[0], recipe, n, len(jobs))
    program = Program(model, objectives, recipe, group)
    report = bar(title or "drawing", _score) if progress is True else (progress or silent)
    parts: list[Part] = []
    with report(len(jobs) // group * recipe.steps) as told:
        for start in range(0, len(jobs), group):
            parts.append(program.draw(jobs[start : start + group], _from(len(parts) * recipe.steps, told)))
            if parts[-1].stopped == "interrupted":
                break
    _check_silence(program, parts, [job.objective for job in jobs])
    return _drawing(parts, recipe, keys, objectives, title, getattr(model, "name", None))


def _default(model: Model, objectives: Sequence[Objective]) -> Recipe:
    first = objectives[0]
    return steady(default_for(model)) if first.placed else default_for(model, first)


def _group(objective: Objective, recipe: Recipe, n: int, count: int) -> int:
    """How many pictures are drawn at once."""
    if objective.joint:
        return n
    shared = hasattr(recipe.canvas, "init_all")  # pictures that share parameters are one group
    return 1 if jax.default_backend() == "cpu" and not shared else count


def _check_silence(program: Program, parts: Sequence[Part], objectives: Sequence[Objective]) -> None:
    """Refuse to call it a drawing when the score of no picture ever moved for want of a gradient."""
    if any(part.stopped != "finished" or len(part.history) < PATIENCE for part in parts):
        return
    if any(np.ptp(part.history, axis=0).any() for part in parts):
        return
    error = program.why_silent(objectives[: program.group], parts[0].images)
    if error:
        raise error


def _from(done: int, told: Told) -> Progress:
    """The part of a longer progress that starts when `done` steps are behind."""

    @contextmanager
    def progress(total: int) -> Iterator[Told]:
        yield lambda step, report: told(done + step, report)

    return progress


def _score(report: Any) -> float:
    return float(np.mean(report.record))


def _drawing(
    parts: Sequence[Part], recipe: Recipe, keys: Array, objectives: Sequence[Objective],
    title: str | None, model: str | None,
) -> Drawing:  # fmt: skip
    shortest = min(part.history.shape[0] for part in parts)
    bad = [part.stopped for part in parts if part.stopped != "finished"]
    return Drawing(
        images=np.concatenate([part.images for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        robust_scores=np.concatenate([part.robust_scores for part in parts]),
        history=np.concatenate([part.history[:shortest] for part in parts], axis=1),
        recipe=recipe,
        objectives=tuple(objectives),
        keys=tuple(tuple(int(word) for word in words) for words in np.asarray(jax.random.key_data(keys))),
        model=model,
        title=title,
        stopped=bad[0] if bad else "finished",
    )


def _settled(recipe: Recipe, model: Model, size: Size | None, steps: int | None) -> Recipe:
    changes: dict[str, Any] = {} if steps is None else {"steps": steps}
    size = size if size is not None else getattr(recipe.canvas, "size", recipe.size)
    changes["size"] = size if size is not None else getattr(model, "input_size", DEFAULT_SIZE)
    return recipe.replace(**changes)


def _check_request(objectives: Sequence[Objective], n: int) -> None:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InvalidInput(f"n={n!r}", "a whole number of pictures, at least 1", "n=1")
    forms = {(jax.tree.structure(one), *map(jnp.shape, jax.tree.leaves(one))) for one in objectives}
    if len(forms) != 1 or not all(isinstance(one, Objective) for one in objectives):
        raise InvalidInput(
            f"{len(objectives)} objectives of {len(forms)} different forms",
            "one objective, or several that differ only in channels, positions, directions and weights",
            "drawing those of another form in a call of their own",
        )
    if objectives[0].joint and n < 2:
        raise InvalidInput(
            "n=1 for an objective that compares pictures with each other",
            "at least two pictures, which are drawn together",
            "n=4",
        )


def picture_keys(key: Array | int | None, n: int) -> Array:
    """The keys of n pictures; a picture's key never depends on how many there are.

    Raises:
      InvalidInput: an array of keys of another length than n.
    """
    if key is None or isinstance(key, int):
        return jnp.stack([jax.random.key((key or 0) + number) for number in range(n)])
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    keys: Array = key if typed else jax.random.wrap_key_data(key)
    if keys.ndim == 0:
        return jax.vmap(jax.random.fold_in, (None, 0))(keys, jnp.arange(n))
    if keys.shape != (n,):
        raise InvalidInput(
            f"keys of shape {keys.shape}", f"one key, or {n} of them", f"jax.random.split(key, {n})"
        )
    return keys
