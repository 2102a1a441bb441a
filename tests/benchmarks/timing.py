"""Medians of interleaved calls: what runs next to each other sees the same machine."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import jax

REPEATS = 15
ENOUGH = 2.0  # seconds for a whole comparison, if REPEATS take longer


def milliseconds(calls: Mapping[str, Callable[[], Any]], repeats: int = REPEATS) -> dict[str, float]:
    """Median time of every call, interleaved, after three rounds of warming up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    started = time.perf_counter()
    for number in range(repeats + 3):
        for name, call in calls.items():
            before = time.perf_counter()
            jax.block_until_ready(call())
            if number >= 3:
                times[name].append(time.perf_counter() - before)
        if number >= 7 and time.perf_counter() - started > ENOUGH:
            break
    return {name: 1000 * median(values) for name, values in times.items()}


def faults(call: Callable[[], Any]) -> int:
    """Page faults of one call: above a few hundred, the kernel's clearing of memory is part of every time."""
    jax.block_until_ready(call())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    jax.block_until_ready(call())
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
