"""Which knowledge level do I have?  One problem, optimized with values only, with gradients, with second derivatives.

A network of hand-written rules (2-8-1 with tanh, 33 parameters) is fitted to 200 points by every method at the same
call. Printed as a table and drawn as cost against evaluations and against seconds. A Hessian counts as 33 evaluations,
one for each of its columns; compiling is not timed.

    python demos/three_levels.py [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from jax import Array

from diffprog import rules
from diffprog.optimize import (
    cma_es,
    compiled,
    evolution_strategies,
    finite_differences,
    gradient_descent,
    half_squares,
    initial,
    lbfgs,
    levenberg_marquardt,
    momentum,
    nelder_mead,
    newton,
    newton_cg,
    random_search,
    spsa,
)

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LEVELS = {
    "values only": {
        "Nelder-Mead": nelder_mead(),
        "random search": random_search(),
        "SPSA": spsa(0.0003),
        "evolution strategies": evolution_strategies(optax.adam(0.03), width=0.02),
        "CMA-ES": cma_es(16),
        "differences, Adam": finite_differences(optax.adam(0.03)),
    },
    "and gradient": {
        "gradient descent": gradient_descent(0.002),
        "momentum": momentum(0.001, 0.9),
        "Adam": optax.adam(0.03),
        "L-BFGS": lbfgs(),
    },
    "and second derivatives": {
        "Newton, trust region": newton(search="trust region"),
        "Newton-CG": newton_cg(),
        "Levenberg-Marquardt": levenberg_marquardt(),
    },
}
STYLES = {"values only": ":", "and gradient": "--", "and second derivatives": "-"}
POINTS = 200


class Curve(NamedTuple):
    """What a run cost and reached: evaluations, seconds and lowest cost after every step, and the last counts."""

    work: np.ndarray
    seconds: np.ndarray
    costs: np.ndarray
    counts: np.ndarray


def problem() -> tuple[Any, Any]:
    """The cost, half the sum of squares, and where all methods start."""
    keys = jax.random.split(jax.random.key(0), 3)
    start = {
        "W": jax.random.normal(keys[0], (2, 8)),
        "b": jnp.zeros(8),
        "V": jax.random.normal(keys[1], (8, 1)) / 8**0.5,
        "c": jnp.zeros(1),
    }
    x = jax.random.uniform(keys[2], (POINTS, 2), minval=-2.0, maxval=2.0)
    target = jnp.sin(2 * x[:, :1]) * jnp.cos(x[:, 1:])

    def residuals(p: Any) -> Array:
        hidden = rules.tanh(rules.linear(x, p["W"], p["b"]))
        return rules.linear(hidden, p["V"], p["c"]) - target

    return half_squares(residuals), start


def followed(cost: Any, start: Any, method: Any, evaluations: int, seconds: float) -> Curve:
    """Run until the evaluations or the seconds are used."""
    step, state = compiled(cost, method), initial(start, method)
    size = sum(leaf.size for leaf in jax.tree.leaves(start))
    weights = np.array([1, 1, 1, size])
    jax.block_until_ready(step(state))  # compiles
    rows, began = [], time.perf_counter()
    while True:
        state, report = step(state)
        counts, now = np.asarray(state.counts), time.perf_counter() - began
        rows.append((counts @ weights, now, float(report.cost)))
        if counts @ weights >= evaluations or now >= seconds or int(state.reason):
            work, at, costs = np.array(rows).T
            return Curve(work, at, np.minimum.accumulate(costs), counts)


def main() -> None:
    """Print the table and draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="300 evaluations each")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_enable_x64", True)  # the last digits are what second derivatives are good for
    evaluations, seconds = (300, 2.0) if options.small else (20_000, 20.0)
    cost, start = problem()
    print(f"cost at the start: {float(cost(start)):.2f}\n")
    print("| we know | method | cost reached | values | gradients | products | Hessians | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    figure, axes = plt.subplots(1, 2, figsize=(14, 5.5), sharey=True)
    number = 0
    for level, methods in LEVELS.items():
        for name, method in methods.items():
            curve = followed(cost, start, method, evaluations, seconds)
            counts = " | ".join(f"{count:,}" for count in curve.counts)
            print(f"| {level} | {name} | {curve.costs[-1]:.3g} | {counts} | {curve.seconds[-1]:.2f} |")
            for axis, across in zip(axes, (curve.work, curve.seconds), strict=True):
                style = {"linestyle": STYLES[level], "color": f"C{number % 10}", "label": name}
                axis.loglog(across, curve.costs, **style)
            number += 1
    axes[0].set(xlabel="evaluations (a Hessian counts as 33)", ylabel="lowest cost so far")
    axes[1].set(xlabel="seconds")
    axes[1].legend(
        title="dotted: values, dashed: gradients, solid: second", loc="center left", bbox_to_anchor=(1, 0.5)
    )
    figure.tight_layout()
    path = options.out / "three_levels.png"
    figure.savefig(path, dpi=80)
    print(f"\n{path}")


if __name__ == "__main__":
    main()
