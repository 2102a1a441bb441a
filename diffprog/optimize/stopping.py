"""When to stop: rules that the compiled step itself obeys, so that no run goes a step too far.

A step that meets a rule leaves the value as it is and says which rule it was; steps that were already on their way
then change nothing. So the answer does not depend on how far the host was behind the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from diffprog.errors import InvalidInput


class Reason(IntEnum):
    """Why a run stopped; 0 while it goes on."""

    GOING_ON = 0
    NOT_FINITE = 1
    DIVERGED = 2
    GRADIENT = 3
    CHANGE = 4
    TARGET = 5
    EVALUATIONS = 6

    @property
    def words(self) -> str:
        """As `Result.stopped` says it."""
        return {2: "diverged", 3: "gradient norm", 4: "change", 5: "target", 6: "evaluations"}.get(
            self, "not finite"
        )


@dataclass(frozen=True)
class Stop:
    """Rules, any of which ends a run.

    Attributes:
      gradient_norm: stop where the norm of the gradient is this or less. With a projection it is the norm of
        w - P(w - g), which is 0 at a minimum on the boundary, where the gradient is not.
      change: stop where a step would move the value by this or less, in norm. Leave it 0 for methods that may stay
        where they are for a while (samplers, trust regions).
      target: stop where the cost is this or less.
      evaluations: begin no step once this many values, gradients, products and Hessians together were asked for.

    Example:
      >>> Stop(gradient_norm=1e-6, evaluations=500).gradient_norm
      1e-06
    """

    gradient_norm: float | None = None
    change: float | None = None
    target: float | None = None
    evaluations: int | None = None

    def __post_init__(self) -> None:
        for name in ("gradient_norm", "change", "evaluations"):
            bound = getattr(self, name)
            if bound is not None and not bound >= 0:
                raise InvalidInput(f"Stop({name}={bound})", "0 or more", f"leave {name} out for no such rule")
