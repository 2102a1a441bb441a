"""Costs that are sums of squares: Gauss-Newton and Levenberg-Marquardt, which know the residuals themselves.

For J(w) = |r(w)|^2 / 2 the Hessian is J^T J + sum r_i H_i; the first part needs first derivatives only, is never
indefinite, and is nearly all of it where residuals are small. `half_squares(residuals)` is an ordinary cost for every
other method and lets these two see the residuals.

Source: Levenberg 1944; Marquardt 1963; Moré 1978 (the scale); Nocedal and Wright, chapter 10.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import solve_triangular

from diffprog.errors import InvalidInput
from diffprog.optimize.method import Oracle, PyTree, Seen, counted
from diffprog.optimize.search import ENOUGH, backtrack

LEAST_DAMPING, MOST_DAMPING = 1e-12, 1e12


@dataclass(frozen=True)
class HalfSquares:
    """|r|^2 / 2 as a cost that still knows r."""

    residuals: Callable[..., PyTree]

    def __call__(self, *args: Any) -> Array:
        r, _ = ravel_pytree(self.residuals(*args))
        return r @ r / 2


def half_squares(residuals: Callable[..., PyTree]) -> HalfSquares:
    """The cost |r|^2 / 2 of a function `residuals(value, *args)` to a pytree of arrays.

    Example:
      >>> float(half_squares(lambda w: w - jnp.array([1.0, 2.0]))(jnp.zeros(2)))
      2.5
    """
    return HalfSquares(residuals)


@dataclass(frozen=True)
class LeastSquares:
    """Damped Gauss-Newton; made by `gauss_newton` and `levenberg_marquardt`."""

    damping: float

    def check(self, cost: Any, value: PyTree, rest: tuple[Any, ...]) -> None:
        """Refuse costs that hide their residuals."""
        if getattr(cost, "residuals", None) is None:
            raise InvalidInput(
                "a cost whose residuals are not known",
                "a cost made by `half_squares`, because Gauss-Newton linearizes the residuals",
                "half_squares(lambda w: prediction(w) - target), or newton() for any other cost",
            )

    def init(self, value: PyTree) -> PyTree:
        """(the damping, the largest squared columns of J so far [n])."""
        w, _ = ravel_pytree(value)
        return jnp.asarray(self.damping, w.dtype), jnp.zeros_like(w)

    def step(self, oracle: Oracle, value: PyTree, state: PyTree) -> tuple[PyTree, PyTree, Seen]:
        """The residuals, their Jacobian, and the values that the search takes."""
        w, whole = ravel_pytree(value)
        ask = oracle.residuals
        assert ask is not None  # `check` has refused

        def residuals(w: Array) -> Array:
            return ravel_pytree(ask(whole(w)))[0]

        def cost_at(p: Array) -> Array:
            r = residuals(w + p)
            return r @ r / 2

        r = residuals(w)
        J, products = jacobian(residuals, w, r.size)  # (m, n)
        g, loss = J.T @ r, r @ r / 2
        if self.damping:
            p, state, asked = self._marquardt(cost_at, loss, J, r, g, state)
        else:
            p = solve(J, r, jnp.zeros_like(w))
            p, asked = backtrack(cost_at, loss, p, g @ p, jnp.zeros_like(loss))
        counts = counted(values=1 + asked, products=products)
        return whole(w + p), state, Seen(loss, None, whole(g), counts)

    def _marquardt(
        self, cost_at: Callable[[Array], Array], loss: Array, J: Array, r: Array, g: Array, state: PyTree
    ) -> tuple[Array, PyTree, Array]:
        damping, scale = state
        # Marquardt's scale makes the step independent of the variables' units. Moré's, the largest so far, also
        # keeps a variable whose effect has faded (a saturated unit) from running away.
        scale = jnp.maximum(scale, jnp.sum(J**2, 0))
        p = solve(J, r, damping * jnp.where(scale > 0, scale, 1))
        Jp = J @ p
        promised = g @ p + Jp @ Jp / 2
        rounding = 10 * jnp.finfo(loss.dtype).eps * jnp.maximum(loss, jnp.finfo(loss.dtype).tiny)
        change = cost_at(p) - loss
        ratio = jnp.where(jnp.isfinite(change), (change - rounding) / (promised - rounding), -1.0)
        damping = damping * jnp.where(ratio > 0.75, 1 / 3, jnp.where(ratio < 0.25, 4.0, 1.0))
        state = jnp.clip(damping, LEAST_DAMPING, MOST_DAMPING), scale
        return jnp.where(ratio > ENOUGH, p, 0.0), state, jnp.int32(1)


def gauss_newton() -> LeastSquares:
    """w <- w + t p with p the least-squares solution of J p = -r, and t by halving from 1.

    Linear residuals are solved in one step. Where J loses rank, use `levenberg_marquardt`.
    """
    return LeastSquares(0.0)


def levenberg_marquardt(damping: float = 1e-3) -> LeastSquares:
    """(J^T J + mu D) p = -J^T r with D the largest diagonal of J^T J so far, and mu following how well the model did.

    Args:
      damping: the first mu.

    Raises:
      InvalidInput: damping that is not above 0.

    Example:
      >>> from diffprog.optimize import optimize
      >>> rosenbrock = half_squares(lambda w: jnp.stack([10 * (w[1] - w[0] ** 2), 1 - w[0]]))
      >>> optimize(rosenbrock, jnp.array([-1.2, 1.0]), levenberg_marquardt(), steps=30).value.round(3).tolist()
      [1.0, 1.0]
    """
    if not damping > 0:
        raise InvalidInput(f"damping={damping}", "more than 0", "gauss_newton() for none")
    return LeastSquares(float(damping))


def jacobian(residuals: Callable[[Array], Array], w: Array, m: int) -> tuple[Array, int]:
    """J [m, n] and the products it took: n forward ones, or m backward ones if fewer or if there is no forward mode.

    Hand-written backward rules have no forward mode of their own, so through them it is m.
    """
    if w.size < m:
        try:
            jax.eval_shape(jax.jacfwd(residuals), w)
            return jax.jacfwd(residuals)(w), w.size
        except TypeError:
            pass
    return jax.jacrev(residuals)(w), m


def solve(J: Array, r: Array, damping: Array) -> Array:
    """argmin |J p + r|^2 + sum damping p^2, by QR of the stacked system, which does not square the condition."""
    stacked = jnp.concatenate([J, jnp.diag(jnp.sqrt(damping))])  # (m + n, n)
    Q, R = jnp.linalg.qr(stacked)
    return solve_triangular(R, -(Q[: len(r)].T @ r))
