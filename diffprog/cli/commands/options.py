"""Options and help that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The PNG to write.", show_default=False)]
FUNCTION_HELP = (
    "`FILE.py:FUNCTION`, a cost; its arguments are FUNCTION_args in the file: a tuple, a mapping by name, "
    "or a function that returns one of them."
)
UNIT_HELP = (
    "A class by a part of its name or its number (chameleon, 47), a layer's channel (fire5:12), "
    "or a channel at row Y, column X (fire5:12@13,13)."
)
