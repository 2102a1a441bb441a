"""Ready-made overrides, for `override(f, ...)`.

    fast()                      the hand-written rules of this package, which are derivatives and only faster
    guided, deconvnet           what made a ReLU network say yes, in two classical ways
    redirected                  gradients that wake ReLUs which are off
    redirected_gates            the same for SiLUs and GELUs
    average_max_pool            max-pooling that passes gradients to all of a window alike
    smooth_max_pool             the same, more to the larger pixels
    straight_through            a gradient for what rounds or decides: the identity's
    clip(norm=), clip(value=)   a gradient no longer, or nowhere larger, than this
    reverse(scale)              climb before, descend after
    stop                        no gradient

All but the first are not derivatives, on purpose. Each says which operations it is meant for; in a mapping
`{"floor": straight_through}` it is put where the key says.
"""

from __future__ import annotations

import functools
from typing import Any

import jax.numpy as jnp
from jax import lax

from diffprog.errors import InvalidInput
from diffprog.graph.overriding.backward import Forward, Override, with_tangent
from diffprog.graph.overriding.fast import fast as fast
from diffprog.graph.overriding.pools import average_max_pool as average_max_pool
from diffprog.graph.overriding.pools import smooth_max_pool as smooth_max_pool
from diffprog.graph.overriding.recognize import Operation
from diffprog.graph.overriding.rectified import deconvnet as deconvnet
from diffprog.graph.overriding.rectified import guided as guided
from diffprog.graph.overriding.rectified import redirected as redirected
from diffprog.graph.overriding.smooth import redirected_gates as redirected_gates
from diffprog.rules import clip_gradient, reverse_gradient

STEPS = ("round", "floor", "ceil", "sign", "step", "one_hot_argmax")


def _straight(operation: Operation) -> Forward | None:
    operands = [value for value in operation.operands if jnp.issubdtype(value.dtype, jnp.floating)]
    if len(operation.operands) != 1 or operands != list(operation.results):
        return None
    return with_tangent(operation, lambda x_in, x_dot: x_dot)


straight_through = Override("straight_through", STEPS, _straight)
"""The identity's derivative, of every mode: for round, floor, ceil, sign, x > c as a number, and one_hot(argmax(x)).

Only for what rises with x: of (x < c) or one_hot(argmin(x)) the identity's derivative would have the wrong sign. Write
1.0 - (x >= c), and argmax(-x).

Source: Bengio, Léonard and Courville 2013, "Estimating or propagating gradients through stochastic neurons".
"""


def clip(norm: float | None = None, value: float | None = None) -> Override:
    """The gradient that arrives at the operation's result is clipped, then goes on as before.

    Args:
      norm: the largest Euclidean length of the whole gradient, which keeps its direction.
      value: the largest magnitude of every entry. Give one of the two.

    Raises:
      InvalidInput: both limits or none, or one that is not positive, which would turn the gradient round.

    Example:
      >>> import jax
      >>> from diffprog.graph import override
      >>> f = lambda x: 100.0 * jax.numpy.sin(x)
      >>> float(jax.grad(f)(0.0)), float(jax.grad(override(f, {"sin": clip(value=2.0)}))(0.0))
      (100.0, 2.0)
    """
    if (norm is None) == (value is None):
        raise InvalidInput(
            f"norm={norm} and value={value}", "exactly one limit", "clip(norm=1.0) or clip(value=0.1)"
        )
    limit = f"norm={norm}" if norm is not None else f"value={value}"
    if not any(given is not None and given > 0 for given in (norm, value)):
        raise InvalidInput(
            limit, "a positive limit", "overrides.stop for no gradient, reverse() for the opposite"
        )
    return _changing(f"clip({limit})", functools.partial(clip_gradient, norm=norm, value=value))


def reverse(scale: float = 1.0) -> Override:
    """The gradient that arrives at the operation's result is multiplied by -`scale`, in every mode.

    Example:
      >>> import jax
      >>> from diffprog.graph import override
      >>> float(jax.grad(override(jax.numpy.sin, {"sin": reverse(0.5)}))(0.0))
      -0.5
    """
    return _changing(f"reverse({scale})", functools.partial(reverse_gradient, scale=scale))


def _changing(name: str, identity: Any) -> Override:
    """Puts an identity with another derivative behind every floating result of an operation."""

    def replace(operation: Operation) -> Forward | None:
        floating = [jnp.issubdtype(value.dtype, jnp.floating) for value in operation.results]
        if not any(floating):
            return None
        return lambda *inputs: [
            identity(x) if moves else x for x, moves in zip(operation.forward(*inputs), floating, strict=True)
        ]

    return Override(name, (), replace)


stop = _changing("stop", lax.stop_gradient)
"""No gradient passes the operation's result."""
