"""What a function does at a point: values and gradients, compiled once and asked many times.

Compiling is what a check costs, so everything that can be had by calling the same compiled program again is: several
cotangents, neighbouring points for differences, the loop that vmap is compared with. Everything else is one program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from diffprog.rules.checks.proof import Check
from diffprog.rules.checks.subject import Arrays, Flat, Subject, leafwise

# The formulas are checked, not the machine code: unoptimized code is the same mathematics, compiled faster.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@dataclass(frozen=True)
class Refusal:
    """What a function answered instead of a result."""

    error: Exception

    @property
    def forward_mode(self) -> bool:
        """Whether JAX refused forward mode through a custom_vjp, which is no fault of the rule's mathematics."""
        text = str(self.error)
        return ("custom_vjp" in text and "forward-mode" in text) or "'custom_lin'" in text

    def __str__(self) -> str:
        first = str(self.error).strip().split("\n")[0]
        return f"raised {type(self.error).__name__}: {first[:200]}"


def attempt(function: Callable[..., Any], *args: Any) -> Any:
    """The result, or a `Refusal`: whatever a function under test raises is a finding."""
    try:
        return function(*args)
    except Exception as error:
        return Refusal(error)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile quickly; see `QUICK`."""
    return jax.jit(function, compiler_options=QUICK)


def run(probes: Mapping[str, Callable[..., Any]], *data: Any) -> dict[str, Any]:
    """The result of every probe, or its refusal: all in one program, else all that can be traced, else one by one."""
    together = attempt(_in_one(probes), *data)
    if not isinstance(together, Refusal):
        return together
    traced = {name: attempt(jax.eval_shape, probe, *data) for name, probe in probes.items()}
    refusals = {name: shape for name, shape in traced.items() if isinstance(shape, Refusal)}
    rest = {name: probe for name, probe in probes.items() if name not in refusals}
    together = attempt(_in_one(rest), *data)
    if isinstance(together, Refusal):
        together = {name: attempt(compiled(probe), *data) for name, probe in rest.items()}
    return together | refusals


def _in_one(probes: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    return compiled(lambda *data: {name: probe(*data) for name, probe in probes.items()})


def value_and_pull(subject: Subject, call: Flat) -> Callable[[Arrays, Any], tuple[list[Any], Arrays]]:
    """`(arrays, g_out) -> (x_out, g_in)`."""

    def once(arrays: Arrays, g_out: Any) -> tuple[list[Any], Arrays]:
        x_out, pull = jax.vjp(lambda x: call(subject.join(x, arrays)), subject.split(arrays))
        return x_out, pull(g_out)[0]

    return once


@dataclass
class Evidence:
    """The function of a subject, or its reference, ready to be asked."""

    subject: Subject
    call: Flat
    once: Callable[[Arrays, Any], Any] = field(init=False)
    value: Callable[[Arrays], Any] = field(init=False)

    def __post_init__(self) -> None:
        self.once = compiled(value_and_pull(self.subject, self.call))
        self.value = compiled(self.call)

    def pull(self, arrays: Arrays, g_out: Any) -> Any:
        """(x_out, g_in) or a refusal."""
        return attempt(self.once, arrays, g_out)


# ---- comparing ----------------------------------------------------------------------------------------------


def norm(tree: Any) -> float:
    """Euclidean norm over all leaves; entries that are not finite count as nothing."""
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(tree)]
    return _length(np.concatenate([leaf[np.isfinite(leaf)] for leaf in leaves])) if leaves else 0.0


def _length(numbers: Any) -> float:
    """Euclidean norm of numbers whose squares may overflow."""
    largest = float(np.abs(numbers).max(initial=0.0))
    return largest * float(np.linalg.norm((numbers / largest).ravel())) if 0 < largest < np.inf else largest


def inner(a: Any, b: Any) -> float:
    """Inner product over all leaves."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return float(sum(np.vdot(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in pairs))


def combine(a: float, x: Any, b: float, y: Any) -> Any:
    """a x + b y, leaf by leaf."""
    return leafwise(lambda p, q: a * p + b * q, x, y)


# A leaf this much smaller than the whole is measured against the whole: its digits are rounding.
NEGLIGIBLE = 1e-4


def error(found: Any, expected: Any, floor: float = 0.0) -> float:
    """The worst leaf's distance, relative to that leaf's norm, or to a small part of the whole, or to `floor`.

    Wherever `expected` is not finite, `found` must not be finite either; nothing else is asked there.
    """
    whole = max(NEGLIGIBLE * norm(expected), floor)
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return max((_leaf_error(*pair, whole) for pair in pairs), default=0.0)


def _leaf_error(found: Any, expected: Any, floor: float) -> float:
    f, e = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if f.shape != e.shape:
        return np.inf
    known = np.isfinite(e)
    if not np.isfinite(f[known]).all() or np.isfinite(f[~known]).any():
        return np.inf
    distance = _length(f[known] - e[known])
    size = max(_length(e[known]), floor)
    return distance / size if size > 0 else distance


def judge(name: str, measured: float, allowed: float, detail: str = "") -> Check:
    """A check that holds where what was measured is allowed; NaN is not."""
    return Check(
        name, bool(measured <= allowed), float(measured), allowed, "" if measured <= allowed else detail
    )


def not_applicable(name: str, why: str) -> Check:
    """A check that could not be made, and is no fault."""
    return Check(name, True, detail=why)


def refused(name: str, refusal: Refusal, require_forward: bool) -> Check:
    """Forward mode refused by a custom_vjp is no fault unless it was asked for; anything else raised is."""
    if refusal.forward_mode:
        return Check(name, not require_forward, detail="not available: custom_vjp refuses forward mode")
    return Check(name, False, detail=str(refusal))
