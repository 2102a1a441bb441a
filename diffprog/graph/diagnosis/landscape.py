"""Findings: costs that are hard although every derivative exists.

Near the point at hand, the extreme eigenvalues of the Hessian say how fast gradient descent can be (`curvature`).
Farther away, the cost is evaluated along a line through the point, as far as the variables are large: a cost that
turns many times on that line is rugged, and one that changes there but has neither slope nor curvature at the
point is on a plateau.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from diffprog.graph.diagnosis.curvature import Spectrum
from diffprog.graph.diagnosis.findings import Finding, listed
from diffprog.graph.diagnosis.line import SAMPLES, Line
from diffprog.graph.diagnosis.view import View, norm
from diffprog.graph.node import Node

TURNS = 16  # of 63: as a sum of a few smooth bends has no reason to
HARD = 1000.0  # condition number from which gradient descent needs more than a thousand steps for a digit
SLOW = 30.0  # and from which momentum is worth its name
STILL = 1e-5  # of curvature times distance: a smaller gradient is a stationary point's
_SLOW = (
    "momentum, Adam or L-BFGS; rescaling the variables so that all directions are curved alike (standardized inputs, "
    "normalization layers)"
)


def landscape(
    view: View, spectrum: Spectrum | None, line: Line, gradient: float, others: list[Finding]
) -> Iterator[Finding]:
    """What the Hessian and the line say.

    Args:
        view: the program.
        spectrum: eigenvalues of the Hessian in the variables; None if it was not measured.
        line: the cost along a line in the variables.
        gradient: the norm of the gradient in the variables.
        others: what was found before.
    """
    node = view.cost_node
    here = abs(float(view.value(view.graph.outputs[0])))
    rugged = line.turns >= TURNS
    if rugged:
        yield _rugged(view, line.turns)
    if spectrum is None or not np.isfinite(spectrum.norm):
        return
    if _is_plateau(spectrum, line, gradient, here):
        if any(finding.severity != "note" for finding in others):
            return  # that explains it
        idle = [f.node for f in others if f.kind in ("dead units", "saturated units")]
        yield _said(
            "plateau",
            "warning",
            node,
            f"The cost is flat here: the gradient ({gradient:.2g}) and the Hessian ({spectrum.norm:.2g}) are 0 to "
            "rounding, so no method that follows them moves."
            + (f" Behind it are the units of {', '.join(idle[:3])} that pass nothing." if idle else "")
            + _elsewhere(view, gradient),
            "another starting point, a larger initial scale, a surrogate with a slope (the logarithm of a "
            "probability in place of the probability), or a method that needs no gradient",
        )
    elif not rugged and spectrum.norm > 0:
        yield from _conditioning(node, spectrum, line, gradient)


def _elsewhere(view: View, gradient: float) -> str:
    """What has a gradient although the variables looked at have none."""
    known = view.seen.cotangents
    names = [view.labels[i] for i in view.graph.inputs if i in known and norm(known[i]) > 2 * gradient]
    return f" It is not in {listed(names)}, which argnums can choose." if names else ""


def _conditioning(node: Node | None, spectrum: Spectrum, line: Line, gradient: float) -> Iterator[Finding]:
    between = f"between {spectrum.smallest:.4g} and {spectrum.largest:.4g}"
    still = gradient <= STILL * abs(spectrum.smallest) * line.length
    if spectrum.indefinite:
        yield _said(
            "saddle" if still else "negative curvature",
            "warning" if still else "note",
            node,
            f"The Hessian's eigenvalues lie {between}: "
            + (
                "the gradient is 0, but this is no minimum; the cost falls along a direction of negative curvature."
                if still
                else "the cost is not convex here, and Newton's step would go uphill in some directions. "
                f"{_longest_step(spectrum)}"
            ),
            "a small random step away; a method that uses negative curvature (trust region)"
            if still
            else "nothing, as this is usual for networks; a damped Newton method if second order is wanted",
            spectrum.smallest,
        )
    elif not spectrum.definite or not spectrum.resolved:
        yield _said(
            "flat directions",
            "note",
            node,
            f"The Hessian's eigenvalues lie {between}; some directions are flat, or so little curved that "
            f"{'the type' if spectrum.resolved else 'these many products'} cannot tell. {_longest_step(spectrum)}",
            "nothing, unless the flat directions matter; then weight decay curves them",
            float("inf"),
        )
    else:
        yield _convex(node, spectrum, between, still)


def _convex(node: Node | None, spectrum: Spectrum, between: str, still: bool) -> Finding:
    number = spectrum.condition_number
    hard = number >= HARD
    rates = (
        f"Gradient descent at its best step, {2 / (spectrum.largest + spectrum.smallest):.3g}, keeps "
        f"{spectrum.descent_rate:.4g} of the error a step ({_steps(spectrum.descent_rate)}); momentum at its best "
        f"{spectrum.momentum_rate:.4g} ({_steps(spectrum.momentum_rate)}). {_longest_step(spectrum)}"
    )
    minimum = "The gradient is 0: this is a minimum. " if still else ""
    sentence = f"{minimum}The Hessian's eigenvalues lie {between}: condition number {number:.3g}. {rates}"
    kind = "ill-conditioned" if hard else "conditioning"
    remedy = _SLOW if hard else "momentum" if number > SLOW else "nothing; the cost is well conditioned"
    if spectrum.size == 1:
        sentence = f"{minimum}The second derivative is {spectrum.largest:.4g}. {_longest_step(spectrum)}"
        remedy = "a step shorter than that"
    return _said(kind, "warning" if hard else "note", node, sentence, remedy, number)


def _steps(rate: float) -> str:
    if rate <= 0.1:
        return "at most 1 step a digit"
    return f"{int(np.ceil(np.log(0.1) / np.log(rate)))} steps a digit"


def _longest_step(spectrum: Spectrum) -> str:
    if spectrum.largest <= spectrum.noise:
        return "Nothing is curved upward, so no step of gradient descent is too long by this measure."
    step = f"2/{spectrum.largest:.4g} = {spectrum.largest_step:.3g}"
    return f"Gradient descent diverges for steps beyond {step}."


def _is_plateau(spectrum: Spectrum, line: Line, gradient: float, here: float) -> bool:
    change = gradient * line.length + spectrum.norm * line.length**2
    return change <= max(1e-6 * line.range, 1e-9 * here)


def _rugged(view: View, turns: int) -> Finding:
    waves = [node for _, node, g in view.active() if node.primitive in ("sin", "cos", "tan") and np.any(g)]
    node = max(waves, key=lambda n: float(np.abs(view.value(n.inputs[0])).max()), default=view.cost_node)
    through = (
        f" It goes through {node.primitive} of values up to {np.abs(view.value(node.inputs[0])).max():.3g}."
        if waves and node
        else ""
    )
    return _said(
        "rugged cost",
        "warning",
        node,
        f"Differentiable, but hard: along a line as long as the variables are large, the cost turns {turns} times "
        f"between {SAMPLES} samples, so a gradient points to the nearest of many minima only.{through}",
        "a lower frequency first (coarse to fine), averaging the cost over random shifts, or a method that needs "
        "no gradient (random search, CMA-ES)",
        float(turns),
    )


def _said(
    kind: str, severity: Any, node: Node | None, sentence: str, remedy: str, share: float | None = None
) -> Finding:
    return Finding(
        kind,
        severity,
        node.name if node else "output",
        node.source if node else None,
        sentence,
        remedy,
        share,
    )
