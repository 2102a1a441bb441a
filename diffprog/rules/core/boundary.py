"""A wall that XLA's fusion does not cross on CPUs.

XLA on CPUs likes to fuse a cheap-looking producer into each of its consumers. When the producer is a whole
depthwise convolution and one consumer is the backward pass, it is computed twice, and nothing that is saved
by hand prevents it: `lax.optimization_barrier` is deleted before fusion. A call that must not be inlined stays
a call, and what it returns is written to memory once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata


def boundary(function: Callable[..., Any], static: Sequence[int] = ()) -> Callable[..., Any]:
    """The same function, compiled as a unit of its own whose result is materialised.

    Args:
      function: arrays (and the hashable arguments numbered in `static`) to arrays.
      static: positions of arguments that are not arrays.
    """
    compiled = jax.jit(function, static_argnums=tuple(static))

    @wraps(function)
    def call(*args: Any) -> Any:
        with set_xla_metadata(inlineable="false"):
            return compiled(*args)

    return call
