"""Products that are rounded before they are added, as XLA's own loops round them.

A processor can multiply and add in one instruction, with one rounding; where a compiler does so is its choice, and two
programs that say the same then differ in the last bit. XLA's convolution with groups multiplies, rounds, and adds. A
product whose bits have passed through integers is rounded, whatever the compiler would have liked.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax

_INTEGERS = {4: jnp.int32, 8: jnp.int64}


def unknown_zero(dtype: jnp.dtype) -> Array:
    """An integer 0 as wide as `dtype`, which the compiler does not know to be one."""
    return lax.optimization_barrier(jnp.zeros((), _INTEGERS[jnp.dtype(dtype).itemsize]))


def rounded(product: Array, zero: Array) -> Array:
    """The same product, rounded.

    Args:
      product: float32 or float64.
      zero: what `unknown_zero` made, outside of the loop it is used in.
    """
    return lax.bitcast_convert_type(lax.bitcast_convert_type(product, zero.dtype) | zero, product.dtype)
