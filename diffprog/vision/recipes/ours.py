"""Our own recipes, and which of them a network gets when none is asked for."""

from __future__ import annotations

from typing import Any

from diffprog.graph.objectives import OUTPUT, Objective
from diffprog.vision import canvases, regularizers, transforms
from diffprog.vision.recipes.optimizers import Adam
from diffprog.vision.recipes.published import LUCID
from diffprog.vision.recipes.recipe import Recipe

CLASSES = {OUTPUT, "logits"}  # the layers whose units are classes

PIXEL = Recipe(canvas=canvases.Pixel(), redirect_steps=0)
"""Bare gradient ascent on pixels: what every other recipe is better than."""

DEFAULT = Recipe(
    canvas=canvases.Fourier(decay=0.6),
    transforms=(
        transforms.NormalizeGradient(),
        transforms.ScaleBetween(0.5, 1.2),
        transforms.RotateBetween(20.0),
        transforms.Shift(24.0),
        transforms.Mirror(),
        transforms.ContrastBetween(0.5, 1.0),
    ),
    regularizers=(regularizers.TotalVariation(80.0),),
    optimizer=Adam(0.05),
    redirect_always=False,
    class_probability=1.0,
)
"""Our default.

Wide scales and total variation make a few clear objects instead of a collage. A spectrum flatter than Lucid's keeps
large areas from saturating to black and white. The gradient's length is normalized so that one weight of the total
variation fits loud and quiet units alike. A picture that must be seen through haze as well has stronger lines and
colours. `tests/benchmarks/recognition.py` measures what other networks see.
"""

NATURAL = DEFAULT.replace(
    transforms=(transforms.Fade(0.7), *DEFAULT.transforms[:-1]),
    regularizers=(regularizers.TotalVariation(40.0),),
    stochastic_depth=0.5,
    branch_gradient=0.5,
    naturalness=200.0,
)
"""Our default for classes of networks that remember what natural pictures look like inside (`Network.statistics`).

They are asked for natural colours and textures, without which their pictures are faint and grey. Haze is left out: it
changes the statistics, and other networks recognize less. What a deep network draws is its own business unless it is
drawn through many shallower ones, whose gradient prefers what the early layers see. `docs/visualize.md` has what
each part is worth.
"""

CHANNEL = LUCID.replace(size=None, redirect_always=False)
"""Our default for units inside a network: Lucid's recipe at the network's own size.

A class is one object, which wide scales and total variation ask for. A channel wants its thing everywhere: in the
default of classes it is drawn pale, and an EfficientNet's with natural pictures so strongly in mind that all channels
of a layer look alike.
"""

TRANSPARENT = LUCID.replace(
    canvas=canvases.Transparent(),
    transforms=(transforms.OnBackground(), *LUCID.transforms),
    regularizers=(regularizers.Balanced(regularizers.Opacity(), 0.05),),
)
"""Lucid's recipe on a transparent canvas: only what excites the unit is opaque, and the PNG keeps it so.

Lucid's own sweeps with alpha multiply the objective by 1 - mean opacity; here opacity pays a price that is balanced
against the objective at the start. On SqueezeNet's chameleon (96 steps) a share of .1 leaves a head with a fifth of
the picture opaque, and none leaves two thirds. Our default's transforms do not take to this canvas: the class does not
rise at all in as many steps.
"""


def default_for(model: Any, objective: Objective | None = None) -> Recipe:
    """The recipe that is taken when none is asked for.

    Args:
      model: what is drawn from.
      objective: what is drawn; left out, a class.

    Returns:
      `CHANNEL` for what is inside the network; for classes `NATURAL` if it carries statistics of natural pictures,
      else `DEFAULT`.
    """
    if objective is not None and objective.layers - CLASSES:
        return CHANNEL
    return NATURAL if getattr(model, "statistics", None) else DEFAULT
