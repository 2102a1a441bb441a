"""Read activations of a function without editing it.

`tap(f, names)` is f with a second result: a dictionary of the named activations. To list the names first, or
to read many times without tracing each time, use `trace` and `Graph.run`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from diffprog.graph.trace import trace


def tap(
    function: Callable[..., Any], names: str | Sequence[str]
) -> Callable[..., tuple[Any, dict[str, jax.Array]]]:
    """Make a function that also returns some of its own activations.

    The function is traced at each call, which costs nothing in a compiled program and much outside of one:
    wrap the result in `jax.jit`.

    Args:
        function: any JAX function of arrays.
        names: names of activations, as `trace(function, *args).layers` lists them.

    Returns:
        A function of the same arguments; it returns `function`'s result and a dictionary from name to array.

    Raises:
        InvalidInput: when called, if a name is unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> out, taps = tap(lambda x: jnp.tanh(jnp.sin(x)), "sin")(jnp.zeros(2))
        >>> taps
        {'sin': Array([0., 0.], dtype=float32)}
    """

    def tapped(*args: Any) -> tuple[Any, dict[str, jax.Array]]:
        return trace(function, *args).run(*args, taps=names)

    return tapped
