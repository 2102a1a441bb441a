"""Everything that can be measured about pictures, in one call.

    report = measure(drawing, photograph, model=net, judges={"lite0": other})

A drawing knows its objective and recipe; of a photograph `objective=` says what to ask of it. What a picture does not
say and nobody gave is left out: None, never a guess. No number says whether a picture is good: a score without a
robust score is noise to which the network happens to respond, and a picture in which other networks see the class can
still be ugly. They are for comparing pictures with each other and with photographs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array

from diffprog.errors import DiffprogError, InvalidInput
from diffprog.graph.objectives import Objective, objective_to_dict
from diffprog.optimize.progress import Progress
from diffprog.vision.measures import pixels
from diffprog.vision.measures.record import Measures
from diffprog.vision.measures.repeat import Repeated, repeated
from diffprog.vision.measures.sight import DRAWS, as_seen, over_grey, scores
from diffprog.vision.measures.subject import Subject, subjects
from diffprog.vision.measures.transfer import transfer, wanted_class
from diffprog.vision.measures.variety import variety
from diffprog.vision.scoring import Model


def measure(
    *pictures: Any,
    model: Model | None = None,
    objective: Objective | None = None,
    judges: Mapping[str, Model] | None = None,
    size: int | None = None,
    draws: int = DRAWS,
    key: Array | int = 0,
    again: bool = False,
    progress: Progress | bool | None = None,
) -> tuple[Measures, ...]:
    """Measure pictures.

    Args:
      *pictures: paths, `Drawing`s, `Photo`s or arrays [H, W, 3]; a file or a drawing may hold several.
      model: the network that they are of; without it only pixels and judges are asked.
      objective: what all of them should excite, in place of what each says of itself.
      judges: name -> a network that had no part, for class scores.
      size: height and width at which the model sees all of them; left out, a drawing is seen as it was drawn, any
        other picture at the model's own size.
      draws: held-out views.
      key: of the views.
      again: also draw every saved drawing again, compare, and tell what it took.
      progress: of that, as in `visualize`.

    Returns:
      The measures of every picture, in order.

    Raises:
      Unreachable, BadFile: a file that is no picture.
      InvalidInput: an array that is none, an objective that the model does not have, or a class that a judge does not.

    Example:
      >>> one = measure(np.random.default_rng(0).random((32, 32, 3)))[0]
      >>> (one.size, round(one.high, 1), one.score)
      ((32, 32), 0.8, None)
    """
    found = [one for picture in pictures for one in subjects(picture)]
    if not found:
        raise InvalidInput("nothing to measure", "at least one picture", "a path, a Drawing or an array")
    found = found if objective is None else [one.of(objective) for one in found]
    rows = [_of_pixels(one) for one in found]
    if model is not None:
        rows = _scored(rows, found, model, size, draws, key)
    if model is not None and again:
        rows = _drawn_again(rows, found, model, progress)
    return tuple(_judged(rows, found, judges or {}))


def _of_pixels(subject: Subject) -> Measures:
    picture = over_grey(subject.pixels)
    height, width = picture.shape[:2]
    notes, small, colored = subject.notes, min(height, width) < pixels.LEAST_SIDE, picture.shape[-1] == 3
    if small:
        notes = (*notes, f"too small for a spectrum: at least {pixels.LEAST_SIDE} pixels each way")
    return Measures(
        name=subject.name,
        title=subject.title,
        size=(height, width),
        slope=None if small else pixels.spectral_slope(picture),
        high=None if small else pixels.high_frequency_share(picture),
        colors=pixels.color_distance(picture) if colored else None,
        wanted=None if subject.objective is None else wanted_class(subject.objective),
        notes=notes,
    )


def _scored(
    rows: list[Measures], found: list[Subject], model: Model, size: int | None, draws: int, key: Array | int
) -> list[Measures]:
    """With what the model makes of them: pictures of one form through one compiled program."""
    rows, name = list(rows), getattr(model, "name", None)
    own = getattr(model, "input_size", None)
    groups: dict[Any, list[int]] = {}
    seen: dict[int, np.ndarray] = {}
    for number, one in enumerate(found):
        if one.objective is None:
            continue
        seen[number] = as_seen(one.pixels, one.recipe, size or (None if one.recipe is not None else own))
        groups.setdefault(_form(one, seen[number].shape), []).append(number)
    for numbers in groups.values():
        images = np.stack([seen[number] for number in numbers])
        objectives = [_objective(found[number]) for number in numbers]
        results = zip(*scores(model, objectives, images, draws=draws, key=key), strict=True)
        for number, (plain, mean, low) in zip(numbers, results, strict=True):
            rows[number] = replace(
                rows[number],
                model=name, seen=images.shape[1:3], score=float(plain), robust=float(mean), low=float(low),
            )  # fmt: skip
    return _varied(rows, found, seen, model)


def _varied(
    rows: list[Measures], found: list[Subject], seen: dict[int, np.ndarray], model: Model
) -> list[Measures]:
    """With how different the drawings of one unit by one recipe are."""
    groups: dict[Any, list[int]] = {}
    for number, image in seen.items():
        recipe = found[number].recipe
        if recipe is not None:
            unit = _written(_objective(found[number]))
            groups.setdefault((unit, str(recipe), image.shape), []).append(number)
    for numbers in groups.values():
        if len(numbers) > 1:
            images = np.stack([seen[number] for number in numbers])
            how = variety(model, images, objective=_objective(found[numbers[0]]))
            for number in numbers:
                rows[number] = replace(rows[number], variety=how)
    return rows


def _drawn_again(
    rows: Sequence[Measures], found: Sequence[Subject], model: Model, progress: Progress | bool | None
) -> list[Measures]:
    """With what drawing them again gave, file by file; what cannot be drawn again says why."""
    told: dict[Path, Repeated | str] = {}
    for one in found:
        if one.path is None or one.recipe is None or one.path in told:
            continue
        try:
            told[one.path] = repeated(one.path, model, progress)
        except DiffprogError as error:
            told[one.path] = f"not drawn again: {error.got}"
    return [
        _told(row, told.get(one.path) if one.path else None) for row, one in zip(rows, found, strict=True)
    ]


def _told(row: Measures, again: Repeated | str | None) -> Measures:
    if isinstance(again, str):
        return replace(row, notes=(*row.notes, again))
    return replace(row, repeated=again)


def _judged(
    rows: Sequence[Measures], found: Sequence[Subject], judges: Mapping[str, Model]
) -> list[Measures]:
    asked = [
        n for n, row in enumerate(rows) if row.wanted is not None and found[n].pixels.shape[-1] in (3, 4)
    ]
    images = [over_grey(found[number].pixels) for number in asked]
    verdicts = transfer(judges, images, [rows[number].wanted or 0 for number in asked])
    told = dict(zip(asked, verdicts, strict=True))
    return [replace(row, transfer=told.get(number, ())) for number, row in enumerate(rows)]


def _form(subject: Subject, shape: tuple[int, ...]) -> Any:
    """What pictures have in common that one compiled program can score; those that are compared, only one drawing."""
    objective = _objective(subject)
    leaves, tree = jax.tree.flatten(objective)
    alone = (id(subject.recipe), _written(objective)) if objective.joint else None
    return tree, tuple(np.shape(leaf) for leaf in leaves), shape, alone


def _objective(subject: Subject) -> Objective:
    assert subject.objective is not None
    return subject.objective


def _written(objective: Objective) -> str:
    return json.dumps(objective_to_dict(objective), sort_keys=True)
