"""What is checked: a function at a point, its reference, and everything random that the checks need.

A function of any arguments becomes a function of one tuple of arrays, `(x_0, x_1, ...) -> [leaf, leaf, ...]`, so that
the checks need not know about settings, pytrees, or outputs without a derivative. Draws come from numpy: they
compile nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.errors import InvalidInput

Arrays = tuple[Any, ...]
Flat = Callable[[Arrays], list[Any]]  # arrays -> leaves of the output that have a derivative


@dataclass(frozen=True)
class Tolerance:
    """What passes, relative to the norm of what is right; none of it grows with the size of an array.

    Attributes:
      value: two programs of the same values; sums in another order.
      autodiff: two programs of the same gradient. Looser, for cancellation inside either.
      differences: central differences, whose own error is `step`^2 times the third derivative, plus rounding over
        `step`. A rule that is 0.1 % off misses this a thousand times over.
      step: of central differences, in units of the argument's root mean square. The cube root of the rounding
        error balances the two errors; larger steps reach kinks.
    """

    value: float
    autodiff: float
    differences: float
    step: float


TOLERANCES = {
    "float64": Tolerance(value=1e-12, autodiff=1e-10, differences=1e-6, step=1e-5),
    "float32": Tolerance(value=1e-5, autodiff=1e-4, differences=2e-2, step=5e-3),
}


@dataclass(frozen=True)
class Subject:
    """A function, its reference, and the point at which they are compared.

    Attributes:
      name: what reports call it.
      function, reference: `(*args, **settings) -> out`; reference None: there is none.
      stated: whether the caller gave the reference, which then decides at kinks and for surrogate gradients.
      args: positional arguments; those at `positions` are arrays or pytrees of arrays, the rest is static.
      positions: which of `args` are arrays.
      differentiable: which of the arrays, counted among `positions`, have a gradient.
      settings: keyword arguments that are not arrays.
      tolerance: what passes.
      seed: of everything random.
    """

    name: str
    function: Callable[..., Any]
    reference: Callable[..., Any] | None
    stated: bool
    args: tuple[Any, ...]
    positions: tuple[int, ...]
    differentiable: tuple[int, ...]
    settings: Mapping[str, Any]
    tolerance: Tolerance
    seed: int

    def flat(self, function: Callable[..., Any]) -> Flat:
        """`function` as a function of its arrays; outputs that are not floating-point numbers are left out."""

        def call(arrays: Arrays) -> list[Any]:
            args = list(self.args)
            for position, value in zip(self.positions, arrays, strict=True):
                args[position] = value
            return [y for y in jax.tree.leaves(function(*args, **self.settings)) if is_floating(y)]

        return call

    @property
    def arrays(self) -> Arrays:
        """The arguments that are arrays."""
        return tuple(self.args[p] for p in self.positions)

    def split(self, arrays: Arrays) -> Arrays:
        """The arrays that have a gradient."""
        return tuple(arrays[i] for i in self.differentiable)

    def join(self, x: Arrays, arrays: Arrays) -> Arrays:
        """`arrays` with those that have a gradient replaced by `x`."""
        whole = list(arrays)
        for i, value in zip(self.differentiable, x, strict=True):
            whole[i] = value
        return tuple(whole)

    def like(self, tree: Any, number: int) -> Any:
        """Normal numbers in the shapes of `tree`; another `number` draws others."""
        draw = np.random.default_rng((self.seed, number)).standard_normal
        return leafwise(lambda leaf: np.asarray(draw(leaf.shape)), tree)


def is_floating(x: Any) -> bool:
    """Whether `x` is an array, or the shape of one, of real floating-point numbers."""
    return jnp.issubdtype(jnp.result_type(x), jnp.floating)


def is_array(x: Any) -> bool:
    """Whether `x` is an array, not a Python number or anything else."""
    return isinstance(x, (jax.Array, np.ndarray, np.generic))


def leafwise(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Like `jax.tree.map`, computed by numpy, which compiles nothing; leaves keep the dtypes of `tree`."""

    def leaf(a: Any, *others: Any) -> Any:
        return jnp.asarray(np.asarray(function(np.asarray(a), *map(np.asarray, others))).astype(a.dtype))

    return jax.tree.map(leaf, tree, *rest)


def cast(tree: Any, dtype: Any) -> Any:
    """Arrays of `dtype` from every floating-point leaf; other leaves as they are."""

    def leaf(a: Any) -> Any:
        return jnp.asarray(np.asarray(a).astype(dtype) if is_floating(a) else a)

    return jax.tree.map(leaf, tree)


def array_positions(args: Sequence[Any], differentiable: Sequence[int] | None) -> tuple[int, ...]:
    """Which arguments are arrays or pytrees of them; Python numbers are only where a gradient is asked for."""
    leaves = [jax.tree.leaves(arg) for arg in args]
    asked = set(differentiable or ())
    return tuple(p for p, some in enumerate(leaves) if p in asked or (some and all(map(is_array, some))))


def differentiable_positions(
    args: Sequence[Any], positions: Sequence[int], differentiable: Sequence[int] | None
) -> tuple[int, ...]:
    """Which of the arrays have a gradient: those asked for, or all of floating-point numbers."""
    chosen = [p for p in positions if all(map(is_floating, jax.tree.leaves(args[p])))]
    wanted = chosen if differentiable is None else list(differentiable)
    if not wanted or not set(wanted) <= set(chosen):
        kinds = [
            ", ".join(str(jnp.result_type(leaf)) for leaf in jax.tree.leaves(args[p])) for p in positions
        ]
        raise InvalidInput(
            f"arguments {wanted} to differentiate, among arrays of {kinds}",
            "at least one argument of real floating-point numbers, by its position",
            "arrays of float32 or float64 as positional arguments, everything else through settings=",
        )
    return tuple(positions.index(p) for p in wanted)


def find_reference(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The plain function inside a `custom_vjp`, a `custom_jvp` or an `operation`; None if there is none inside."""
    plain = inspect.unwrap(function)
    return None if plain is function else plain
