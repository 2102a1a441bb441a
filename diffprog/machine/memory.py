"""How much memory a compiled program needs, how much is free, and how much was held at most.

XLA knows what a program needs once it is compiled, so a run that cannot fit says so before it starts. What is free or
was held is asked of the device, or of the kernel, whose limits for a container count as well; where neither says,
nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

MEMINFO = Path("/proc/meminfo")
CONTAINER = Path("/sys/fs/cgroup")
PROCESS = Path("/proc/self")
FORGET_PEAK = "5"  # what resets the peak of a process, see proc(5)


def needed(compiled: Any) -> int | None:
    """Bytes of arguments, results and temporaries of what `jax.jit(f).lower(...).compile()` returns; None if unknown.

    Example:
      >>> import jax.numpy as jnp
      >>> needed(jax.jit(lambda x: x + 1).lower(jnp.zeros(1000)).compile())
      8000
    """
    analysis = compiled.memory_analysis()
    if analysis is None:
        return None
    kept = analysis.argument_size_in_bytes + analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    return int(kept + analysis.temp_size_in_bytes)


def free() -> int | None:
    """Bytes that a program may still take on the default device; None if that cannot be known."""
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        limit = stats.get("bytes_limit")
        return None if limit is None else int(limit - stats.get("bytes_in_use", 0))
    known = [bytes_ for bytes_ in (_of_kernel(), _of_container()) if bytes_ is not None]
    return min(known, default=None)


def watch_peak() -> Callable[[], int | None]:
    """From now on, watch how much memory is held at most; what is returned tells it, in bytes, or None if unknown.

    On CPUs it is the resident memory of the whole process, Python and networks included, which Linux alone lets one
    watch anew. On accelerators it is the device's own count, which starts with the process.

    Example:
      >>> peak = watch_peak()
      >>> (peak() or 1) > 0
      True
    """
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        return lambda: (device.memory_stats() or {}).get("peak_bytes_in_use")
    try:
        (PROCESS / "clear_refs").write_text(FORGET_PEAK)
    except OSError:
        return lambda: None
    return lambda: _kibibytes(PROCESS / "status", "VmHWM")


def _of_kernel() -> int | None:
    return _kibibytes(MEMINFO, "MemAvailable")


def _kibibytes(path: Path, name: str) -> int | None:
    """A line `name: number kB` of one of the kernel's files, in bytes."""
    try:
        lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        return int(lines[name].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None


def _of_container() -> int | None:
    try:
        limit, used = (int((CONTAINER / name).read_text()) for name in ("memory.max", "memory.current"))
        reclaimable = dict(line.split() for line in (CONTAINER / "memory.stat").read_text().splitlines())
        return limit - used + int(reclaimable.get("inactive_file", 0))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return None
