"""How fast gradient descent and momentum are on a quadratic, exactly: the quantities of "Why Momentum Really Works".

On f(w) = w.Aw/2 - b.w every eigenvector of A moves alone, so all follows from one eigenvalue l. With

    z <- beta z + l x,   x <- x - alpha z          (the lecture's form, and Goh's)

(z, x) is multiplied by R = [[beta, l], [-alpha beta, 1 - alpha l]] in every step, with det R = beta, and its
eigenvalues s = (1 - alpha l + beta +- sqrt((1 + beta - alpha l)^2 - 4 beta)) / 2 say everything: the rate is the
larger |s|, and where they are complex the run ripples, and |s| is sqrt(beta).

Slips of the article that are not copied: it prints 2 sqrt(beta) for that last rate, leaves out the factor 1/2 of
f - f*, writes x = Q(w - w*) for x = Q^T(w - w*), and + for - in the unrolled sum w_k = w_0 - alpha sum ... g_i.

Source: Goh, "Why Momentum Really Works", Distill 2017; Polyak 1964; Lessard, Recht and Packard 2016 (the rates of
Nesterov's method).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from diffprog.errors import InvalidInput

Numbers = np.ndarray | float
BORDER = 1e-9  # closer to a border between regimes than this is on it


class Tuned(NamedTuple):
    """The best settings for a spectrum, and the rate they reach (the factor of the error in each step)."""

    alpha: float
    beta: float
    rate: float


def condition_number(smallest: float, largest: float) -> float:
    """kappa = l_n / l_1, for a spectrum between two positive eigenvalues.

    Raises:
      InvalidInput: not 0 < smallest <= largest.
    """
    if not 0 < smallest <= largest < float("inf"):
        raise InvalidInput(
            f"eigenvalues from {smallest} to {largest}",
            "0 < smallest <= largest",
            "add damping to the Hessian",
        )
    return largest / smallest


def descent_rate(curvature: Numbers, alpha: Numbers) -> np.ndarray:
    """|1 - alpha l|: below 1, so convergent, for 0 < alpha l < 2."""
    return np.abs(1 - np.asarray(alpha) * np.asarray(curvature))


def best_descent(smallest: float, largest: float) -> Tuned:
    """alpha = 2 / (l_1 + l_n), rate (kappa - 1) / (kappa + 1).

    Example:
      >>> round(best_descent(0.01, 1.0).alpha, 4), round(best_descent(0.01, 1.0).rate, 4)
      (1.9802, 0.9802)
    """
    kappa = condition_number(smallest, largest)
    return Tuned(2 / (smallest + largest), 0.0, (kappa - 1) / (kappa + 1))


def excess(curvatures: np.ndarray, alpha: float, start: np.ndarray, steps: int) -> np.ndarray:
    """f(w_k) - f* = sum_i (1 - alpha l_i)^(2k) l_i x_i^2 / 2 of gradient descent, for each eigenvalue.

    Args:
      curvatures: [n], the eigenvalues.
      alpha: the step.
      start: [n], w_0 - w* in the basis of eigenvectors.
      steps: how many.

    Returns:
      [steps + 1, n]; the sum over the last axis is the whole.
    """
    k = np.arange(steps + 1)[:, None]
    return (1 - alpha * curvatures) ** (2 * k) * curvatures * start**2 / 2


def momentum_matrix(curvature: float, alpha: float, beta: float) -> np.ndarray:
    """R [2, 2], which multiplies (z, x) in every step."""
    return np.array([[beta, curvature], [-alpha * beta, 1 - alpha * curvature]])


def momentum_roots(curvature: Numbers, alpha: Numbers, beta: Numbers) -> np.ndarray:
    """The two eigenvalues of R, complex, stacked along a last axis; the arguments broadcast."""
    a, b = np.broadcast_arrays(np.asarray(alpha) * curvature, beta)
    root = np.sqrt(((1 + b - a) ** 2 - 4 * b).astype(complex))
    return np.stack([(1 - a + b + root) / 2, (1 - a + b - root) / 2], -1)


def momentum_rate(curvature: Numbers, alpha: Numbers, beta: Numbers) -> np.ndarray:
    """The larger |s|: below 1 for 0 < alpha l < 2 + 2 beta and 0 <= beta < 1.

    Example:
      >>> round(float(momentum_rate(1.0, 0.1, 0.9)), 6)  # ripples: sqrt(0.9), whatever alpha and l
      0.948683
    """
    return np.abs(momentum_roots(curvature, alpha, beta)).max(-1)


def regime(curvature: float, alpha: float, beta: float) -> str:
    """How one eigenvector's part moves: 'monotone', 'ripples', 'oscillates' or 'diverges'.

    Monotone (overdamped): real roots, the larger positive. Ripples (underdamped): complex roots. Oscillates: the
    larger root is negative, so x changes sign in every step. Critical damping is the border of the first two and
    counts as monotone.
    """
    roots = momentum_roots(curvature, alpha, beta)
    if np.abs(roots).max() >= 1 - BORDER:
        return "diverges"
    gap = (1 + beta - alpha * curvature) ** 2 - 4 * beta
    if gap < -BORDER:
        return "ripples"
    return "monotone" if roots[np.argmax(np.abs(roots))].real >= 0 else "oscillates"


def critical_damping(curvature: float, alpha: float) -> float:
    """beta = (1 - sqrt(alpha l))^2, the fastest for one eigenvalue at a fixed step: rate 1 - sqrt(alpha l).

    Example:
      >>> round(critical_damping(1.0, 0.01), 2)
      0.81
    """
    return float((1 - np.sqrt(alpha * curvature)) ** 2)


def best_momentum(smallest: float, largest: float) -> Tuned:
    """alpha = (2 / (sqrt l_1 + sqrt l_n))^2, beta = ((sqrt l_n - sqrt l_1) / (sqrt l_n + sqrt l_1))^2, rate sqrt beta.

    Both extreme roots are double there, so the error of k steps is like k rate^k and not rate^k.

    Example:
      >>> [round(number, 4) for number in best_momentum(0.01, 1.0)]
      [3.3058, 0.6694, 0.8182]
    """
    condition_number(smallest, largest)
    low, high = np.sqrt(smallest), np.sqrt(largest)
    rate = (high - low) / (high + low)
    return Tuned(float((2 / (low + high)) ** 2), float(rate**2), float(rate))


def nesterov_matrix(curvature: float, alpha: float, beta: float) -> np.ndarray:
    """What multiplies (x_k, x_{k-1}) of Nesterov's method, in its look-ahead points."""
    shrunk = 1 - alpha * curvature
    return np.array([[(1 + beta) * shrunk, -beta * shrunk], [1.0, 0.0]])


def nesterov_rate(curvature: float, alpha: float, beta: float) -> float:
    """The larger |eigenvalue| of `nesterov_matrix`."""
    return float(np.abs(np.linalg.eigvals(nesterov_matrix(curvature, alpha, beta))).max())


def best_nesterov(smallest: float, largest: float) -> Tuned:
    """alpha = 4 / (3 l_n + l_1), beta = (s - 2) / (s + 2) and rate 1 - 2 / s, with s = sqrt(3 kappa + 1).

    Example:
      >>> round(best_nesterov(0.01, 1.0).rate, 5)
      0.88472
    """
    root = np.sqrt(3 * condition_number(smallest, largest) + 1)
    return Tuned(4 / (3 * largest + smallest), float((root - 2) / (root + 2)), float(1 - 2 / root))


def noise_floor(
    curvature: Numbers, alpha: Numbers, beta: Numbers = 0.0, variance: Numbers = 1.0
) -> np.ndarray:
    """The variance that SGD settles at on l x^2 / 2, with gradient noise of a variance s^2.

        alpha s^2 (1 + beta) / (l (1 - beta) (2 (1 + beta) - alpha l))

    About alpha s^2 / (2 l (1 - beta)): momentum raises the floor just as the larger step it amounts to would.

    Example:
      >>> float(noise_floor(1.0, 1.0))  # x is one step's noise alone
      1.0
    """
    a, b, curved, s2 = (np.asarray(number, float) for number in (alpha, beta, curvature, variance))
    return a * s2 * (1 + b) / (curved * (1 - b) * (2 * (1 + b) - a * curved))


def unrolled(beta: float, steps: int) -> np.ndarray:
    """The weights c_i of w_k = w_0 - alpha sum_i c_i g_i: (1 - beta^(k - i)) / (1 - beta) for i = 0 ... k - 1."""
    return (1 - beta ** np.arange(steps, 0, -1)) / (1 - beta)


def hardest(kappa: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A and b of the "convex Rosenbrock", on which no method that adds up gradients is much faster than momentum.

    A chain of `size` variables tied to their neighbours, the first to 1: information moves one variable a step, so
    after k steps from 0 the variables past k are still 0, while w*_i = q^i on an endless chain, with
    q = (sqrt kappa - 1) / (sqrt kappa + 1).

    Example:
      >>> A, b = hardest(100.0, 400)
      >>> [round(float(w), 4) for w in np.linalg.solve(A, b)[:2]], round(((100**0.5 - 1) / (100**0.5 + 1)) ** 2, 4)
      ([0.8182, 0.6694], 0.6694)
    """
    A = np.diag(np.full(size, 2 + 4 / (kappa - 1)))
    A -= np.diag(np.ones(size - 1), 1) + np.diag(np.ones(size - 1), -1)
    b = np.zeros(size)
    b[0] = 1
    return A, b
