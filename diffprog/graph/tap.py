"""Read activations of a function without editing it.

`tap(f, names)` is f with a second result: a dictionary of the named activations. To list the names first, or
to read many times without tracing each time, use `trace` and `Graph.run`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from diffprog.errors import InvalidInput
from diffprog.graph.trace import trace
from diffprog.graph.untraceable import check_function


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
        InvalidInput: what is no function or no name; when called, if a name is unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> out, taps = tap(lambda x: jnp.tanh(jnp.sin(x)), "sin")(jnp.zeros(2))
        >>> taps
        {'sin': Array([0., 0.], dtype=float32)}
    """

    check_function(function)
    wanted = [names] if isinstance(names, str) else names
    if not isinstance(wanted, Sequence) or not all(isinstance(name, str) for name in wanted):
        raise InvalidInput(
            f"tap(f, {names!r:.60})",
            "a name, or a list of names",
            'tap(f, "relu"); trace(f, x).layers lists them',
        )

    def tapped(*args: Any) -> tuple[Any, dict[str, jax.Array]]:
        return trace(function, *args).run(*args, taps=names)

    return tapped
