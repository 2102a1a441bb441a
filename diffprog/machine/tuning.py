"""Settings of the process that make compiled programs on CPUs faster; each with what it is worth, measured.

Nothing here happens at import: a library does not change its caller's process. `tune()` does, when asked; the
command line asks. All of it must come before the first computation, and what came too late, or does not exist on
this system, is said and left. `python -m tests.benchmarks.networks` runs whole networks with and without.

What needs no setting is built into the rules: temporary memory below 32 MiB, walls that fusion does not cross
(`rules/core/boundary.py`), backward convolutions that are fast inside `lax.scan`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import jax

from diffprog.errors import InvalidInput

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8  # malloc.h of glibc
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Setting:
    """One setting: whether it is in force now, and why it matters."""

    name: str
    done: bool
    worth: str
    note: str = ""

    def __str__(self) -> str:
        state = "on " if self.done else "off"
        return f"{state} {self.name:<18} {self.worth}" + (f" ({self.note})" if self.note else "")


class Settings(tuple[Setting, ...]):
    """What `tune` did; prints one line each."""

    def __str__(self) -> str:
        return "\n".join(map(str, self))


def tune(
    *, memory: bool = True, compiled: str | os.PathLike[str] | None = None, devices: int | None = None
) -> Settings:
    """Set up this process for fast compiled programs on CPUs; call it before the first computation.

    Args:
      memory: keep freed memory instead of returning it to the kernel (Linux with glibc). The process then holds
        its largest working set until it ends.
      compiled: folder in which compiled programs are kept for the next process; None leaves JAX's own setting.
      devices: split the CPU into this many host devices, so that `one_by_one` runs as many streams; None leaves it.

    Returns:
      Every setting, whether it is in force, and its measured worth; print it.

    Raises:
      InvalidInput: a number of devices below 1.

    Example:
      >>> print(tune(memory=False)[0].name)
      kept memory
    """
    if devices is not None and (isinstance(devices, bool) or not isinstance(devices, int) or devices < 1):
        raise InvalidInput(f"devices={devices!r}", "a whole number of at least 1", "devices=2 on two cores")
    return Settings((_memory(memory), _compiled(compiled), _devices(devices)))


def _memory(wanted: bool) -> Setting:
    """XLA allocates one temporary block at every execution.

    Above 32 MiB glibc maps and unmaps it each time, and the kernel clears every page anew: for convolutional
    networks that can cost as much as the arithmetic.
    """
    worth = "1.0 to 2x, for programs with more than 32 MiB of temporaries"
    if not wanted:
        return Setting("kept memory", False, worth)
    if not sys.platform.startswith("linux"):
        return Setting("kept memory", False, worth, "only on Linux")
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return Setting("kept memory", False, worth, "only with glibc")
    wishes = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 512 * MEBIBYTE}
    wishes[M_ARENA_MAX] = 1  # the other arenas are made of mappings, whatever M_MMAP_MAX says
    done = [mallopt(name, value) == 1 for name, value in wishes.items()]
    return Setting("kept memory", all(done), worth)


def _compiled(folder: str | os.PathLike[str] | None) -> Setting:
    worth = "1 to 10 s a start: every program is compiled once on a machine, not once a process"
    if folder is None:
        kept = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
        return Setting("compiled programs", bool(kept), worth)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Setting("compiled programs", False, worth, f"{folder} cannot be written: {error.strerror}")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return Setting("compiled programs", True, worth)


def _devices(count: int | None) -> Setting:
    worth = "1.1 to 1.9x on batches, with one_by_one on two cores"
    if count is not None:
        with contextlib.suppress(RuntimeError):  # too late: the devices are there already
            jax.config.update("jax_num_cpu_devices", count)
    there = int(jax.config.jax_num_cpu_devices)  # type: ignore[attr-defined]
    late = count is not None and there != count
    return Setting("host devices", there > 1, worth, "too late: JAX has started" if late else "")
