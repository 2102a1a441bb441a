"""What makes a short-lived process fast: memory that is kept, compiled programs that are found again, less collection.

All concern the whole process, so only the command line does them; they come before the first computation.
"""

from __future__ import annotations

import gc
import os

from diffprog.machine import tune
from diffprog.weights import cache_folder, print_to_stderr

NEW_OBJECTS = (
    100_000  # between two looks for cycles; Python's own 700 to 2,000 make tracing a network a fifth slower
)


def prepare() -> None:
    """Keep memory and compiled programs; where one of them cannot be done, things are only slower.

    The programs go to the cache folder, unless JAX_COMPILATION_CACHE_DIR names another.
    """
    gc.freeze()  # what was imported stays
    gc.set_threshold(NEW_OBJECTS)
    own = "JAX_COMPILATION_CACHE_DIR" in os.environ
    _, compiled, _ = tune(compiled=None if own else cache_folder() / "compiled")
    if not own and not compiled.done:
        print_to_stderr(
            f"diffprog: slower, compiled programs cannot be kept ({compiled.note}); set DIFFPROG_CACHE"
        )
