"""`diffprog explain`: the backward sweep in words, through the lecture's example or the user's own function."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from diffprog.cli import lecture, user_code
from diffprog.cli.checks import whole
from diffprog.errors import InvalidInput
from diffprog.graph.sweeps.backprop import backprop

MOST_DIGITS = 17  # all that a float64 has


def explain(what: str, args_name: str | None, parameters: Sequence[str], digits: int) -> str:
    """What to print.

    Args:
        what: "lecture", or `FILE.py:FUNCTION`.
        args_name: what the arguments are called in the file; None: `FUNCTION_args`.
        parameters: which arguments are parameters; empty for the custom of `backprop`.
        digits: decimals in the lecture's example, significant digits elsewhere.

    Raises:
        InvalidInput: see `user_code.load` and `backprop`; a function that fails; digits that no number has.
    """
    whole("--digits", digits, 1, MOST_DIGITS)
    if what == "lecture":
        return lecture.tell(digits)
    if ":" not in what and difflib.get_close_matches(what, ["lecture"]):
        raise InvalidInput(f"{what!r}", f"`lecture`, or {user_code.FORM}", "explain lecture")
    user = user_code.load(what, args_name)
    with user_code.running(user):
        steps = backprop(user.function, *user.args, parameters=list(parameters) or None)
        return f"{user.title}\n\n{steps.table(digits)}"
