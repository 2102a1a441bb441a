"""Where a value may be: boxes, simplices, spheres and balls, held by projection or by another parameter.

Every set knows two ways. `project` sends a point to the nearest one of the set (after every step: `projected`).
`inside` maps all of space onto the set, or onto its interior, and `outside` goes back, so that the method moves freely
in the parameter and never meets a border (`reparameterized`). Projection reaches the border and keeps it; the
parameter's image only approaches it.

A set is of one leaf; `axis` says over which axis (None: the whole leaf).

Source: Held, Wolfe and Crowder 1974 and Duchi et al. 2008 (projection onto the simplex).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput


class Set(Protocol):
    """One leaf's feasible points."""

    def project(self, x: Array) -> Array:
        """The nearest point of the set."""

    def inside(self, u: Array) -> Array:
        """A point of the set for any u."""

    def outside(self, x: Array) -> Array:
        """Some u with inside(u) = x, for x in the interior; points outside are pulled in a little."""


INSET = 1e-3  # how far, relative to its size, a start on the border is pulled into a set to have a finite parameter


@dataclass(frozen=True)
class Box:
    """low <= x <= high, entry by entry; either may be infinite for projection.

    Example:
      >>> Box(0.0, 1.0).project(jnp.array([-1.0, 0.5, 3.0])).tolist()
      [0.0, 0.5, 1.0]
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise InvalidInput(f"Box({self.low}, {self.high})", "low < high", "the smaller bound first")

    def project(self, x: Array) -> Array:
        """Clip."""
        return jnp.clip(x, self.low, self.high)

    def inside(self, u: Array) -> Array:
        """low + (high - low) sigmoid(u)."""
        return self.low + (self.high - self.low) * jax.nn.sigmoid(u)

    def outside(self, x: Array) -> Array:
        """The logit of the place between the bounds."""
        if not abs(self.low) + abs(self.high) < float("inf"):
            raise InvalidInput(
                f"Box({self.low}, {self.high}) as a parameterization",
                "two finite bounds",
                "projected(Box(...)), or optimize the logarithm",
            )
        place = jnp.clip((x - self.low) / (self.high - self.low), INSET, 1 - INSET)
        return jnp.log(place) - jnp.log1p(-place)


@dataclass(frozen=True)
class Simplex:
    """x >= 0 and sum x = 1 along an axis: probabilities.

    Example:
      >>> Simplex().project(jnp.array([2.0, 1.0, -1.0])).tolist()
      [1.0, 0.0, 0.0]
    """

    axis: int = -1

    def project(self, x: Array) -> Array:
        """max(x - t, 0), with the t for which it adds up to 1, found from the sorted entries."""
        x = jnp.moveaxis(x, self.axis, -1)
        falling = -jnp.sort(-x, axis=-1)
        shares = (jnp.cumsum(falling, -1) - 1) / jnp.arange(1, x.shape[-1] + 1, dtype=x.dtype)
        kept = jnp.sum(
            falling > shares, -1, keepdims=True
        )  # at least 1, as the first share is falling[0] - 1
        threshold = jnp.take_along_axis(shares, kept - 1, -1)
        return jnp.moveaxis(jnp.maximum(x - threshold, 0), -1, self.axis)

    def inside(self, u: Array) -> Array:
        """Softmax."""
        return jax.nn.softmax(u, self.axis)

    def outside(self, x: Array) -> Array:
        """Logarithm."""
        return jnp.log(jnp.maximum(self.project(x), INSET / x.shape[self.axis]))


@dataclass(frozen=True)
class Sphere:
    """|x| = radius.

    Example:
      >>> print(Sphere(2.0).project(jnp.array([0.0, 3.0])))
      [0. 2.]
    """

    radius: float = 1.0
    axis: int | None = None

    def __post_init__(self) -> None:
        _check_radius(self.radius, "Sphere")

    def project(self, x: Array) -> Array:
        """radius x / |x|; at 0, where all points are equally near, the one with equal entries."""
        x = jnp.where(_norm(x, self.axis) == 0, jnp.ones_like(x), x)
        return self.radius * x / _norm(x, self.axis)

    def inside(self, u: Array) -> Array:
        """The same as the projection, differentiated."""
        return self.project(u)

    def outside(self, x: Array) -> Array:
        """The point itself."""
        return self.project(x)


@dataclass(frozen=True)
class L2Ball:
    """|x - center| <= radius."""

    radius: float = 1.0
    center: float = 0.0
    axis: int | None = None

    def __post_init__(self) -> None:
        _check_radius(self.radius, "L2Ball")

    def project(self, x: Array) -> Array:
        """Shorten what is too long."""
        away = x - self.center
        length = _norm(away, self.axis)
        return self.center + away * jnp.minimum(1, self.radius / jnp.where(length == 0, 1, length))

    def inside(self, u: Array) -> Array:
        """center + radius u / sqrt(1 + |u|^2)."""
        return self.center + self.radius * u / jnp.sqrt(1 + jnp.sum(u**2, self.axis, keepdims=True))

    def outside(self, x: Array) -> Array:
        """v / sqrt(1 - |v|^2) for v = (x - center) / radius."""
        v = L2Ball(1 - INSET, axis=self.axis).project((x - self.center) / self.radius)
        return v / jnp.sqrt(1 - jnp.sum(v**2, self.axis, keepdims=True))


@dataclass(frozen=True)
class LInfBall:
    """|x_i - center| <= radius for every entry."""

    radius: float = 1.0
    center: float = 0.0

    def __post_init__(self) -> None:
        _check_radius(self.radius, "LInfBall")

    def project(self, x: Array) -> Array:
        """Clip around the center."""
        return jnp.clip(x, self.center - self.radius, self.center + self.radius)

    def inside(self, u: Array) -> Array:
        """center + radius tanh(u)."""
        return self.center + self.radius * jnp.tanh(u)

    def outside(self, x: Array) -> Array:
        """Inverse hyperbolic tangent."""
        return jnp.arctanh(jnp.clip((x - self.center) / self.radius, -1 + INSET, 1 - INSET))


def _norm(x: Array, axis: int | None) -> Array:
    return jnp.sqrt(jnp.sum(x**2, axis, keepdims=True))


def _check_radius(radius: float, name: str) -> None:
    if not 0 < radius < float("inf"):
        raise InvalidInput(f"{name}(radius={radius})", "a finite radius above 0", f"{name}(radius=1.0)")
