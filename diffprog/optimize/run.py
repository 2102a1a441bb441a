"""Taking the steps: one after the other, told as they go, ended by a rule, a callback or Ctrl-C.

What a run needs to know of its cost is in its compiled steps; what it leaves behind is a `Run`, which `outcome.py`
turns into a result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from diffprog.optimize.checkpoint import Checkpoint
from diffprog.optimize.keeper import Keeper, fetched
from diffprog.optimize.method import PyTree
from diffprog.optimize.progress import Progress
from diffprog.optimize.step import Report, State

Callback = Callable[[int, PyTree, Report], bool | None]

LOOK_SECONDS = (
    0.002  # waiting for the device costs some 50 microseconds: not after every step of a small problem
)


class Stage(NamedTuple):
    """A step as `compiled` makes it, and how often to take it."""

    step: Callable[..., tuple[State, Report]]
    steps: int


class Run(NamedTuple):
    """A run as it ended: the last state, what every step saw, and whether someone ended it."""

    state: State
    rows: list[Any]
    last: Report | None
    ended: str


class _Halt(Exception):
    """A callback asked to stop."""


def take(
    stages: Sequence[Stage],
    state: State,
    args: tuple[Any, ...],
    progress: Progress,
    callback: Callback | None,
    checkpoint: Checkpoint | None,
) -> Run:
    """Take the steps of all stages, from where the checkpoint left off."""
    keeper = Keeper(checkpoint, [stage.step for stage in stages], state, args)
    state, reports, ended = keeper.state, list[Report](), "finished"
    done = len(keeper.rows)
    looked = time.monotonic()
    try:
        with progress(sum(stage.steps for stage in stages)) as told:
            for reached, report in _walk(stages, state, args, done):
                state = reached
                reports.append(report)
                # One step is always in flight: the report looked at is the one before it.
                looked_at = reports[-1 if callback or len(reports) == 1 else -2]
                if callback or time.monotonic() - looked > LOOK_SECONDS:
                    if np.all(np.asarray(looked_at.reason)):
                        break
                    looked = time.monotonic()
                told(done + len(reports), looked_at)
                if callback and callback(done + len(reports), state.value, report):
                    raise _Halt
                keeper.now_and_then(state, reports)
    except KeyboardInterrupt:
        ended = "interrupted"
    except _Halt:
        ended = "callback"
    keeper.finish(state, reports)
    return Run(state, keeper.rows + fetched(reports), reports[-1] if reports else None, ended)


def _walk(
    stages: Sequence[Stage], state: State, args: tuple[Any, ...], done: int
) -> Iterator[tuple[State, Report]]:
    for stage in stages:
        for _ in range(max(0, stage.steps - done)):
            state, report = stage.step(state, *args)
            yield state, report
        done = max(0, done - stage.steps)
