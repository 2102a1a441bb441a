"""What makes a short-lived process fast: memory that is kept, and compiled programs that are found again.

Both concern the whole process, so only the command line does them; they come before the first computation.
"""

from __future__ import annotations

import os

from diffprog.machine import tune
from diffprog.weights import cache_folder, print_to_stderr


def prepare() -> None:
    """Keep memory and compiled programs; where one of them cannot be done, things are only slower.

    The programs go to the cache folder, unless JAX_COMPILATION_CACHE_DIR names another.
    """
    own = "JAX_COMPILATION_CACHE_DIR" in os.environ
    _, compiled, _ = tune(compiled=None if own else cache_folder() / "compiled")
    if not own and not compiled.done:
        print_to_stderr(
            f"diffprog: slower, compiled programs cannot be kept ({compiled.note}); set DIFFPROG_CACHE"
        )
