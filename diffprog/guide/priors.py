"""Priors: what keeps a latent where the generator was trained, as a price or as a projection after every step.

| prior | what it asks of z, D normal numbers | form |
|---|---|---|
| `Chi` | |z| near sqrt(D - 1), where normal vectors are: minus the log density of the length (ReNO 2024) | price |
| `Moments` | mean 0, deviation 1, no skew, no excess kurtosis (BigSleep 2021) | price |
| `Clamp` | every number within +-bound (FuseDream 2021: 2) | projection |
| `Sphere` | |z| = sqrt(D) exactly | projection |
| `Within` | every channel within bounds of its own (VQGAN-CLIP: those of the codebook) | projection |
| `Few` | few classes at a time, where each has a probability of its own (BigSleep) | price |
| `parts` | of every part of a latent something else | |
| `Free` | nothing | |

Without one, optimization leaves for latents that no training picture came from, and faces fall apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput


class Prior(Protocol):
    """A price on a latent, and a projection; two of the same numbers are equal, as frozen dataclasses are."""

    def __hash__(self) -> int: ...

    def penalty(self, z: Any) -> Array:
        """What one latent costs: a scalar, 0 or near it where all is well."""

    def project(self, z: Any) -> Any:
        """Where a latent goes after every step."""


@dataclass(frozen=True)
class Free:
    """Any latent is as good as any other."""

    def penalty(self, z: Any) -> Array:
        """0."""
        return jnp.zeros(())

    def project(self, z: Any) -> Any:
        """The latent itself."""
        return z


@dataclass(frozen=True)
class Chi(Free):
    """weight * (|z|^2 / 2 - (D - 1) log |z|), less its least value: minus the log density of a normal vector's length.

    Attributes:
      weight: 0.01 is ReNO's.

    Source:
      Eyring et al., "ReNO" (2024), with the constant that makes the least price 0.

    Example:
      >>> [round(float(Chi(1.0).penalty(length * jnp.ones(25))), 2) for length in (2.0, 1.0)]
      [20.87, 0.01]
    """

    weight: float = 0.01

    def penalty(self, z: Any) -> Array:
        """The price of one latent."""
        flat = _flat(z)
        rest = max(flat.size - 1, 1)
        square = jnp.maximum(jnp.sum(flat**2), 1e-12)  # the logarithm of 0 has no gradient
        return self.weight * (square / 2 - rest / 2 * jnp.log(square) - rest / 2 * (1 - math.log(rest)))


@dataclass(frozen=True)
class Moments(Free):
    """weight * (|1 - std| + |mean| + 4 max(mean z^2, 1) + |skew| + |excess kurtosis|), of every row of a latent.

    The last axis is a row; terms are averaged over rows, but the mean square is that of all. BigSleep's, number by
    number; its least value is 4.

    Source:
      lucidrains/big-sleep, `BigSleep.forward`; its deviation divides by D - 1, that of skew and kurtosis by D.
    """

    weight: float = 1.0

    def penalty(self, z: Any) -> Array:
        """The price of one latent."""
        return self.weight * sum((_moments(leaf) for leaf in jax.tree.leaves(z)), jnp.zeros(()))


@dataclass(frozen=True)
class Clamp(Free):
    """Every number within +-bound: FuseDream's latents, and the truncation that GANs are sampled with."""

    bound: float = 2.0

    def project(self, z: Any) -> Any:
        """The nearest latent within the bounds."""
        return jax.tree.map(lambda leaf: jnp.clip(leaf, -self.bound, self.bound), z)


@dataclass(frozen=True)
class Sphere(Free):
    """|z| = sqrt(D), the length that normal vectors concentrate at; every leaf on a sphere of its own.

    A latent of length zero has no direction and stays where it is.
    """

    def project(self, z: Any) -> Any:
        """The nearest latent on the sphere."""
        return jax.tree.map(_on_sphere, z)


@dataclass(frozen=True, eq=False)
class Within(Free):
    """Every channel, the last axis, between a least and a greatest value of its own.

    Attributes:
      least: [C].
      greatest: [C].
      of: whose bounds they are, for manifests.
    """

    least: Array = field(repr=False)
    greatest: Array = field(repr=False)
    of: str = "bounds"

    def project(self, z: Any) -> Any:
        """The nearest latent within the bounds."""
        return jax.tree.map(lambda leaf: jnp.clip(leaf, self.least, self.greatest), z)


@dataclass(frozen=True)
class Few(Free):
    """weight * mean of (50 p)^2 over all classes but the likeliest, p = sigmoid(z), averaged over rows: BigSleep's.

    Source:
      lucidrains/big-sleep, `BigSleep.forward`.

    Example:
      >>> round(float(Few(1.0).penalty(jnp.array([3.0, -50.0, 0.0]))), 2)  # (0 + 25^2) / 2
      312.5
    """

    weight: float = 1.0

    def penalty(self, z: Any) -> Array:
        """The price of one latent."""
        return self.weight * sum((_of_others(leaf) for leaf in jax.tree.leaves(z)), jnp.zeros(()))


@dataclass(frozen=True)
class Parts(Free):
    """A prior for each of some parts of a latent that is a dictionary; see `parts`."""

    each: tuple[tuple[str, Prior], ...] = ()

    def penalty(self, z: Any) -> Array:
        """The sum of the prices of the parts."""
        prices = (prior.penalty(self._part(z, name)) for name, prior in self.each)
        return sum(prices, jnp.zeros(()))

    def project(self, z: Any) -> Any:
        """Every part where its prior wants it."""
        moved = {name: prior.project(self._part(z, name)) for name, prior in self.each}
        return {**z, **moved}

    def _part(self, z: Any, name: str) -> Any:
        if not isinstance(z, dict) or name not in z:
            have = ", ".join(map(repr, z)) if isinstance(z, dict) else f"no parts, but a {type(z).__name__}"
            raise InvalidInput(
                f"a prior for the part {name!r} of a latent that has {have}",
                "a latent that is a dictionary with this part",
                "a prior for the whole latent, such as priors.Chi(0.01)",
            )
        return z[name]


def parts(**priors: Prior) -> Parts:
    """A prior for each part of a latent, by its name; the others are free.

    Example:
      >>> parts(z=Clamp(2.0)).project({"z": jnp.array([3.0]), "classes": jnp.array([5.0])})["z"]
      Array([2.], dtype=float32)
    """
    return Parts(tuple(priors.items()))


FREE = Free()


def _of_others(leaf: Array) -> Array:
    rows = jax.nn.sigmoid(leaf.reshape(-1, leaf.shape[-1]))
    others = jnp.sum((50 * rows) ** 2, 1) - (50 * rows.max(1)) ** 2
    return jnp.mean(others) / max(rows.shape[1] - 1, 1)


def _on_sphere(leaf: Array) -> Array:
    length = jnp.linalg.norm(leaf)
    return jnp.where(length > 0, leaf * (math.sqrt(leaf.size) / jnp.where(length > 0, length, 1)), leaf)


def _flat(z: Any) -> Array:
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(z)])


def _moments(leaf: Array) -> Array:
    rows = leaf.reshape(-1, leaf.shape[-1])
    centred = rows - rows.mean(1, keepdims=True)
    deviation = jnp.sqrt(jnp.mean(centred**2, 1, keepdims=True))
    standard = centred / deviation
    unbiased = deviation[:, 0] * math.sqrt(rows.shape[1] / max(rows.shape[1] - 1, 1))
    return (
        jnp.mean(jnp.abs(1 - unbiased))
        + jnp.mean(jnp.abs(rows.mean(1)))
        + 4 * jnp.maximum(jnp.mean(rows**2), 1)
        + jnp.mean(jnp.abs(jnp.mean(standard**3, 1)))
        + jnp.mean(jnp.abs(jnp.mean(standard**4, 1) - 3))
    )
