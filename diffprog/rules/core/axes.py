"""Axes and other whole numbers that a rule is given: Python's or NumPy's, negative or not, one or many."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import Any

import numpy as np

from diffprog.errors import InvalidInput

Axes = int | Iterable[int] | None


def axes_of(where: str, shape: tuple[int, ...], axis: Axes) -> tuple[int, ...]:
    """The axes of an array as numbers from 0; None: all of them.

    Raises:
      InvalidInput: an axis that the array does not have, or one twice.

    Example:
      >>> axes_of("sum", (2, 3, 4), -1), axes_of("sum", (2, 3), None)
      ((2,), (0, 1))
    """
    rank = len(shape)
    asked = range(rank) if axis is None else (axis,) if np.ndim(axis) == 0 else axis  # type: ignore[arg-type]
    found = whole(where, "axis", asked)  # type: ignore[arg-type]
    axes = tuple(one % rank for one in found if -rank <= one < rank)
    if len(axes) != len(found) or len(set(axes)) != len(axes):
        raise InvalidInput(
            f"{where} got axis {axis} for an array of shape {shape}",
            f"distinct axes from {-rank} to {rank - 1}" if rank else "an array with at least one axis",
            "axis=-1, the last one",
        )
    return axes


def whole(where: str, name: str, values: Iterable[Any]) -> tuple[int, ...]:
    """Sizes, strides or axes as Python integers.

    Raises:
      InvalidInput: something among them that is not a whole number.
    """
    try:
        return tuple(index(value) for value in values)
    except TypeError:
        raise InvalidInput(
            f"{where} got {name} = {values!r}",
            "whole numbers, known when the program is traced",
            f"{name}=tuple(int(n) for n in {name})",
        ) from None
