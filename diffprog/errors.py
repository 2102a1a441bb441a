"""Errors that say three things: what was got, what was expected and why, what to try.

Every room raises these for bad input. They are ordinary `ValueError`s and `OSError`s, so code that
catches those keeps working; the command line prints them without a traceback.
"""

from __future__ import annotations


class DiffprogError(Exception):
    """Base of the package's errors; `str(error)` is the three-part message."""

    def __init__(self, got: str, expected: str, remedy: str):
        super().__init__(f"{got}\n  expected: {expected}\n  try: {remedy}")
        self.got = got
        self.expected = expected
        self.remedy = remedy


class InvalidInput(DiffprogError, ValueError):
    """An argument that cannot be used: a wrong shape, an unknown name, a negative size."""


class BadFile(DiffprogError, ValueError):
    """A file that is truncated, corrupted, of another format, or hostile."""


class Unreachable(DiffprogError, OSError):
    """Something outside this process that could not be read or written: a folder, a download."""


class WrongRule(DiffprogError, AssertionError):
    """A backward rule that does not hold what the checker asks of it."""
