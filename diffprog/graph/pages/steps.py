"""What the page shows of a backward sweep: its steps, and its arrays in few letters.

Small arrays are printed and large ones told by their norm, range and share of zeros, so that a page stays small
whatever flows. Steps are met by their attributes alone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from latex2mathml.converter import convert

from diffprog.graph.pages.record import number, short

if TYPE_CHECKING:  # which uses the page, which uses this module
    from diffprog.graph.sweeps.step import Step

MANY_STEPS = 1000
SMALL, SMALLER = 36, 4  # elements of an array that is printed: in a short sweep, in one of many steps


def describe_steps(steps: Sequence[Step], arguments: Sequence[str] = ()) -> dict[str, Any]:
    """A backward sweep as data.

    Args:
        steps: in the order of the sweep.
        arguments: names of the function's arguments, whose gradients are added over all that use them.

    Returns:
        `steps`, whose arrays are positions in `arrays`; `totals`, the same for the gradients of arguments;
        `formulas`, from LaTeX to MathML.
    """
    small = SMALL if len(steps) <= MANY_STEPS else SMALLER
    arrays: list[dict[str, Any]] = []
    seen: dict[int, int] = {}

    def at(array: Any) -> int | None:
        if array is None:
            return None
        if id(array) not in seen:  # what flows along an edge is met at both of its ends
            seen[id(array)] = len(arrays)
            arrays.append(summarize(array, small))
        return seen[id(array)]

    def flows(items: Iterable[Any]) -> list[dict[str, Any]]:
        return [{"name": short(item.name), "array": at(item.array)} for item in items]

    described = [
        {
            "node": step.number,
            "rule": short(step.rule),
            "forward": step.forward,
            "formula": step.formula,
            **{key: flows(getattr(step, key)) for key in _FLOWS},
            "contributions": [
                [{"name": short(term.consumer), "array": at(term.array)} for term in terms]
                for terms in step.contributions
            ],
        }
        for step in steps
    ]
    latex = {formula for step in steps for formula in (step.forward, step.formula) if formula}
    formulas = {formula: mathml(formula) for formula in sorted(latex)}
    totals = {short(name): at(array) for name, array in _totals(steps, set(arguments)).items()}
    return {"steps": described, "arrays": arrays, "formulas": formulas, "totals": totals}


def _totals(steps: Sequence[Step], arguments: set[str]) -> dict[str, Any]:
    totals: dict[str, Any] = {}
    for flow in (flow for step in steps for flow in (*step.g_in, *step.g_parameters)):
        if flow.name in arguments and flow.array is not None:
            totals[flow.name] = totals[flow.name] + flow.array if flow.name in totals else flow.array
    return totals


_FLOWS = ("x_in", "parameters", "x_out", "g_out", "g_in", "g_parameters")


def summarize(array: Any, small: int = SMALL) -> dict[str, Any]:
    """Type, shape, norm, range and share of zeros of an array; its numbers too if there are few.

    Example:
        >>> summarize(np.array([0.0, 3.0, -4.0]))["norm"]
        '5'
    """
    if jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key):
        return {"type": f"key{list(array.shape)}"}
    array = np.asarray(array)
    record: dict[str, Any] = {"type": f"{array.dtype}{list(array.shape)}"}
    if array.size == 0 or (array.dtype.kind not in "biufc" and not _is_small_float(array.dtype)):
        return record
    wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64).reshape(-1)
    finite = wide[np.isfinite(wide)]
    size = np.abs(finite)
    record["norm"] = number(_norm(size))
    record["zeros"] = f"{100 * np.mean(wide == 0):.3g} %"
    if finite.size < wide.size:
        record["not finite"] = int(wide.size - finite.size)
    if finite.size and array.dtype.kind != "c":
        record["range"] = [number(finite.min()), number(finite.max())]
    if array.size <= small:
        rows = array if array.ndim == 2 else array.reshape(1, -1) if array.ndim < 2 else array.reshape(-1, 1)
        record["rows"] = [[number(item) for item in row] for row in rows.tolist()]
    return record


def _is_small_float(dtype: Any) -> bool:
    return "float" in str(dtype)  # bfloat16 and its kin, which NumPy knows by name only


def _norm(size: np.ndarray) -> float:
    """The length, without overflow on the way; infinite only if it is larger than any float."""
    largest = float(size.max(initial=0.0))
    return largest * float(np.sqrt(np.sum((size / largest) ** 2))) if largest else 0.0


@functools.cache
def mathml(latex: str) -> str:
    """A formula as MathML, which browsers draw by themselves; empty where the formula cannot be read."""
    try:
        return convert(latex, display="block")
    except Exception:  # whatever the converter trips over: the page then shows the LaTeX itself
        return ""
