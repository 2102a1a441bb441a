"""Overrides of gradients as parts of recipes: data that makes an override of the graph room when called."""

from __future__ import annotations

from dataclasses import dataclass

from diffprog.graph import overrides
from diffprog.graph.overriding.backward import Override


@dataclass(frozen=True)
class AverageMaxPool:
    """Max-pooling passes gradients as averaging would: to all pixels of a window (`overrides.average_max_pool`)."""

    def __call__(self) -> Override:
        """The override."""
        return overrides.average_max_pool


@dataclass(frozen=True)
class SmoothMaxPool:
    """Max-pooling passes more gradient to larger pixels, some to all (`overrides.smooth_max_pool`)."""

    def __call__(self) -> Override:
        """The override."""
        return overrides.smooth_max_pool
