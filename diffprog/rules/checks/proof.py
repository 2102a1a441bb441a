"""What the checker hands back: one line for every check, with the number it measured and the number it allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diffprog.errors import WrongRule


@dataclass(frozen=True)
class Check:
    """One thing that a rule must hold.

    Attributes:
      name: what was checked.
      ok: whether it holds; also true where the check does not apply, and then `measured` is None.
      measured: the worst relative error that was found; None where nothing could be measured.
      allowed: the largest error that passes.
      detail: where the worst was, why the check does not apply, or what was raised.
    """

    name: str
    ok: bool
    measured: float | None = None
    allowed: float | None = None
    detail: str = ""

    @property
    def applies(self) -> bool:
        """Whether something was measured, or failed before it could be."""
        return not self.ok or self.measured is not None

    def line(self, width: int = 0) -> str:
        """The check as one line, its name filled up to `width`."""
        mark = "WRONG" if not self.ok else "ok   " if self.applies else "--   "
        numbers = ""
        if self.measured is not None and self.allowed is not None:
            sign = "<=" if self.measured <= self.allowed else "> "
            numbers = f"{self.measured:7.1e} {sign} {self.allowed:.0e}"
        return f"{mark}  {self.name:<{width}}  {numbers:<19}{self.detail}".rstrip()

    def __str__(self) -> str:
        return self.line()


@dataclass(frozen=True)
class Proof:
    """Everything that was checked of one rule; `print(proof)` is a table.

    Attributes:
      subject: the rule's name.
      checks: in the order in which they were made.
    """

    subject: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return not self.wrong

    @property
    def wrong(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.ok)

    def __getitem__(self, name: str) -> Check:
        """The check of this name."""
        return {check.name: check for check in self.checks}[name]

    def __str__(self) -> str:
        made = [check for check in self.checks if check.applies]
        head = f"{self.subject}: {len(made) - len(self.wrong)} of {len(made)} checks hold"
        return "\n".join([head, _table(self.checks)])

    def require(self) -> Proof:
        """Return this proof if it holds.

        Raises:
          WrongRule: it does not; the message lists every check that fails.
        """
        if self.ok:
            return self
        raise WrongRule(
            f"{self.subject}: {len(self.wrong)} of {len(self.checks)} checks fail\n{_table(self.wrong)}",
            "a backward rule that is the derivative of its forward computation, under every transformation",
            f"the first line first: {_advice(self.wrong[0])}",
        )


def _table(checks: Sequence[Check]) -> str:
    width = max((len(check.name) for check in checks), default=0)
    return "\n".join(f"  {check.line(width)}" for check in checks)


def _advice(check: Check) -> str:
    return next((text for start, text in ADVICE.items() if check.name.split(": ")[-1].startswith(start)), "")


# What most often breaks each check, for the person who has to find it; found by the start of the check's name.
ADVICE: dict[str, str] = {
    "value while": "the forward pass of the rule returns something else than the function itself",
    "value": "the function computes something else than its reference",
    "gradient against autodiff": "derive the formula again: sign, transpose, sums over broadcast axes, padding",
    "gradient against differences": "derive the formula again, or move the arguments away from a kink",
    "shape and type": "cast every gradient to its own argument's type, and sum it to its own argument's shape",
    "linear": "a backward formula may use g_out only linearly: no clipping, no square, no constant added",
    "push": "J and J^T do not belong to the same map; leave J out to have JAX transpose J^T",
    "one argument": "a gradient depends on which other gradients are asked for",
    "second order": "something saved is treated as constant (stop_gradient), or a rule inside hides its own",
    "third order": "something saved is treated as constant (stop_gradient), or a rule inside hides its own",
    "vmap": "the formula counts axes from the front, or sums over the batch axis that vmap adds",
    "jit": "the function depends on Python state, or its formula on values",
    "sharded": "the rule reads the place or the size of an array where it should read its shape",
    "scan": "the rule keeps values in Python between calls instead of returning them as saved",
    "checkpoint": "the rule keeps values in Python between calls instead of returning them as saved",
    "finite": "divide, take roots and logarithms only where the argument allows it (jnp.where on both sides)",
    "other points": "a branch of the formula is wrong where the given arguments do not reach: negative or large ones",
    "NaN": "comparisons with NaN are false: a maximum or mask written with them drops it",
    "float32": "a constant or a cast of another type in the formula",
    "bfloat16": "a constant or a cast of another type in the formula",
}
