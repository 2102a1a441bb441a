"""What the loop of `optimize` adds to a bare jitted step, and what watching a run adds to the step itself.

    python -m tests.benchmarks.optimize_loop

Prints microseconds per step on a problem so small that nothing else is left, medians of interleaved runs.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from diffprog.optimize import Stage, Stop, compiled, initial, optimize
from tests.benchmarks.timing import milliseconds

STEPS = 1000
START = jnp.ones(10)


def cost(w: jax.Array) -> jax.Array:
    """As little work as a cost can have."""
    return jnp.sum(w**2)


def main() -> None:
    """Print the table."""
    method = optax.sgd(1e-3)
    step = compiled(cost, method)

    def bare() -> Any:
        state = initial(START, method)
        for _ in range(STEPS):
            state, report = step(state)
        return state, report

    @jax.jit
    def by_hand(w: jax.Array, state: Any) -> Any:
        loss, g = jax.value_and_grad(cost)(w)
        updates, state = method.update(g, state, w)
        return optax.apply_updates(w, updates), state, loss

    def users() -> Any:
        w, state = START, method.init(START)
        for _ in range(STEPS):
            w, state, loss = by_hand(w, state)
        return w, loss

    calls = {
        "a user's own jitted step": users,
        "bare step of `compiled`": bare,
        "optimize, stages": lambda: optimize([Stage(step, STEPS)], START, method).value,
        "optimize, cost": lambda: optimize(cost, START, method, steps=STEPS).value,
        "optimize, with rules": lambda: (
            optimize(cost, START, method, steps=STEPS, stop=Stop(gradient_norm=0.0, change=0.0)).value
        ),
    }
    times = {name: 1000 * ms / STEPS for name, ms in milliseconds(calls).items()}
    for name, time in times.items():
        print(f"{name:28s} {time:7.1f} microseconds a step, {time - times['bare step of `compiled`']:+7.1f}")


if __name__ == "__main__":
    main()
