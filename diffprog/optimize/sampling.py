"""Level one: samples around the best point, at random or from a distribution that learns (CMA-ES).

`random_search` is here as the measure of the others. `evosax_strategy` takes any distribution-based strategy of the
evosax library, and `cma_es` is the one most people want. The run's value is the best point so far.

Source: Rechenberg 1973 (the one-fifth rule); Hansen 2016, "The CMA Evolution Strategy: A Tutorial".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from diffprog.errors import InvalidInput
from diffprog.optimize.method import Oracle, PyTree, Seen, counted


@dataclass(frozen=True)
class RandomSearch:
    """Normal samples around the best point; made by `random_search`."""

    samples: int
    spread: float
    adapt: bool

    def init(self, value: PyTree) -> PyTree:
        """(the best cost, the spread)."""
        x, _ = ravel_pytree(value)
        return jnp.full((), jnp.inf, x.dtype), jnp.asarray(self.spread, x.dtype)

    def step(self, oracle: Oracle, value: PyTree, state: PyTree) -> tuple[PyTree, PyTree, Seen]:
        """The cost of every sample; the lowest is kept if it is lower than all before."""
        x, whole = ravel_pytree(value)
        best, spread = state
        best, asked = _known(oracle, value, best)
        drawn = x + spread * jax.random.normal(oracle.key, (self.samples, x.size), x.dtype)
        costs = jax.vmap(lambda x: oracle.value(whole(x)))(drawn)
        point, lowest = _lowest(drawn, costs, x, best)
        if self.adapt:
            # The one-fifth rule; ties count as better, so that a plateau widens the search and does not end it.
            share = jnp.mean(costs <= best)
            spread = spread * jnp.exp((share - 0.2) / 2)
        counts = counted(values=self.samples + asked)
        return whole(point), (lowest, spread), Seen(best, None, None, counts)


def random_search(samples: int = 16, spread: float = 0.1, adapt: bool = True) -> RandomSearch:
    """Try normal samples around the best point so far.

    Args:
      samples: in every step.
      spread: their standard deviation.
      adapt: widen while more than a fifth of the samples are better, and narrow while fewer are.

    Raises:
      InvalidInput: no samples, or no spread.

    Example:
      >>> from diffprog.optimize import optimize
      >>> run = optimize(lambda w: jnp.sum(jnp.abs(w)), jnp.ones(2), random_search(), steps=100)
      >>> bool(jnp.abs(run.value).max() < 1e-2)
      True
    """
    if samples < 1 or not spread > 0:
        raise InvalidInput(f"samples={samples}, spread={spread}", "both above 0", "random_search()")
    return RandomSearch(samples, float(spread), adapt)


@dataclass(frozen=True)
class Evosax:
    """A strategy of evosax; made by `evosax_strategy`."""

    strategy: Callable[..., Any]
    samples: int
    spread: float | None

    def _made(self, value: PyTree) -> tuple[Any, Any]:
        x, _ = ravel_pytree(value)
        made = self.strategy(population_size=self.samples, solution=jnp.zeros(x.shape, x.dtype))
        settings = made.default_params
        if self.spread is not None:
            settings = settings.replace(std_init=jnp.asarray(self.spread, x.dtype))
        return made, settings

    def init(self, value: PyTree) -> PyTree:
        """(the strategy's state with its mean at the value, the best cost)."""
        x, _ = ravel_pytree(value)
        made, settings = self._made(value)
        state = made.init(jax.random.key(0), x, settings)  # evosax draws nothing here
        firm = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), state)
        return firm, jnp.full((), jnp.inf, x.dtype)

    def step(self, oracle: Oracle, value: PyTree, state: PyTree) -> tuple[PyTree, PyTree, Seen]:
        """One generation: ask, evaluate, tell."""
        x, whole = ravel_pytree(value)
        made, settings = self._made(value)
        inner, best = state
        best, asked = _known(oracle, value, best)
        ask_key, tell_key = jax.random.split(oracle.key)
        drawn, moved = made.ask(ask_key, inner, settings)
        costs = jax.vmap(lambda x: oracle.value(whole(x)))(drawn)
        # A sample without a finite cost is the worst of its generation, not the end of the run.
        worst = jnp.max(jnp.where(jnp.isfinite(costs), costs, -jnp.inf))
        moved, _ = made.tell(
            tell_key, drawn, jnp.where(jnp.isfinite(costs), costs, worst + 1), moved, settings
        )
        moved = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), moved, inner)
        point, lowest = _lowest(drawn, costs, x, best)
        return whole(point), (moved, lowest), Seen(best, None, None, counted(values=self.samples + asked))


def evosax_strategy(strategy: Callable[..., Any], samples: int = 16, spread: float | None = None) -> Evosax:
    """Any distribution-based strategy of evosax, such as `evosax.algorithms.SNES`, as a method.

    Args:
      strategy: the class, or a function with its arguments `population_size` and `solution`.
      samples: in every generation.
      spread: the first standard deviation, for strategies whose settings have a `std_init`; their own if left out.
    """
    return Evosax(strategy, samples, spread)


def cma_es(samples: int = 16, spread: float = 0.3) -> Evosax:
    """Covariance matrix adaptation, evosax's: samples from a normal that learns the shape of the valley.

    Args:
      samples: in every generation; 4 + 3 log(d) is usual, more for costs with many minima.
      spread: the first standard deviation, about a third of how far the minimum may be.

    Raises:
      InvalidInput: evosax is not installed, or numbers that are not above 0.
    """
    if samples < 2 or not spread > 0:
        raise InvalidInput(
            f"samples={samples}, spread={spread}", "two samples, and a spread above 0", "cma_es()"
        )
    try:
        from evosax.algorithms import CMA_ES  # optional, and slow to import
    except ImportError as error:
        raise InvalidInput(
            "cma_es() without the evosax library", "evosax 0.3 or later", 'pip install "diffprog[blackbox]"'
        ) from error
    return Evosax(CMA_ES, samples, float(spread))


def _known(oracle: Oracle, value: PyTree, best: Array) -> tuple[Array, Array]:
    """The cost at the value, asked for in the first step only."""
    unknown = jnp.isinf(best)
    return jax.lax.cond(unknown, lambda: oracle.value(value).astype(best.dtype), lambda: best), unknown


def _lowest(drawn: Array, costs: Array, x: Array, best: Array) -> tuple[Array, Array]:
    costs = jnp.where(jnp.isfinite(costs), costs, jnp.inf)
    first = jnp.argmin(costs)
    improved = costs[first] < best
    return jnp.where(improved, drawn[first], x), jnp.where(improved, costs[first], best)
