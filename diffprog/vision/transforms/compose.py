"""Transforms one after the other; neighbours that only move pixels are resampled once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
from jax import Array

from diffprog.vision.transforms.geometric import Geometric, resampled
from diffprog.vision.transforms.transform import Scheduled, Transform


@dataclass(frozen=True)
class Compose:
    """Transforms one after the other.

    Attributes:
      transforms: in the order they are applied.
    """

    transforms: tuple[Transform, ...]

    def __call__(self, image: Array, key: Array, progress: float | Array = 0.0) -> Array:
        """Apply all of them to one picture, after a share `progress` of all steps."""
        for number, run in enumerate(_runs(self.transforms)):
            run_key = jax.random.fold_in(key, number)
            if isinstance(run[0], Geometric):
                image = resampled(image, run, run_key)  # type: ignore[arg-type]
            else:
                one = run[0].at(progress) if isinstance(run[0], Scheduled) else run[0]  # type: ignore[arg-type]
                image = one(image, run_key)
        return image


def _runs(transforms: Sequence[Transform]) -> list[list[Transform]]:
    runs: list[list[Transform]] = []
    for transform in transforms:
        if runs and isinstance(transform, Geometric) and isinstance(runs[-1][0], Geometric):
            runs[-1].append(transform)
        else:
            runs.append([transform])
    return runs
