"""How the command line fails: in words on standard error, with an exit code, a traceback only on request.

Exit codes: 2 what the user can change, 1 what nobody expected, 130 Ctrl-C.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from diffprog.errors import DiffprogError

USAGE, UNEXPECTED, INTERRUPTED = 2, 1, 130


@contextmanager
def told(debug: bool) -> Iterator[None]:
    """Say what went wrong in the body of the `with`, and leave.

    Args:
        debug: whether to show the traceback too.

    Raises:
        typer.Exit: something went wrong, and has been said.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, BrokenPipeError):  # not failures of ours
        raise
    except DiffprogError as error:
        _say(str(error), debug)
        raise typer.Exit(USAGE) from None
    except KeyboardInterrupt:
        _say("interrupted; no file was written", debug)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        first = (str(error).splitlines() or ["no message"])[0]
        more = "" if debug else "\n  --debug shows where it happened; please report it with that"
        _say(f"unexpected {type(error).__name__}: {first}{more}", debug)
        raise typer.Exit(UNEXPECTED) from None


def _say(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    typer.echo(f"diffprog: {message}", err=True)
