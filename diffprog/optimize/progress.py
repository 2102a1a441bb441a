"""What a long run tells while it runs: where it is, how good, how long still.

A progress is a function `(total steps) -> context manager`, whose value is called as `told(done, report)`
after every step. `silent` says nothing; `bar` draws one line with the score and the seconds left, in a
terminal or a notebook.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as RichProgress

Told = Callable[[int, Any], None]
Progress = Callable[[int], AbstractContextManager[Told]]

REFRESH_SECONDS = 0.1


@contextmanager
def silent(total: int) -> Iterator[Told]:
    """Say nothing."""
    del total
    yield lambda done, report: None


def bar(title: str, score: Callable[[Any], float] = lambda report: float(report.cost)) -> Progress:
    """A progress bar on standard error.

    Args:
      title: what is being made.
      score: reads the number to show from a step's report.
    """

    @contextmanager
    def progress(total: int) -> Iterator[Told]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
        )
        with RichProgress(*columns, console=Console(file=sys.stderr)) as drawn:
            task = drawn.add_task(title, total=total, told="compiling")
            yield _Teller(drawn, task, total, score).tell

    return progress


class _Teller:
    """Draws at most ten times a second, because reading the score waits for the device."""

    def __init__(self, drawn: RichProgress, task: Any, total: int, score: Callable[[Any], float]):
        self.drawn, self.task, self.total, self.score = drawn, task, total, score
        self.started: float | None = None
        self.last = -1.0

    def tell(self, done: int, report: Any) -> None:
        now = time.monotonic()
        if self.started is None:  # the first step compiled: time is counted from its end
            self.started, self.first = now, done
        if now - self.last < REFRESH_SECONDS and done < self.total:
            return
        self.last = now
        pace = (now - self.started) / (done - self.first) if done > self.first else 0.0
        told = f"score {self.score(report):8.2f}  {pace * (self.total - done):4.0f} s left"
        self.drawn.update(self.task, completed=done, told=told)
