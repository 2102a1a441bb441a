"""How curved a cost is: products with its Hessian, and the Hessian's extreme eigenvalues.

The Hessian H of a cost of n numbers has n^2 entries, but its product with a vector costs about as much as two
gradients: the derivative of the gradient along v (forward mode over reverse mode). The method of Lanczos needs
nothing else to find the largest and the smallest eigenvalue. From these follow how large a step may be and how
fast gradient descent and momentum can be, near a minimum, on the best quadratic model of the cost:

    gradient descent    converges for steps < 2 / L;        best rate (k - 1) / (k + 1) at step 2 / (L + l)
    momentum            best rate (sqrt k - 1) / (sqrt k + 1)

with L and l the largest and smallest eigenvalue and k = L / l, the condition number.

Source: Pearlmutter 1994, "Fast exact multiplication by the Hessian"; Lanczos 1950; Goh 2017, "Why Momentum Really
Works" (the rates).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Product = Callable[[Any], Any]


class Spectrum(NamedTuple):
    """The extreme eigenvalues of a Hessian.

    Attributes:
        smallest: an upper bound of the smallest eigenvalue, equal to it if `resolved`.
        largest: a lower bound of the largest eigenvalue.
        noise: eigenvalues this close to 0 cannot be told from it in the Hessian's floating-point type.
        resolved: whether the smallest is known to a tenth of itself, or to the noise.
        size: the number of variables.
    """

    smallest: float
    largest: float
    noise: float
    resolved: bool
    size: int

    @property
    def norm(self) -> float:
        """The largest absolute eigenvalue."""
        return max(abs(self.smallest), abs(self.largest))

    @property
    def definite(self) -> bool:
        """Whether every eigenvalue is positive, as far as the type can tell."""
        return self.smallest > self.noise

    @property
    def indefinite(self) -> bool:
        """Whether some eigenvalue is negative, as far as the type can tell."""
        return self.smallest < -self.noise

    @property
    def condition_number(self) -> float:
        """Largest over smallest eigenvalue; infinite where the smallest is not positive."""
        return self.largest / self.smallest if self.definite else float("inf")

    @property
    def descent_rate(self) -> float:
        """Factor by which the error shrinks in each step of gradient descent with the best step; 1 is not at all."""
        return 1 - 2 / (self.condition_number + 1)

    @property
    def momentum_rate(self) -> float:
        """The same for momentum with the best step and the best damping."""
        return 1 - 2 / (float(np.sqrt(self.condition_number)) + 1)

    @property
    def largest_step(self) -> float:
        """Gradient descent with a longer step diverges along the most curved direction."""
        return 2 / self.largest if self.largest > 0 else float("inf")


def hessian_product(cost: Callable[..., Any], at: Any, *fixed: Any) -> Product:
    """The map v -> H v for the Hessian H of a cost at a point, compiled.

    Where an operation inside has no forward mode (a `jax.custom_vjp`), the gradient of <gradient, v> is taken
    instead: the same numbers, at the price of more memory.

    Args:
        cost: a function to a scalar, of a pytree of floating-point arrays and whatever else.
        at: where to take the Hessian.
        *fixed: the cost's further arguments.

    Returns:
        A function of a pytree like `at`, to another one.

    Raises:
        TypeError: the cost cannot be differentiated twice.

    Example:
        >>> product = hessian_product(lambda x: x[0] ** 2 * x[1], jnp.array([1.0, 3.0]))
        >>> product(jnp.array([1.0, 0.0]))
        Array([6., 2.], dtype=float32)
    """
    gradient = jax.grad(cost)

    def forward(at: Any, v: Any, *fixed: Any) -> Any:
        return jax.jvp(lambda at: gradient(at, *fixed), (at,), (v,))[1]

    def reverse(at: Any, v: Any, *fixed: Any) -> Any:
        def along(at: Any) -> Any:
            products = jax.tree.map(lambda g, v: jnp.sum(g * v), gradient(at, *fixed), v)
            return sum(jax.tree.leaves(products), jnp.zeros(()))

        return jax.grad(along)(at)

    try:
        jax.eval_shape(forward, at, at, *fixed)
    except TypeError:
        forward = reverse
    compiled = jax.jit(forward)
    return lambda v: compiled(at, v, *fixed)


def lanczos(product: Callable[[np.ndarray], Any], size: int, dtype: Any, steps: int = 24) -> Spectrum:
    """The extreme eigenvalues of a symmetric matrix that is known by its products only.

    After k steps the eigenvalues of a small tridiagonal matrix T, of k rows, lie within the spectrum, and the
    extreme ones are first to be exact. Every new direction is made orthogonal to all before it, twice; without
    that, rounding finds the same eigenvalue again and again. With `steps` of `size` or more, all are exact.

    Args:
        product: v -> A v, for vectors of `size` numbers.
        size: how many rows A has.
        dtype: the type A is computed in.
        steps: products to take.

    Example:
        >>> found = lanczos(lambda v: np.array([1.0, 4.0, 9.0]) * v, 3, np.float64)
        >>> round(found.smallest, 6), round(found.largest, 6), round(found.condition_number, 6)
        (1.0, 9.0, 9.0)
    """
    steps = min(steps, size)
    basis = np.zeros((steps, size), dtype)
    diagonal, beside = np.zeros(steps), np.zeros(steps)
    v = np.random.default_rng(0).standard_normal(size)
    v /= np.linalg.norm(v)
    for k in range(steps):
        basis[k] = v
        w = np.asarray(product(basis[k]), np.float64)
        diagonal[k] = w @ basis[k]
        for _ in range(2):
            w = w - (basis[: k + 1] @ w) @ basis[: k + 1]
        beside[k] = np.linalg.norm(w)
        if not np.isfinite(beside[k]):
            return Spectrum(float("nan"), float("nan"), 0.0, False, size)
        if beside[k] <= 4 * np.finfo(dtype).eps * np.abs(diagonal[: k + 1]).max():
            steps, beside[k] = k + 1, 0.0  # the directions so far are all that A mixes: nothing is left over
            break
        v = w / beside[k]
    return _spectrum(diagonal[:steps], beside[:steps], size, dtype)


def _spectrum(diagonal: np.ndarray, beside: np.ndarray, size: int, dtype: Any) -> Spectrum:
    T = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
    eigenvalues, vectors = np.linalg.eigh(T)
    residual = abs(
        beside[-1] * vectors[-1, 0]
    )  # |A x - l x| for the smallest: it is that close to an eigenvalue
    noise = 30 * float(np.finfo(dtype).eps) * float(np.abs(eigenvalues).max())
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    resolved = len(diagonal) == size or residual <= max(0.1 * abs(smallest), noise)
    return Spectrum(smallest, largest, noise, bool(resolved), size)
