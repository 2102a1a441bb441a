"""Arrays that objectives carry: floating and finite from the start, checked against a layer when drawn."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput

FLOOR = 0.1  # of the cosine: below it, a larger dot product still counts and a better angle does not


def floating(what: str, values: Any) -> np.ndarray:
    """Numbers as a floating array of the precision in use.

    Raises:
      InvalidInput: none, or some that are not finite or not numbers, or all of them 0.
    """
    try:
        array = np.asarray(values, jax.dtypes.canonicalize_dtype(float))
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"{what} made of {type(values).__name__}", "an array of numbers", "np.asarray(...)"
        ) from error
    if not array.size or not np.isfinite(array).all() or not np.any(array):
        state = "not finite" if array.size and not np.isfinite(array).all() else "0 everywhere"
        raise InvalidInput(
            f"{what} of shape {list(array.shape)}, which is {state if array.size else 'empty'}",
            "finite numbers, not all of them 0",
            "activations of a layer that something excites: dp.activations(model, picture, layer)",
        )
    return array


def check_shape(what: str, shape: tuple[int, ...], expected: tuple[int, ...], name: str, remedy: str) -> None:
    """Refuse an array of another shape than the layer asks for.

    Raises:
      InvalidInput: with both shapes.
    """
    if tuple(shape) != tuple(expected):
        raise InvalidInput(f"{what} of shape {list(shape)} for {name}", f"shape {list(expected)}", remedy)


def floored(dot: Array, cosine: Array, power: Any) -> Array:
    """dot max(0.1, cosine)^power: how much, sharpened by how exactly.

    The floor keeps a negative dot product times a negative cosine from being a reward.
    """
    return dot * jnp.maximum(FLOOR, cosine) ** power


def rows(values: Array) -> Array:
    """Activations as one row a position: [positions, C]."""
    return values.reshape(-1, values.shape[-1])


def gram(values: Array) -> Array:
    """Which channels are active together, over all positions: A^T A / positions, [C, C]."""
    flat = rows(values)
    return flat.T @ flat / len(flat)  # (C, P) (P, C) -> (C, C)
