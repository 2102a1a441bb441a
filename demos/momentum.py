"""Why momentum really works: the article's figures, from the functions of the lab and runs of the optimizers.

Six panels: where gradient descent spends its time, the path in a narrow valley, the regimes of momentum, the rate over
the spectrum, the light cone that no first-order method passes, and the floor that noise puts under SGD. Lines are the
closed forms, dots and paths are runs of `optimize`.

    python demos/momentum.py [--out FOLDER]

Source: Goh, "Why Momentum Really Works", Distill 2017 (its slips are listed in diffprog/optimize/momentum_lab.py).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

from diffprog.optimize import gradient_descent, momentum, momentum_lab, optimize

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

SMALL, LARGE = 0.01, 1.0
REGIMES = ("monotone", "ripples", "oscillates", "diverges")
COLORS = ("#dbe7f3", "#fde7c7", "#dcefdc", "#e6e6e6")


def path(cost: Any, start: jax.Array, method: Any, steps: int) -> np.ndarray:
    """All points of a run, [steps + 1, n]."""
    points = [np.asarray(start)]
    optimize(cost, start, method, steps=steps, callback=lambda _, value, __: points.append(np.asarray(value)))
    return np.array(points)


def draw_decomposition(axis: Axes) -> None:
    """f - f* is a sum over eigenvalues, and the small ones remain."""
    curvatures, steps = np.array([LARGE, 0.1, SMALL]), 300
    alpha = 1.5
    parts = momentum_lab.excess(curvatures, alpha, 1 / np.sqrt(curvatures), steps)
    for curvature, part in zip(curvatures, parts.T, strict=True):
        axis.semilogy(part, label=f"eigenvalue {curvature:g}")
    run = optimize(
        lambda w: 0.5 * jnp.sum(curvatures * w**2),
        jnp.asarray(1 / np.sqrt(curvatures), jnp.float32),
        gradient_descent(alpha),
        steps=steps,
    )
    axis.semilogy(parts.sum(1), "0.6", label="their sum", zorder=0)
    axis.semilogy(np.arange(steps)[::20], run.history[::20], "k.", label="a run")
    axis.set(
        title="gradient descent: the flat directions remain", xlabel="step", ylabel="f - f*", ylim=(1e-6, 3)
    )
    axis.legend()


def draw_valley(axis: Axes) -> None:
    """Paths in a valley of condition number 20, at the best settings of each."""
    low, high = 0.05, 1.0
    start, curvatures = jnp.array([-5.0, 0.8]), jnp.array([low, high])
    x, y = np.meshgrid(np.linspace(-6, 2, 120), np.linspace(-2, 2, 80))
    axis.contour(
        x, y, low * x**2 + high * y**2, levels=np.geomspace(0.005, 4, 10), colors="0.8", linewidths=0.8
    )
    plain, heavy = momentum_lab.best_descent(low, high), momentum_lab.best_momentum(low, high)
    for label, method in [
        (f"gradient descent, rate {plain.rate:.3f}", gradient_descent(plain.alpha)),
        (f"momentum, rate {heavy.rate:.3f}", momentum(heavy.alpha, heavy.beta)),
    ]:
        points = path(lambda w: 0.5 * jnp.sum(curvatures * w**2), start, method, 25)
        axis.plot(points[:, 0], points[:, 1], ".-", markersize=4, linewidth=1, label=label)
    axis.plot(0, 0, "k*", markersize=9)
    axis.set(
        title="a narrow valley, 25 steps", xlabel="flat direction", ylabel="steep direction", ylim=(-2, 2)
    )
    axis.legend(loc="lower left")


def draw_regimes(axis: Axes) -> None:
    """What one eigenvector's part does, over step and damping, with the rate as contours."""
    steps, betas = np.linspace(0.005, 4.2, 220), np.linspace(0, 0.999, 160)
    names = [[REGIMES.index(momentum_lab.regime(1.0, a, b)) for a in steps] for b in betas]
    axis.pcolormesh(steps, betas, names, cmap=ListedColormap(COLORS), vmin=0, vmax=3, rasterized=True)
    a, b = np.meshgrid(steps, betas)
    lines = axis.contour(
        a, b, momentum_lab.momentum_rate(1.0, a, b), levels=[0.3, 0.5, 0.7, 0.9, 1.0], colors="0.35"
    )
    axis.clabel(lines, fmt="%.1f", fontsize=8)
    critical = np.linspace(0.005, 1, 100)
    axis.plot(
        critical, [momentum_lab.critical_damping(1.0, s) for s in critical], "r-", label="critical damping"
    )
    for name, place in zip(REGIMES, [(0.03, 0.02), (1.6, 0.62), (2.0, 0.03), (3.3, 0.3)], strict=True):
        axis.text(*place, name, fontsize=9)
    axis.set(title="regimes and rate of momentum", xlabel="step x eigenvalue", ylabel="beta", ylim=(0, 1))
    axis.legend(loc="upper right")


def draw_rates(axis: Axes) -> None:
    """The rate of every eigenvalue at the best settings for the whole spectrum."""
    curvatures = np.linspace(SMALL / 2, LARGE * 1.05, 800)
    plain, heavy = momentum_lab.best_descent(SMALL, LARGE), momentum_lab.best_momentum(SMALL, LARGE)
    axis.plot(curvatures, momentum_lab.descent_rate(curvatures, plain.alpha), label="gradient descent")
    axis.plot(curvatures, momentum_lab.momentum_rate(curvatures, heavy.alpha, heavy.beta), label="momentum")
    for best, color in ((plain, "C0"), (heavy, "C1")):
        axis.axhline(best.rate, color=color, linestyle=":", linewidth=1)
        axis.text(0.4, best.rate + 0.008, f"worst: {best.rate:.4f}", color=color, fontsize=9)
    axis.set(
        title="condition number 100: rates over the spectrum",
        xlabel="eigenvalue",
        ylabel="rate",
        ylim=(0, 1.06),
    )
    axis.legend(loc="lower center")


def draw_light_cone(axis: Axes) -> None:
    """On the hardest problem information moves one variable a step, for every first-order method."""
    size, steps, kappa = 60, 60, 400.0
    A, b = momentum_lab.hardest(kappa, size)
    minimum = np.linalg.solve(A, b)
    eigenvalues = np.linalg.eigvalsh(A)
    best = momentum_lab.best_momentum(eigenvalues[0], eigenvalues[-1])
    matrix, side = jnp.asarray(A, jnp.float32), jnp.asarray(b, jnp.float32)
    points = path(
        lambda w: w @ matrix @ w / 2 - side @ w, jnp.zeros(size), momentum(best.alpha, best.beta), steps
    )
    error = np.where(points == 0, np.nan, np.log10(np.abs(points - minimum) + 1e-7))
    image = axis.imshow(
        error.T, origin="lower", aspect="auto", cmap="viridis", extent=(-0.5, steps + 0.5, 0.5, size + 0.5)
    )
    axis.plot([0, steps], [0.5, size + 0.5], "r-", linewidth=1.5, label="light cone")
    axis.figure.colorbar(image, ax=axis, label="log10 |w - w*|; white: still exactly 0")
    axis.set(title="momentum on the hardest chain", xlabel="step", ylabel="variable")
    axis.legend(loc="upper left")


def draw_noise(axis: Axes, walkers: int = 4000) -> None:
    """SGD falls fast and then stays at its floor; a smaller step lowers the floor and slows the fall."""
    steps = 120

    def cost(w: jax.Array, key: jax.Array) -> Any:
        return jnp.sum(0.5 * w**2 + jax.random.normal(key, w.shape) * w), jnp.mean(w**2)

    for color, (alpha, beta) in enumerate([(0.4, 0.0), (0.1, 0.0), (0.1, 0.7)]):
        run = optimize(
            cost,
            jnp.full(walkers, 8.0),
            momentum(alpha, beta) if beta else gradient_descent(alpha),
            steps=steps,
            key=jax.random.key(0),
        )
        axis.semilogy(run.records, color=f"C{color}", label=f"alpha {alpha}, beta {beta}")
        floor = float(momentum_lab.noise_floor(1.0, alpha, beta))
        axis.axhline(floor, color=f"C{color}", linestyle=":")
        print(f"alpha {alpha}, beta {beta}: floor {floor:.4f}, measured {np.mean(run.records[-20:]):.4f}")
    axis.set(
        title=f"SGD: mean square of {walkers} runs, floors dotted", xlabel="step", ylabel="mean of (w - w*)²"
    )
    axis.legend()


PANELS = (draw_decomposition, draw_valley, draw_regimes, draw_rates, draw_light_cone)


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="fewer runs of SGD")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(2, 3, figsize=(16, 9))
    for axis, draw in zip(axes.flat, PANELS, strict=False):
        draw(axis)
    draw_noise(axes.flat[-1], walkers=500 if options.small else 4000)
    figure.tight_layout()
    path = options.out / "momentum.png"
    figure.savefig(path, dpi=80)
    print(path)


if __name__ == "__main__":
    main()
