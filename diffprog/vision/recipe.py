"""Recipes: everything about how a picture is drawn, except what of, as data.

A recipe is a frozen dataclass: print it and it reads like a table, `recipe.replace(steps=64)` is another one, and its
`to_dict` is what a saved picture carries so that it can be drawn again.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import optax

from diffprog.errors import InvalidInput
from diffprog.vision import canvas, regularizer, transform


@dataclass(frozen=True)
class Adam:
    """The optimizer: Adam with this learning rate (Kingma and Ba 2015), constants b1 .9, b2 .999, eps 1e-8."""

    learning_rate: float = 0.05

    def __call__(self) -> optax.GradientTransformation:
        """The optax transformation."""
        return optax.adam(self.learning_rate)


@dataclass(frozen=True)
class GradientAscent:
    """The optimizer: plain gradient steps of this learning rate."""

    learning_rate: float = 1.0

    def __call__(self) -> optax.GradientTransformation:
        """The optax transformation."""
        return optax.sgd(self.learning_rate)


@dataclass(frozen=True)
class Recipe:
    """How pictures are drawn.

    Attributes:
      size: height and width of the picture in pixels; None takes the network's own input size.
      steps: how many steps of the optimizer.
      canvas: how a picture is parameterized.
      transforms: what it must survive, in order; none for bare ascent.
      regularizers: what it pays for.
      optimizer: how it moves.
      redirect_steps: in how many first steps ReLUs that are off pass gradients on (see `graph.redirect_relus`).
      redirect_always: whether they do so in every drawing, or only for an objective that is silent (exactly 0)
        at the start.
      class_probability: for class scores only: how much of the objective is the class's log-probability,
        added to its logit. A logit alone is also raised by making every class likely.
      naturalness: for networks that remember what natural pictures look like inside (`Network.statistics`): how much
        of the objective is the likeness to them (see `graph.naturalness`).
    """

    size: int | None = None
    steps: int = 512
    canvas: canvas.Canvas = canvas.Fourier()
    transforms: tuple[transform.Transform, ...] = ()
    regularizers: tuple[regularizer.Regularizer, ...] = ()
    optimizer: Adam | GradientAscent = Adam()
    redirect_steps: int = 16
    redirect_always: bool = True
    class_probability: float = 0.0
    naturalness: float = 0.0

    def __post_init__(self) -> None:
        _check_whole("steps", self.steps, 1)
        _check_whole("redirect_steps", self.redirect_steps, 0)
        if self.size is not None:
            _check_whole("size", self.size, 1)

    def replace(self, **changes: Any) -> Recipe:
        """The same recipe with some of its parts changed."""
        return dataclasses.replace(self, **changes)

    def __str__(self) -> str:
        rows = [(f.name, getattr(self, f.name)) for f in dataclasses.fields(self)]
        lines = []
        for name, value in rows:
            parts = value if isinstance(value, tuple) else (value,)
            lines += [f"{name if i == 0 else '':<18} {part}" for i, part in enumerate(parts or ("none",))]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The recipe in plain numbers, strings and lists; `from_dict` reads it back."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Recipe:
        """The recipe that `to_dict` wrote.

        Raises:
          InvalidInput: a name that is not a part of recipes (nothing else is ever called).
        """
        try:
            return cls(**{name: _revived(value) for name, value in data.items()})
        except TypeError as error:
            raise InvalidInput(
                f"a recipe that cannot be read: {error}", "what Recipe.to_dict writes", "drawing it anew"
            ) from None


_PARTS: dict[str, type] = {
    part.__name__: part
    for part in (
        Adam,
        GradientAscent,
        canvas.Pixel,
        canvas.Fourier,
        transform.Pad,
        transform.Jitter,
        transform.Shift,
        transform.Scale,
        transform.ScaleBetween,
        transform.Rotate,
        transform.RotateBetween,
        transform.Mirror,
        transform.NormalizeGradient,
        transform.Noise,
        transform.ContrastBetween,
        regularizer.TotalVariation,
        regularizer.L1,
        regularizer.L2,
        regularizer.Blur,
        regularizer.HighFrequency,
    )
}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if type(value) not in _PARTS.values():
            return {"part": repr(value)}  # the user's own: said, but not drawn again from a file
        fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"part": type(value).__name__, **fields}
    return value if isinstance(value, int | float | str | None) else {"part": repr(value)}


def _revived(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_revived(item) for item in value)
    if isinstance(value, dict):
        fields = {name: _revived(item) for name, item in value.items()}
        name = fields.pop("part", None)
        if name not in _PARTS:
            raise InvalidInput(
                f"a recipe with the part {name!r}",
                f"one of {', '.join(_PARTS)}",
                "passing the recipe object that it was drawn with",
            )
        return _PARTS[name](**fields)
    return value


def _check_whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidInput(
            f"{name}={value!r}", f"a whole number of at least {least}", f"{name}={max(least, 128)}"
        )


LUCID = Recipe(
    size=128,
    steps=512,
    canvas=canvas.Fourier(decay=1.0, deviation=0.01),
    transforms=(
        transform.Pad(12, 0.5),
        transform.Jitter(8),
        transform.Scale(tuple(round(0.9 + 0.02 * i, 2) for i in range(11))),
        transform.Rotate((*range(-10, 11), 0, 0, 0, 0, 0)),
        transform.Jitter(4),
    ),
    optimizer=Adam(0.05),
    redirect_steps=16,
)
"""Lucid's `render_vis` (2018), number by number: 128 px, 512 steps of Adam .05, its standard transforms.

Two things differ by design: the five transforms are one resampling of fixed shape instead of five of changing shape,
and what a rotation turns in from outside is grey instead of black.
"""

PIXEL = Recipe(canvas=canvas.Pixel(), redirect_steps=0)
"""Bare gradient ascent on pixels: what every other recipe is better than."""

DEFAULT = Recipe(
    canvas=canvas.Fourier(decay=0.6),
    transforms=(
        transform.NormalizeGradient(),
        transform.ScaleBetween(0.5, 1.2),
        transform.RotateBetween(20.0),
        transform.Shift(24.0),
        transform.Mirror(),
        transform.ContrastBetween(0.5, 1.0),
    ),
    regularizers=(regularizer.TotalVariation(80.0),),
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
    transforms=DEFAULT.transforms[:-1],
    regularizers=(regularizer.TotalVariation(40.0),),
    naturalness=200.0,
)
"""Our default for networks that remember what natural pictures look like inside (`Network.statistics`).

They are asked for natural colours and textures, without which their pictures are faint and grey. Haze is left out: it
changes the statistics, and other networks recognize less.
"""

RECIPES = {"default": DEFAULT, "natural": NATURAL, "lucid": LUCID, "pixel": PIXEL}


def default_for(model: Any) -> Recipe:
    """`NATURAL` for a network that carries statistics of natural pictures, else `DEFAULT`."""
    return NATURAL if getattr(model, "statistics", None) else DEFAULT
