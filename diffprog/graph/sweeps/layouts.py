"""The two ways to lay out a derivative, and the one function that goes from either to the other.

                                    JAX                        the lecture (numerator layout)
    d(scalar)/d(column x [n])       [n], like x                [1, n], a row
    d(vector y [m])/d(column x [n]) [m, n]                     [m, n]
    d(scalar)/d(X [n, m])           [n, m], like X             [m, n]

JAX puts the axes of what is differentiated first and those of the variable after them, each in its own order. The
lecture writes vectors as columns and chains derivatives as matrix products, so the derivative of a scalar is a row,
and that by a matrix is transposed. A vector by a matrix and beyond have no agreed layout; those stay as JAX has them.
Sizes: m of what is differentiated, n of the variable.
"""

from __future__ import annotations

import math
from typing import Literal

import jax
import jax.numpy as jnp

from diffprog.errors import InvalidInput

Layout = Literal["jax", "lecture"]
Shape = tuple[int, ...]


def convert(derivative: jax.Array, of: Shape, by: Shape, to: Layout = "lecture") -> jax.Array:
    """Lay a derivative out anew; its entries stay the same.

    Arrays of one axis are columns; a scalar has one entry, in any shape.

    Args:
        derivative: in JAX's layout if `to` is "lecture", in the lecture's if it is "jax".
        of: shape of what was differentiated.
        by: shape of the variable.
        to: the layout wanted.

    Returns:
        For "lecture" a matrix: [1, n] for a scalar by a vector, [m, n] for a vector by a vector, the transpose for a
        scalar by a matrix, also by one that is a column or a row; for "jax" an array of shape `of + by`.

    Raises:
        InvalidInput: a derivative that has no layout of the lecture's, or one of another size.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> X = jnp.arange(6.0).reshape(2, 3)
        >>> gradient = jax.grad(lambda X: (X * X).sum())(X)
        >>> gradient.shape, convert(gradient, of=(), by=(2, 3)).shape
        ((2, 3), (3, 2))
        >>> convert(jnp.ones(3), of=(), by=(3,))
        Array([[1., 1., 1.]], dtype=float32)

    Source: lecture, slides on matrix calculus.
    """
    m, n = math.prod(of), math.prod(by)
    if derivative.size != m * n:
        raise InvalidInput(
            f"a derivative of shape {derivative.shape}",
            f"{m} x {n} entries, for one of {list(of)} by {list(by)}",
            "the shapes of what was differentiated, and by what",
        )
    if m == 1 and len(by) == 2:
        rows, columns = by if to == "lecture" else by[::-1]
        turned = jnp.swapaxes(derivative.reshape(rows, columns), 0, 1)
        return turned if to == "lecture" else turned.reshape(of + by)
    if _is_matrix(of) or _is_matrix(by):
        raise InvalidInput(
            f"the derivative of {list(of)} by {list(by)}",
            "a scalar or a vector by a vector, or a scalar by a matrix; for others no layout is agreed on",
            'layout="jax", or flattening both to vectors',
        )
    return derivative.reshape((m, n) if to == "lecture" else of + by)


def _is_matrix(shape: Shape) -> bool:
    """More than a scalar, a column or a row."""
    return sum(size != 1 for size in shape) > 1


def check_layout(layout: str) -> None:
    """Refuse a layout that does not exist.

    Raises:
        InvalidInput: neither "jax" nor "lecture".
    """
    if layout not in ("jax", "lecture"):
        raise InvalidInput(
            f"layout={layout!r}", "'jax' or 'lecture'", "layout='lecture' for rows, as on the slides"
        )
