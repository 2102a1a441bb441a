"""Software 2.0: a simulator in which one line is learned, and what it is for is optimized through it, in one call.

    learned line:   the drag D(speed), a block in place of a formula, from noisy flights that were observed
    parameters:     a controller, thrust = block(where the craft is, how fast, what time)
    input:          the launch velocity

Everything else is code: gravity, wind, the integration of Newton's law. `optimize` moves the three together. The
mission sees the law through `stop_gradient`, so that the law is learned from flights and not bent to suit the mission.
Checked afterwards in the true physics, which the optimization never saw: how far the learned law is from the true one,
and how far from its target the craft ends in winds that it was not trained on, with and without its controller.

    python demos/software_2.py [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax

import diffprog as dp
from diffprog import blocks, rules

matplotlib.use("Agg")
import matplotlib.pyplot as plt

STEPS, DT = 60, 0.05  # three seconds
GRAVITY = jnp.array([0.0, -9.81])
TARGET = jnp.array([35.0, 5.0])
NOISE = 0.05  # metres, of every observed position
SPEEDS = np.linspace(6.0, 28.0, 100)  # those that the observed flights have
LAW = blocks.chain(blocks.linear(16), blocks.tanh, blocks.linear(1), blocks.softplus)
CONTROLLER = blocks.chain(blocks.linear(16), blocks.tanh, blocks.linear(2))
Function = Callable[[jax.Array], jax.Array]


def true_law(speed: jax.Array) -> jax.Array:
    """Deceleration by the air, m/s^2: what is to be found."""
    return 0.05 * speed + 0.012 * speed**2


def learned_law(params: Any, speed: jax.Array) -> jax.Array:
    """The same by a block, in units of 20 m/s and 5 m/s^2."""
    return 5.0 * LAW.apply(params, speed / 20.0)


def fly(law: Function, thrust: Function, launch: jax.Array, wind: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Positions [STEPS, B, 2] and thrusts of B flights from the origin, by semi-implicit Euler steps."""

    def step(state: tuple[jax.Array, jax.Array], time: jax.Array) -> Any:
        place, velocity = state
        air = velocity - wind  # relative to the air
        speed = jnp.sqrt(jnp.sum(air**2, -1, keepdims=True) + 1e-6)
        ahead = jnp.full((len(place), 1), 1 - time / STEPS)
        push = thrust(jnp.concatenate([(place - TARGET) / 20, velocity / 20, ahead], -1))
        velocity = velocity + DT * (GRAVITY - law(speed) * air / speed + push)
        place = place + DT * velocity
        return (place, velocity), (place, push)

    start = (jnp.zeros_like(launch), launch)
    return jax.lax.scan(step, start, jnp.arange(STEPS, dtype=launch.dtype))[1]


def no_thrust(seen: jax.Array) -> jax.Array:
    """A stone."""
    return jnp.zeros((len(seen), 2))


def observed(key: jax.Array, count: int = 12) -> tuple[jax.Array, jax.Array]:
    """Launches [B, 2] and noisy positions [STEPS, B, 2] of stones in still air."""
    speed, angle = jnp.linspace(8.0, 30.0, count), jnp.tile(jnp.linspace(0.4, 1.3, 4), count // 4)
    launches = speed[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)
    path, _ = fly(true_law, no_thrust, launches, jnp.zeros(2))
    return launches, path + NOISE * jax.random.normal(key, path.shape)


def mission(
    law: Function, thrust: Function, launch: jax.Array, winds: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Metres from the target at the end [B], and the mean square of the thrust."""
    path, push = fly(law, thrust, jnp.broadcast_to(launch, winds.shape), winds)
    return jnp.sqrt(jnp.sum((path[-1] - TARGET) ** 2, -1) + 1e-9), jnp.mean(push**2)


def cost(variable: Any, launches: jax.Array, paths: jax.Array, winds: jax.Array) -> tuple[jax.Array, Any]:
    """How badly flights are explained, plus how badly the mission goes."""
    seen, _ = fly(lambda speed: learned_law(variable["law"], speed), no_thrust, launches, jnp.zeros(2))
    unexplained = jnp.mean((seen - paths) ** 2)
    held = rules.stop_gradient(variable["law"])
    miss, effort = mission(
        lambda speed: learned_law(held, speed),
        lambda seen: 10.0 * CONTROLLER.apply(variable["controller"], seen),
        10.0 * variable["launch"],
        winds,
    )
    return unexplained + 0.01 * jnp.mean(miss**2) + 0.001 * effort, (jnp.sqrt(unexplained), jnp.mean(miss))


def start(key: jax.Array) -> dict[str, Any]:
    """Blocks as they begin, and a launch of 14 m/s at 45 degrees."""
    first, second = jax.random.split(key)
    return {
        "law": LAW.init(first, (1, 1)),
        "controller": CONTROLLER.init(second, (1, 5)),
        "launch": jnp.array([1.0, 1.0]),
    }


def main() -> None:
    """Optimize, check in the true physics, print, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="fewer steps")
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    steps = 150 if options.small else 4000
    keys = jax.random.split(jax.random.key(0), 4)
    launches, paths = observed(keys[0])
    winds, other_winds = (
        4.0 * jax.random.normal(key, (count, 2)) for key, count in ((keys[1], 16), (keys[2], 64))
    )
    begun = start(keys[3])
    run = dp.optimize(
        cost,
        begun,
        optax.adam(optax.cosine_decay_schedule(0.02, steps)),
        steps=steps,
        args=(launches, paths, winds),
    )

    def learned(params: Any) -> np.ndarray:
        return np.asarray(learned_law(params, jnp.asarray(SPEEDS, jnp.float32)[:, None]))[:, 0]

    truth = np.asarray(true_law(jnp.asarray(SPEEDS)))
    error = np.abs(learned(run.value["law"]) - truth) / truth
    before = np.abs(learned(begun["law"]) - truth) / truth
    launch = 10.0 * run.value["launch"]

    def steered(seen: jax.Array) -> jax.Array:
        return 10.0 * CONTROLLER.apply(run.value["controller"], seen)

    steered_miss, _ = mission(true_law, steered, launch, other_winds)
    stone_miss, _ = mission(true_law, no_thrust, launch, other_winds)
    print(
        f"learned law: off by {error.mean():.1%} on average and {error.max():.1%} at most, from {before.mean():.0%}"
    )
    print(f"flights explained to {run.records[0][-1] * 100:.1f} cm; the noise is {NOISE * 100:.1f} cm")
    print(
        f"launch {float(launch[0]):.1f}, {float(launch[1]):.1f} m/s; in the true physics and 64 winds never seen:"
    )
    print(f"  with the controller {float(steered_miss.mean()):.2f} m from the target")
    print(f"  without it          {float(stone_miss.mean()):.2f} m")

    figure, axes = plt.subplots(1, 3, figsize=(13, 3.9))
    axes[0].plot(SPEEDS, truth, color="black", linewidth=4, alpha=0.3, label="true")
    axes[0].plot(SPEEDS, learned(begun["law"]), ":", color="tab:blue", label="the block as it began")
    axes[0].plot(SPEEDS, learned(run.value["law"]), color="tab:blue", label="the block, learned")
    axes[0].set(
        title=f"drag, found to {error.mean():.1%}", xlabel="speed in m/s", ylabel="deceleration in m/s$^2$"
    )
    axes[0].legend()
    axes[1].semilogy(run.records[0], label="flights unexplained, m")
    axes[1].semilogy(run.records[1], label="miss in training winds, m")
    axes[1].axhline(NOISE, color="gray", linestyle=":", label="noise of the observations")
    axes[1].set(title="one call, all of it", xlabel="step")
    axes[1].legend(fontsize=8)
    for thrust, colour, name in ((no_thrust, "tab:gray", "a stone"), (steered, "tab:red", "steered")):
        path, _ = fly(true_law, thrust, jnp.broadcast_to(launch, (12, 2)), other_winds[:12])
        for number in range(12):
            label = name if number == 0 else None
            axes[2].plot(*np.asarray(path[:, number]).T, color=colour, linewidth=0.8, label=label)
    axes[2].plot(*TARGET, "k*", markersize=12, label="target")
    axes[2].set(title="true physics, winds never seen", xlabel="m", ylabel="m")
    axes[2].legend()
    figure.tight_layout()
    path = options.out / "software_2.png"
    figure.savefig(path, dpi=100)
    print(path)


if __name__ == "__main__":
    main()
