"""A cost that JAX cannot trace: a Python simulator, a program that is called, an instrument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.optimize.method import PyTree


class External:
    """A Python function as a cost of values only; made by `external`."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function

    def __hash__(self) -> int:
        return hash(self.function)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, External) and self.function == other.function

    def __call__(self, value: PyTree, *args: Any) -> Array:
        floats = [leaf.dtype for leaf in jax.tree.leaves(value)]
        result = jax.ShapeDtypeStruct((), jax.numpy.result_type(*floats))

        def called(*operands: Any) -> np.ndarray:
            return np.asarray(self.function(*jax.tree.map(np.asarray, operands)), result.dtype)

        @jax.custom_jvp
        def outside(*operands: Any) -> Array:
            return jax.pure_callback(called, result, *operands, vmap_method="sequential")

        @outside.defjvp
        def refuse(primals: Any, tangents: Any) -> Any:
            raise InvalidInput(
                "a gradient of an external cost",
                "only values: what happens outside JAX has no derivative here",
                "a black-box method: nelder_mead(), cma_es(), finite_differences(optax.adam(0.01)), spsa(0.01)",
            )

        return outside(value, *args)


def external(function: Callable[..., Any]) -> External:
    """Let a black-box method optimize any Python function of numpy arrays.

    The function is called from inside the compiled step, one point at a time, with numpy arrays in the structure of
    the start; it should use no JAX itself. It has no gradient: asking for one is an error, not a zero.

    Args:
      function: `function(value, *args)` to a number.

    Example:
      >>> import math, jax.numpy as jnp
      >>> from diffprog.optimize import nelder_mead, optimize
      >>> def simulated(angle):  # a throw, step by step, in plain Python
      ...     x, y, u, v = 0.0, 0.0, math.cos(angle), math.sin(angle)
      ...     while y >= 0:
      ...         x, y, v = x + 0.01 * u, y + 0.01 * v, v - 0.01
      ...     return -x
      >>> run = optimize(external(simulated), jnp.array(0.4), nelder_mead(0.3), steps=30)
      >>> bool(abs(run.value - math.pi / 4) < 0.05)
      True
    """
    return External(function)
