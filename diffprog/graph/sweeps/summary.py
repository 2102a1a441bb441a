"""Arrays in words: small ones as they are, large ones by shape, norm, range and share of zeros; and aligned tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

MOST_ENTRIES = 6  # an array of more is summarized, not printed


def in_words(array: Any, digits: int = 4) -> str:
    """One line that says what an array is.

    Args:
        array: any array, or None for a gradient that does not exist.
        digits: significant digits.

    Example:
        >>> in_words(jnp.array([[0.5, 1.25]]))
        '[[0.5, 1.25]]'
        >>> in_words(jnp.zeros((10, 10)).at[0, 0].set(3.0))
        'float32[10, 10]  norm 3  0 to 3  99% zeros'
    """
    if array is None:
        return "none"
    if jnp.issubdtype(jnp.result_type(array), jax.dtypes.prng_key):
        return f"key[{', '.join(map(str, array.shape))}]"
    host = np.asarray(array)
    if host.size <= MOST_ENTRIES:
        return _listed(host.tolist(), digits)
    return f"{host.dtype}{list(host.shape)}  {_statistics(host, digits)}"


def _listed(entries: Any, digits: int) -> str:
    if isinstance(entries, list):
        return "[" + ", ".join(_listed(entry, digits) for entry in entries) + "]"
    return (
        f"{entries + 0.0:.{digits}g}" if isinstance(entries, float) else str(entries)
    )  # + 0.0: no minus zero


def _statistics(host: np.ndarray, digits: int) -> str:
    if not np.issubdtype(host.dtype, np.inexact) and host.dtype != jnp.bfloat16:
        return f"{host.min()} to {host.max()}"
    if np.iscomplexobj(host):
        host = np.abs(host)
    wide = host.astype(np.float64)
    finite = np.isfinite(wide)
    bad = "" if finite.all() else f"  {int((~finite).sum())} not finite"
    if not finite.any():
        return bad.strip()
    low, high = (f"{number + 0.0:.{digits}g}" for number in (wide[finite].min(), wide[finite].max()))
    zeros = f"  {_share(wide == 0)} zeros" if (wide == 0).any() else ""
    return f"norm {_norm(wide[finite]):.{digits}g}  {low} to {high}{zeros}{bad}"


def _norm(numbers: np.ndarray) -> float:
    """Squares of numbers near the largest float overflow; those of their ratios to the largest do not."""
    peak = np.abs(numbers).max() or 1.0
    with np.errstate(over="ignore"):  # the norm itself may be too large for a float
        return float(peak * np.linalg.norm(numbers / peak))


def _share(mask: np.ndarray) -> str:
    """A percentage that is 0 % or 100 % only if it is so exactly."""
    share = float(np.mean(mask))
    return (
        f"{share:.0%}" if share in (0, 1) or 0.01 <= share <= 0.99 else f"{min(max(share, 0.001), 0.999):.1%}"
    )


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns of equal width, two spaces apart.

    Example:
        >>> print(aligned([("a", "1"), ("bcd", "2")]))
        a    1
        bcd  2
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
