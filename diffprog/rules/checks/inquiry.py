"""One rule under question: its evidence, its reference's, and the draws that all checks share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.rules.checks.evidence import Evidence, Refusal, attempt, norm
from diffprog.rules.checks.subject import Arrays, Subject, is_floating, leafwise

DIRECTIONS = 3  # random ones; what one misses by chance, three do not


@dataclass(frozen=True)
class Inquiry:
    """What every check is given.

    Attributes:
      subject: what is checked, and where.
      exact: whether values must agree with the reference bit for bit.
      orders: how many derivatives are checked.
      require_forward: whether a refusal of forward mode is a fault.
      elsewhere: whether the function is to hold far from its arguments.
      quick: whether to leave out what takes longest to compile.
      dtypes: lower precisions that must run too.
    """

    subject: Subject
    exact: bool
    orders: int
    require_forward: bool
    elsewhere: bool
    quick: bool
    dtypes: tuple[Any, ...]

    @cached_property
    def rule(self) -> Evidence:
        """The function under question."""
        return Evidence(self.subject, self.subject.flat(self.subject.function))

    @cached_property
    def reference(self) -> Evidence | None:
        """The plain function; None where there is none, or where JAX cannot evaluate it."""
        if self.subject.reference is None:
            return None
        plain = Evidence(self.subject, self.subject.flat(self.subject.reference))
        if not self.subject.stated and isinstance(attempt(plain.value, self.arrays), Refusal):
            return None
        return plain

    @property
    def arrays(self) -> Arrays:
        """The point."""
        return self.subject.arrays

    @cached_property
    def x(self) -> Arrays:
        """Those of the arrays that have a gradient."""
        return self.subject.split(self.arrays)

    @cached_property
    def x_out(self) -> Any:
        """The plain call's value, or a refusal."""
        return attempt(self.rule.value, self.arrays)

    @cached_property
    def cotangents(self) -> list[Any]:
        """Random g_out."""
        return [self.subject.like(self.x_out, number) for number in range(DIRECTIONS)]

    @cached_property
    def scales(self) -> Any:
        """The root mean square of every argument, 1 where that is 0: the length scale of its directions."""

        def scale(leaf: Any) -> float:
            numbers = np.asarray(leaf, np.float64)
            return float(np.sqrt(np.square(numbers).mean())) or 1.0 if numbers.size else 1.0

        return jax.tree.map(scale, self.x)

    @cached_property
    def directions(self) -> list[Any]:
        """Random x_dot, in each argument's own length scale."""
        draws = [self.subject.like(self.x, 100 + number) for number in range(DIRECTIONS)]
        return [leafwise(np.multiply, draw, self.scales) for draw in draws]

    @cached_property
    def pulls(self) -> list[Any]:
        """What the rule gives for every cotangent: (x_out, g_in), or a refusal."""
        return [self.rule.pull(self.arrays, w) for w in self.cotangents]

    @cached_property
    def expected(self) -> list[Any] | None:
        """What autodiff of the reference gives; None where there is none."""
        if self.reference is None:
            return None
        found = [self.reference.pull(self.arrays, w) for w in self.cotangents]
        if any(isinstance(f, Refusal) for f in found):
            return None
        fits = [jnp.shape(a) for a in found[0][0]] == [jnp.shape(a) for a in self.x_out]
        return found if fits else None

    @cached_property
    def size(self) -> float:
        """The norm of the gradient, in which small differences are judged."""
        return norm((self.expected or self.pulls)[0][1])

    # The scalar whose higher derivatives are checked: not linear, so that linear rules have some too.
    @cached_property
    def curvature(self) -> Any:
        """u in  cost(x_out) = <w, x_out> + <u, x_out^2> / 2."""
        return self.subject.like(self.x_out, 200)

    @cached_property
    def cost(self) -> float:
        """The scalar at the point, from the plain call."""
        terms = zip(self.cotangents[0], self.curvature, self.x_out, strict=True)
        numbers = (tuple(np.asarray(part, np.float64) for part in term) for term in terms)
        return float(sum((w * y + 0.5 * u * y * y).sum() for w, u, y in numbers))

    def cost_gradient(self, arrays: Arrays) -> Any:
        """Its gradient anywhere, by one pull whose cotangent depends on the value; or a refusal."""
        x_out = attempt(self.rule.value, arrays)
        if isinstance(x_out, Refusal):
            return x_out
        g_out = leafwise(lambda w, u, y: w + u * y, self.cotangents[0], self.curvature, x_out)
        found = self.rule.pull(arrays, g_out)
        return found if isinstance(found, Refusal) else found[1]

    @cached_property
    def gradient(self) -> Any:
        """The scalar's gradient at the point."""
        return self.cost_gradient(self.arrays)

    @cached_property
    def neighbour(self) -> Arrays:
        """Another point: every array read backward and, where it is of numbers with a fraction, shrunk a little."""

        def other(leaf: Any) -> Any:
            if not jnp.issubdtype(jnp.result_type(leaf), jnp.number):
                return leaf
            numbers = np.asarray(leaf)
            turned = numbers.reshape(-1)[::-1].reshape(numbers.shape)
            return jnp.asarray(turned * (15 / 16) if is_floating(leaf) else turned, leaf.dtype)

        return jax.tree.map(other, self.arrays)

    def moved(self, direction: Any, step: float) -> Arrays:
        """The arrays after a step."""
        return self.subject.join(leafwise(lambda a, d: a + step * d, self.x, direction), self.arrays)

    def scaled(self, by: float) -> Arrays:
        """The arrays, those with a gradient multiplied by a number."""
        return self.subject.join(leafwise(lambda a: a * by, self.x), self.arrays)
