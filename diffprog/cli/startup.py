"""What makes a short-lived process fast: memory that is kept, and compiled programs that are found again.

Both concern the whole process, so only the command line does them: a library does not change its caller's
process. They must come before the first computation.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import tempfile

import jax

from diffprog.weights import cache_folder, print_to_stderr

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8  # malloc.h of glibc
MEBIBYTE = 1 << 20


def prepare() -> None:
    """Keep memory and compiled programs; where one of them cannot be done, things are only slower."""
    keep_memory()
    keep_compiled_programs()


def keep_memory() -> None:
    """Ask glibc to keep freed memory instead of returning it to the kernel.

    XLA allocates one temporary block at every execution. Above 32 MiB glibc maps and unmaps it each time, and
    the kernel clears every page of it anew: for convolutional networks that costs as much as the arithmetic.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 512 * MEBIBYTE)
        mallopt(M_ARENA_MAX, 1)  # the other arenas are made of mappings, whatever M_MMAP_MAX says


def keep_compiled_programs() -> None:
    """Keep what XLA compiles in the cache folder, unless JAX_COMPILATION_CACHE_DIR names another."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = cache_folder() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        print_to_stderr(f"diffprog: slower, compiled programs cannot be kept ({error}); set DIFFPROG_CACHE")
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
