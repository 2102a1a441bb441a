"""No garbage collection while this package is imported: a fifth of the time that importing it takes goes there.

Imports make hundreds of thousands of objects that stay, and every look for cycles goes through all of them. Import
this module first, and call `finished` last.
"""

from __future__ import annotations

import gc

_was_enabled = gc.isenabled()
gc.disable()


def finished() -> None:
    """Collect garbage again, if that was so before."""
    if _was_enabled:
        gc.enable()
