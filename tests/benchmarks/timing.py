"""Medians of interleaved calls: what runs next to each other sees the same machine.

Every call is made once unmeasured before it is timed: what ran before it leaves its arrays in the caches and, in
PyTorch's case, threads that go on spinning, and whoever comes next would pay for that.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import jax

REPEATS = 15
ENOUGH = 3.0  # seconds for a whole comparison, if REPEATS take longer


def milliseconds(calls: Mapping[str, Callable[[], Any]], repeats: int = REPEATS) -> dict[str, float]:
    """Median time of every call, interleaved, after two rounds of warming up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    started = time.perf_counter()
    for number in range(repeats + 2):
        for name, call in calls.items():
            jax.block_until_ready(call())
            before = time.perf_counter()
            jax.block_until_ready(call())
            if number >= 2:
                times[name].append(time.perf_counter() - before)
        if number >= 6 and time.perf_counter() - started > ENOUGH:
            break
    return {name: 1000 * median(values) for name, values in times.items()}


def faults(call: Callable[[], Any]) -> int:
    """Page faults of one call: above a few hundred, the kernel's clearing of memory is part of every time."""
    jax.block_until_ready(call())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    jax.block_until_ready(call())
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
