"""Recipes: everything about how a picture is drawn, except what of, as data.

A recipe is a frozen dataclass: print it and it reads like a table, `recipe.replace(steps=64)` is another one,
`recipe.of(photo)` starts from a photograph, and its `to_dict` is what a saved picture carries so that it can be drawn
again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optax
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.skip_gradient import check_decay
from diffprog.graph.stochastic_depth import check_rate
from diffprog.vision.canvases import Canvas, Fourier, Size
from diffprog.vision.canvases.canvas import height_width
from diffprog.vision.recipes.gradients import AverageMaxPool, SmoothMaxPool
from diffprog.vision.recipes.optimizers import Adam
from diffprog.vision.recipes.parts import plain, revived
from diffprog.vision.regularizers import Regularizer
from diffprog.vision.transforms import Transform

Optimizer = Callable[[], optax.GradientTransformation]


@dataclass(frozen=True)
class Recipe:
    """How pictures are drawn.

    Attributes:
      size: height and width of the picture in pixels, one number or (height, width); None takes the canvas's own
        (a photograph's, a generator's) or the network's input size.
      steps: how many steps of the optimizer.
      canvas: how a picture is parameterized.
      transforms: what it must survive, in order; none for bare ascent.
      views: at how many draws of the transforms it is looked at in every step; the objective is their mean.
      regularizers: what it pays for.
      optimizer: how it moves.
      cooldown: over what last share of the steps it moves less and less, down to nothing along a cosine. At full speed
        to the end, the last views leave their noise in the picture.
      overrides: of the network's gradients, in every step.
      stochastic_depth: with what probability the last residual branch of the network is left out in a step, the first
        almost never (see `graph.stochastic_depth`); networks without residual sums stay as they are.
      branch_gradient: how much of the gradient passes the residual branches of the network, from 0 to 1; all of it
        passes the shortcuts (see `graph.skip_gradient`).
      redirect_steps: in how many first steps ReLUs that are off pass gradients on (see `graph.redirect_relus`).
      redirect_always: whether they do so in every drawing, or only for an objective that is silent (exactly 0)
        at the start.
      class_probability: for class scores only: how much of the objective is the class's log-probability,
        added to its logit. A logit alone is also raised by making every class likely.
      naturalness: for networks that remember what natural pictures look like inside (`Network.statistics`): how much
        of the objective is the likeness to them (see `graph.objectives.naturalness`).
    """

    size: Size | None = None
    steps: int = 512
    canvas: Canvas = Fourier()
    transforms: tuple[Transform, ...] = ()
    views: int = 1
    regularizers: tuple[Regularizer, ...] = ()
    optimizer: Optimizer = Adam()
    cooldown: float = 0.0
    overrides: tuple[AverageMaxPool | SmoothMaxPool, ...] = ()
    stochastic_depth: float = 0.0
    branch_gradient: float = 1.0
    redirect_steps: int = 16
    redirect_always: bool = True
    class_probability: float = 0.0
    naturalness: float = 0.0

    def __post_init__(self) -> None:
        _check_whole("steps", self.steps, 1)
        _check_whole("redirect_steps", self.redirect_steps, 0)
        _check_whole("views", self.views, 1)
        check_rate(self.stochastic_depth)
        check_decay(self.branch_gradient)
        if not 0 <= self.cooldown <= 1:
            raise InvalidInput(
                f"cooldown={self.cooldown}", "a share of the steps, from 0 to 1", "cooldown=0.75"
            )
        if isinstance(self.size, tuple):
            height_width(self.size)
        elif self.size is not None:
            _check_whole("size", self.size, 1)
        if self.views > 1 and not self.transforms:
            raise InvalidInput(
                f"views={self.views} without transforms",
                "transforms, by which the views differ",
                "views=1",
            )

    def replace(self, **changes: Any) -> Recipe:
        """The same recipe with some of its parts changed."""
        return dataclasses.replace(self, **changes)

    def __str__(self) -> str:
        lines = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            several = isinstance(value, tuple) and field.name != "size"
            for i, part in enumerate((value or ("none",)) if several else (value,)):
                lines.append(f"{'' if i else field.name:<18} {part}")
        return "\n".join(lines)

    def of(self, image: Array) -> Recipe:
        """The recipe that starts from a photograph: canvas, size, and what compares with it.

        Args:
          image: [H, W, C] in [0, 1].

        Raises:
          InvalidInput: a canvas that does not know the parameters of a picture, or no such picture.
        """
        if not hasattr(self.canvas, "of"):
            raise InvalidInput(
                f"a photograph for {self.canvas}",
                "a canvas that knows the parameters of any picture",
                "replace(canvas=canvases.Fourier()), Pixel() or Pyramid()",
            )
        canvas = self.canvas.of(image)
        kept = tuple(one.of(image) if hasattr(one, "of") else one for one in self.regularizers)
        return self.replace(canvas=canvas, size=canvas.size, regularizers=kept)

    def method(self) -> optax.GradientTransformation:
        """The optimizer with its cooldown, for a run of `steps`."""
        if not self.cooldown:
            return self.optimizer()
        slower = max(1, round(self.cooldown * self.steps))
        falling = optax.cosine_decay_schedule(1.0, slower)
        speed = optax.join_schedules([optax.constant_schedule(1.0), falling], [self.steps - slower])
        return optax.chain(self.optimizer(), optax.scale_by_schedule(speed))

    def to_dict(self) -> dict[str, Any]:
        """The recipe in plain numbers, strings and lists; `from_dict` reads it back."""
        return {f.name: plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Recipe:
        """The recipe that `to_dict` wrote.

        Raises:
          InvalidInput: a name that is not a part of recipes (nothing else is ever called).
        """
        try:
            return cls(**{name: revived(value) for name, value in data.items()})
        except TypeError as error:
            raise InvalidInput(
                f"a recipe that cannot be read: {error}", "what Recipe.to_dict writes", "drawing it anew"
            ) from None


def _check_whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidInput(
            f"{name}={value!r}", f"a whole number of at least {least}", f"{name}={max(least, 128)}"
        )
