"""Where in a layer: the positions of maps [H, W, C] and of tokens [T, C].

The tokens of a vision transformer are the patches of the picture, row by row, behind the class token if there is one:
T = rows * columns, or one more. Of a square picture they have rows and columns, too, and a centre:

    token (row, column) = T - side^2 + row * side + column,      side = floor(sqrt(T))
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jax import Array

from diffprog.errors import InvalidInput

Position = tuple[int, ...]
Shape = tuple[int, ...]


def at(values: Array, position: Position | None) -> Array:
    """The activation vector [C] at a position, or at the centre: of patches, that of the picture."""
    lengths = values.shape[:-1]
    if position is None:
        lengths = grid(lengths) or lengths
        position = tuple(length // 2 for length in lengths)
    return values[_place(position, values.shape)] if position else values


def grid(lengths: Shape) -> Shape | None:
    """(rows, columns) of that many tokens, (T,), if they can be the patches of a square picture."""
    if len(lengths) != 1:
        return None
    side = math.isqrt(lengths[0])
    return (side, side) if side > 1 and lengths[0] - side**2 in (0, 1) else None


def _place(position: Position, shape: Shape) -> Position:
    """A position as the layer's own axes have it."""
    if len(position) != 2 or len(shape) != 2:
        return position
    (row, column), side = position, math.isqrt(shape[0])
    return (shape[0] - side**2 + row % side * side + column % side,)


def check_position(name: str, position: Any, shapes: Mapping[str, Shape], remedy: str) -> None:
    """Refuse a position that the layer does not have.

    Raises:
      InvalidInput: with the range that there is.
    """
    if position is None:
        return
    lengths = shapes[name][:-1]
    if len(position) == 2:
        lengths = grid(lengths) or lengths
    if len(lengths) != len(position) or not lengths:
        raise InvalidInput(
            f"a position of {len(position)} numbers in {name}, which is {list(shapes[name])}",
            "(row, column) in a layer [H, W, C]; (token,) in a layer [T, C], or (row, column) among square patches",
            remedy,
        )
    for axis, what in enumerate(("token",) if len(position) == 1 else ("row", "column")):
        check_index(what, position[axis], lengths[axis], name, shapes[name])


def check_index(what: str, index: int, length: int, name: str, shape: Shape) -> None:
    """Refuse a number beyond the last of `length`.

    Raises:
      InvalidInput: with the range that there is.
    """
    if not -length <= index < length:
        most = length - 1 if length else "nothing"
        raise InvalidInput(
            f"{what} {index} of {name}", f"a {what} from 0 to {most}; {name} is {list(shape)}", f"{what} 0"
        )


def as_position(position: Position | None) -> Any:
    """A position as whole numbers.

    Raises:
      InvalidInput: something else.
    """
    return None if position is None else tuple(map(as_index, position))


def as_index(number: int) -> Any:
    """A whole number.

    Raises:
      InvalidInput: something else.
    """
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise InvalidInput(
            f"{number!r} as a channel, class or position", "a whole number", 'channel("conv1", 7)'
        )
    return int(number)
