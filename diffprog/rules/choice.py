"""Where a hand-written formulation is used and where the plain operation: decided by measurement, per backend.

`data/choices.json` holds, for every backend that was measured, the machine, the script that measured
(`tests/benchmarks/choices.py`), and the sizes at which one formulation overtakes another. On a backend without
measurements a rule that differs from the plain operation in speed only is the plain operation, with JAX's own
autodiff; rules that save memory or state a convention stay.

The backend is asked for while a function is traced. Asked at lowering (`lax.platform_dependent`), both formulations
would be traced and their residuals kept side by side. A program that is traced for one backend and placed on another
is right on both, and may be slow.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import jax

from diffprog.rules.core.floating import has_derivative


class Choices(NamedTuple):
    """The measured sizes of one backend, and where they come from."""

    machine: str
    script: str
    sizes: dict[str, float]


@lru_cache
def choices() -> dict[str, Choices]:
    """What was measured, by backend: "cpu", "gpu", "tpu"."""
    text = files("diffprog.rules").joinpath("data/choices.json").read_text(encoding="utf-8")
    return {backend: Choices(**found) for backend, found in json.loads(text).items()}


def backend() -> str:
    """The platform that is traced for: that of the default device."""
    device = jax.config.jax_default_device  # type: ignore[attr-defined]
    if device is None:
        return jax.default_backend()
    return device if isinstance(device, str) else str(device.platform)


def applies(*arrays: Any) -> bool:
    """Whether a fast formulation may take the place of the plain operation for these arrays.

    Not on a backend without measurements; not for integers, which have no derivative; and not on a mesh with
    explicit axes, where a formula would have to say of every reshape and product where its result lies.
    """
    explicit = any(any(jax.typeof(x).sharding.spec) for x in arrays)
    return backend() in choices() and has_derivative(*arrays) and not explicit


def size(name: str) -> float:
    """The size at which formulations change places, on this backend.

    A rule inside another program can be traced where nothing was measured; it is then computed as on a CPU.

    Example:
      >>> size("depthwise: picture by picture from") > 0
      True
    """
    return choices().get(backend(), choices()["cpu"]).sizes[name]
