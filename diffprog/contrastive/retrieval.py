"""Retrieval: of all pictures, is the right one among the k nearest to its name, and the reverse.

    rank of i = how many others are at least as similar to i as its own partner; found at k if rank < k
    chance at k = k / N

A tie counts against: vectors that are all the same find nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

KS = (1, 5, 10)


class Retrieval(NamedTuple):
    """Shares found among the nearest.

    Attributes:
        pictures: k -> share of names whose picture is among the k nearest pictures.
        names: k -> share of pictures whose name is among the k nearest names.
        among: N, how many pairs there are.
    """

    pictures: dict[int, float]
    names: dict[int, float]
    among: int

    def chance(self, k: int) -> float:
        """What a random order finds."""
        return min(1.0, k / self.among)

    def __str__(self) -> str:
        head = f"{'':24}" + "".join(f"{f'at {k}':>9}" for k in self.pictures)
        rows = (
            ("name to picture", self.pictures),
            ("picture to name", self.names),
            (f"chance, among {self.among}", {k: self.chance(k) for k in self.pictures}),
        )
        lines = (
            f"{title:24}" + "".join(f"{100 * share:8.1f}%" for share in row.values()) for title, row in rows
        )
        return "\n".join([head, *lines])


def retrieval(pictures: np.ndarray, names: np.ndarray, ks: tuple[int, ...] = KS) -> Retrieval:
    """How well each finds the other.

    Args:
        pictures: vectors [N, D], of length one for cosines.
        names: [N, D]; row i belongs to row i of the pictures.
        ks: among how many nearest.

    Example:
        >>> import numpy as np
        >>> print(retrieval(np.eye(20), np.eye(20)))
                                     at 1     at 5    at 10
        name to picture            100.0%   100.0%   100.0%
        picture to name            100.0%   100.0%   100.0%
        chance, among 20             5.0%    25.0%    50.0%
    """
    similar = np.asarray(pictures, np.float64) @ np.asarray(names, np.float64).T  # (N, D) (D, N) -> (N, N)
    own = np.diagonal(similar)
    of_names = (similar >= own[None, :]).sum(0) - 1  # down a column: the pictures for one name
    of_pictures = (similar >= own[:, None]).sum(1) - 1
    return Retrieval(_found(of_names, ks), _found(of_pictures, ks), len(similar))


def _found(ranks: np.ndarray, ks: tuple[int, ...]) -> dict[int, float]:
    return {k: float(np.mean(ranks < k)) for k in ks}
