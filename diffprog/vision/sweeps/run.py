"""Draw all units of whole layers: in groups, over all devices, and never the same unit twice.

Every unit has its own key, so its picture is the one `visualize` draws with that key. Groups are the same whatever is
already there: a sweep that was killed and goes on gives the pictures, bit for bit, of one that never stopped.
Pictures are written as soon as they are drawn and then forgotten, so memory does not grow with the sweep.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput, Unreachable
from diffprog.graph.objectives import channel
from diffprog.optimize.progress import Progress, Told, bar, silent
from diffprog.vision.canvases import Fourier
from diffprog.vision.canvases.canvas import height_width
from diffprog.vision.drawing import Drawing
from diffprog.vision.parts import Job, Part
from diffprog.vision.placement import Placement
from diffprog.vision.program import DEFAULT_SIZE, Program
from diffprog.vision.recipes import CHANNEL, CLASSES, Recipe, default_for
from diffprog.vision.scoring import Model, trace_model
from diffprog.vision.sweeps import manifest, natural
from diffprog.vision.sweeps.page import write_page
from diffprog.vision.sweeps.units import Unit, counted, units_of

SIZE, STEPS = 128, 128
DECAY = 1.0  # few steps leave the flatter spectrum of the defaults grey


class Sweep(NamedTuple):
    """A folder of pictures.

    Attributes:
      folder: where `index.html`, `manifest.json` and the pictures are.
      drawn: how many pictures were drawn this time.
      units: how many were asked for.
      stopped: 'finished' or 'interrupted'.
    """

    folder: Path
    drawn: int
    units: int
    stopped: str

    @property
    def page(self) -> Path:
        """The page to open."""
        return self.folder / "index.html"


def sweep(
    model: Model,
    layers: str | Sequence[str],
    folder: str | os.PathLike[str],
    *,
    channels: Sequence[int] | None = None,
    recipe: Recipe | None = None,
    size: int | None = None,
    steps: int | None = None,
    key: Array | int = 0,
    group: int | None = None,
    photographs: str | os.PathLike[str] | None = None,
    devices: Sequence[jax.Device] | None = None,
    progress: Progress | bool | None = None,
) -> Sweep:
    """Draw every channel of the layers into a folder, or what is missing there.

    Args:
      model: any JAX function of pictures [B, H, W, 3].
      layers: names, or patterns such as `fire*/expand3x3`.
      folder: made if it is not there; a sweep that is there, of the same kind, goes on.
      channels: of every layer; None: all.
      recipe: how to draw; left out, `short(model, layers)`: `recipes.CHANNEL` at 128 pixels and 128 steps.
      size: height and width in pixels, in place of the recipe's.
      steps: in place of the recipe's.
      key: a number or a PRNG key; every unit has its own, folded in from the layer's name and the channel.
      group: pictures drawn at once; None: as many as there are devices on CPUs, 16 for each elsewhere.
      photographs: a folder of pictures: those that excite a unit most are shown beside its picture.
      devices: which to use; None: all, those of other processes too.
      progress: True for a bar with the units done and the seconds left; or a progress of your own.

    Returns:
      A `Sweep`; open its `page`. Interrupted, it says so, and all pictures that were finished are there.

    Raises:
      InvalidInput: an unknown layer or channel, a folder that holds another sweep, a group that the devices cannot
        share out, settings that cannot be drawn with.
      BadFile: the folder's manifest or a photograph cannot be read.
      Unreachable: the folder cannot be made or written, or the disk is full.
    """
    recipe = _settled(recipe or short(model, layers), model, size, steps)
    key = jax.random.key(key) if isinstance(key, int) else key
    found = list(jax.devices() if devices is None else devices)
    count = _group(group, found)
    placement = Placement(count, found) if len(found) > 1 else None
    graph = trace_model(model, (1, *height_width(recipe.size or DEFAULT_SIZE), 3))
    units = units_of(graph, [layers] if isinstance(layers, str) else layers, channels)
    beside = natural.photographs(photographs) if photographs is not None else []
    home = _made(Path(folder))
    wanted = {
        "model": getattr(model, "name", None),
        "network": manifest.fingerprint(graph),
        "recipe": recipe.to_dict(),
        "key": np.asarray(jax.random.key_data(key)).tolist(),
        "group": count,
    }
    if jax.process_index() == 0:
        manifest.claim(home, wanted, units)
    _everyone("claimed")
    drawn, stopped = list[int](), "finished"
    report = bar("sweep", _score) if progress is True else progress or silent
    with report(counted(units)) as told:
        try:
            drawn.extend(_drawn(model, units, recipe, key, count, placement, home, told))
        except KeyboardInterrupt:
            stopped = "interrupted"
    if jax.process_index() == 0:
        write_page(home, model, beside)
    _everyone("told")
    return Sweep(home, sum(drawn), counted(units), stopped)


def short(model: Model, layers: str | Sequence[str]) -> Recipe:
    """The default recipe for many small pictures of few steps; the model's own only if all of them are classes."""
    if CLASSES.issuperset([layers] if isinstance(layers, str) else layers):
        return default_for(model).replace(size=SIZE, steps=STEPS, canvas=Fourier(decay=DECAY))
    return CHANNEL.replace(size=SIZE, steps=STEPS)


def _drawn(
    model: Model, units: Mapping[str, Sequence[Unit]], recipe: Recipe, key: Array, count: int,
    placement: Placement | None, home: Path, told: Told,
) -> Iterator[int]:  # fmt: skip
    """Draw what is missing, group by group; yields how many pictures of each were missing."""
    behind = 0
    for layer, own in units.items():
        program: Program | None = None
        for start in range(0, len(own), count):
            some = own[start : start + count]
            behind += len(some)
            missing = [unit for unit in some if not manifest.done(home, unit)]
            _everyone("looked")  # before anyone writes, so that all processes draw the same groups
            if not missing:
                continue
            program = program or Program(model, [channel(layer, 0)], recipe, count, placement)
            part = _group_drawn(program, some, key)
            for number, unit in enumerate(some):
                if unit in missing and number % jax.process_count() == jax.process_index():
                    _write(home, unit, key, part, number, recipe, getattr(model, "name", None))
            told(behind, part)
            yield len(missing)


def _group_drawn(program: Program, some: Sequence[Unit], key: Array) -> Part:
    """A whole group, filled up with its last unit, as it would be drawn with nothing there."""
    padded = [*some, *[some[-1]] * (program.group - len(some))]
    part = program.draw([Job(channel(u.layer, u.channel), u.key(key)) for u in padded], silent)
    if part.stopped == "interrupted":
        raise KeyboardInterrupt
    return part


def _write(
    home: Path, unit: Unit, key: Array, part: Part, number: int, recipe: Recipe, model: str | None
) -> None:
    """One picture of a group, as `visualize` would have drawn and saved it."""
    words = np.asarray(jax.random.key_data(unit.key(key))).tolist()
    drawing = Drawing(
        images=part.images[number : number + 1],
        scores=part.scores[number : number + 1],
        robust_scores=part.robust_scores[number : number + 1],
        history=part.history[:, number : number + 1],
        recipe=recipe,
        objectives=(channel(unit.layer, unit.channel),),
        keys=(tuple(words),),
        model=model,
        title=f"{unit.layer}:{unit.channel}",
        stopped=part.stopped,
    )
    path = home / unit.file
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.save(path)


def _everyone(reached: str) -> None:
    """Wait for the other processes, if there are any."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils  # for several processes only

        multihost_utils.sync_global_devices(f"diffprog sweep: {reached}")


def _score(part: Part) -> float:
    return float(np.mean(part.scores))


def _group(group: int | None, devices: Sequence[jax.Device]) -> int:
    if group is None:
        return len(devices) * (1 if devices[0].platform == "cpu" else 16)
    if isinstance(group, bool) or not isinstance(group, int) or group < 1:
        raise InvalidInput(
            f"group={group!r}", "a whole number of pictures, at least 1", "group=None, which chooses"
        )
    return group


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unreachable(
            f"the folder {folder} cannot be made: {error.strerror or error}",
            "a folder that is there or can be made",
            "another folder",
        ) from None
    if jax.process_index() == 0:
        for part in folder.rglob(".*.part"):  # what a killed sweep was writing
            with suppress(OSError):
                part.unlink()
    return folder


def _settled(recipe: Recipe, model: Any, size: int | None, steps: int | None) -> Recipe:
    changes: dict[str, Any] = {} if steps is None else {"steps": steps}
    chosen = size if size is not None else recipe.size
    changes["size"] = chosen if chosen is not None else getattr(model, "input_size", DEFAULT_SIZE)
    return recipe.replace(**changes)
