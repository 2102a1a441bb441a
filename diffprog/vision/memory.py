"""Pictures for which there is not enough memory: said when a step is compiled, before anything is drawn."""

from __future__ import annotations

from typing import Any

from diffprog.errors import InvalidInput
from diffprog.machine import memory

MEBIBYTE, GIBIBYTE = 1 << 20, 1 << 30
SPARE = 0.8  # of what is free, for the size that is recommended


def check_memory(compiled: Any, group: int, size: tuple[int, int]) -> Any:
    """The same compiled step, if it fits.

    Args:
      compiled: what `jax.jit(step).lower(...).compile()` returns.
      group: how many pictures it draws at once.
      size: their height and width.

    Raises:
      InvalidInput: it needs more memory than is free, with a size that would fit.
    """
    needed, free = memory.needed(compiled), memory.free()
    if needed is None or free is None or needed <= free:
        return compiled
    fits = int(min(size) * (SPARE * max(free, 0) / needed) ** 0.5) // 32 * 32
    pictures = "a picture" if group == 1 else f"{group} pictures at once, each"
    smaller = f"size={fits}" if fits else "closing other programs"
    raise InvalidInput(
        f"{pictures} of {size[0]}x{size[1]} pixels, which takes {_told(needed)}",
        f"at most {_told(max(free, 0))}, which is what this machine has free",
        smaller if group == 1 else f"{smaller}, or fewer pictures at once: a smaller n",
    )


def _told(count: int) -> str:
    return f"{count / GIBIBYTE:.1f} GiB" if count >= GIBIBYTE else f"{count / MEBIBYTE:.0f} MiB"
